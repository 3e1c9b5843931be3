"""The brake on guessing passwords."""

from web.brake import FORGET_AFTER_MS, LONGEST_WAIT_MS, Brake


def test_the_first_failures_are_free_and_then_the_wait_doubles() -> None:
    brake = Brake(free=2)
    waits = []
    for _ in range(6):
        waits.append(brake.wait_ms("a", 0))
        brake.count("a", 0)
    assert waits == [0, 0, 1000, 2000, 4000, 8000]


def test_the_wait_ends_by_itself_and_has_a_longest() -> None:
    brake = Brake(free=1)
    for _ in range(100):
        brake.count("a", 0)
    assert brake.wait_ms("a", 0) == LONGEST_WAIT_MS
    assert brake.wait_ms("a", LONGEST_WAIT_MS) == 0


def test_success_and_an_hour_of_rest_forget_failures() -> None:
    brake = Brake(free=1)
    brake.count("a", 0)
    brake.clear("a")
    assert brake.wait_ms("a", 0) == 0
    for _ in range(9):
        brake.count("b", 0)
    brake.count("b", FORGET_AFTER_MS + 1)
    assert brake.wait_ms("b", FORGET_AFTER_MS + 1) == 1000


def test_memory_is_bounded_and_one_key_does_not_slow_another() -> None:
    brake = Brake(free=1, capacity=3)
    for key in "abcd":
        brake.count(key, 0)
    assert [brake.wait_ms(key, 0) for key in "abcde"] == [0, 1000, 1000, 1000, 0]
