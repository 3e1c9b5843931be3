"""Commands on their way: again until confirmed, never when they have expired."""

from msgspec.structs import replace

from twin.rules.outcome import Command, Do
from twin.stream.outbox import AGAIN_MS, MOST, Outbox


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def command(id: str, at_ms: int = 1_000_000, expires_ms: int = 1_010_000) -> Command:  # noqa: A002
    return Command(controller="c1", id=id, at_ms=at_ms, expires_ms=expires_ms, do=Do.SAY, text="", reason="session")


def switch(id: str, controller: str = "c1", *, on: bool) -> Command:  # noqa: A002
    return replace(command(id), controller=controller, do=Do.RELAY, relay=on, text=None)


def all_due(outbox: Outbox) -> list[str]:
    return [each.id for each in iter(outbox.next, None)]


def test_each_is_sent_once_and_again_until_it_is_confirmed() -> None:
    clock = Clock()
    outbox = Outbox(clock, [].append)
    outbox.put([command("a"), command("b")])
    assert all_due(outbox) == ["a", "b"]
    clock.now_ms += AGAIN_MS - 1
    assert all_due(outbox) == []
    outbox.confirm("c1", "a")
    outbox.confirm("c2", "b")
    clock.now_ms += 1
    assert all_due(outbox) == ["b"]
    outbox.confirm("c1", "b")
    outbox.confirm("c1", "b")
    clock.now_ms += AGAIN_MS
    assert all_due(outbox) == []
    assert (len(outbox), outbox.expired) == (0, 0)


def test_none_is_sent_when_it_has_expired_and_those_that_never_were_are_told_of() -> None:
    clock = Clock()
    missed: list[Command] = []
    outbox = Outbox(clock, missed.append)
    outbox.put([command("a"), command("late", expires_ms=1_000_000)])
    assert all_due(outbox) == ["a"]
    assert [each.id for each in missed] == ["late"]
    clock.now_ms = 1_009_999
    assert all_due(outbox) == ["a"]
    clock.now_ms = 1_010_000 + AGAIN_MS
    assert all_due(outbox) == []
    assert (len(outbox), outbox.expired) == (0, 2)
    assert [each.id for each in missed] == ["late"]


def test_of_too_many_the_oldest_are_forgotten() -> None:
    outbox = Outbox(Clock(), [].append)
    outbox.put(command(str(number)) for number in range(MOST + 2))
    assert len(outbox) == MOST
    assert all_due(outbox) == [str(number) for number in range(2, MOST + 2)]
    assert outbox.expired == 2


def test_what_a_relay_is_told_last_is_not_undone_by_what_it_was_told_before() -> None:
    clock = Clock()
    outbox = Outbox(clock, [].append)
    outbox.put([switch("off", on=False), command("words"), switch("other", "c2", on=False)])
    assert all_due(outbox) == ["off", "words", "other"]
    outbox.put([switch("on", on=True)])
    assert all_due(outbox) == ["on"]
    clock.now_ms += AGAIN_MS
    assert all_due(outbox) == ["words", "other", "on"]
    outbox.confirm("c1", "on")
    outbox.put([switch("off again", on=False)])
    clock.now_ms += AGAIN_MS
    assert all_due(outbox) == ["off again", "words", "other"]
    assert outbox.expired == 0
