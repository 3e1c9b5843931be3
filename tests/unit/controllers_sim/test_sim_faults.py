"""The stage of faults."""

# ruff: noqa: S311 - seeded chance is what is tested
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers_sim.faults import ClockJump, Faults, FaultStage, Mishap, Outage, Reboot, mishaps, read_faults
from controllers_sim.wire import Message

MESSAGES = [Message("t", b"%d" % number) for number in range(2000)]
rates = st.floats(0, 1)


def passed(faults: Faults, seed: int = 1, messages: list[Message] = MESSAGES) -> tuple[list[Message], list[object]]:
    stage, out, troubles = FaultStage(faults, Random(seed)), list[Message](), list[object]()
    for message in messages:
        leaving, trouble = stage.apply(message)
        out += leaving
        troubles += [trouble] if trouble else []
    return out + stage.flush(), troubles


def test_without_faults_everything_passes_as_it_is() -> None:
    assert passed(Faults()) == (MESSAGES, [])


@given(rates, rates, st.integers())
def test_duplicates_and_disorder_lose_nothing(duplicate: float, reorder: float, seed: int) -> None:
    out, _ = passed(Faults(duplicate=duplicate, reorder=reorder), seed, MESSAGES[:100])
    assert set(out) == set(MESSAGES[:100])
    assert max(Counter(out).values()) <= 2


def test_rates_are_met() -> None:
    assert 0.85 < len(passed(Faults(drop=0.1))[0]) / len(MESSAGES) < 0.95
    assert 1.05 < len(passed(Faults(duplicate=0.1))[0]) / len(MESSAGES) < 1.15
    swapped, _ = passed(Faults(reorder=0.2))
    assert sorted(swapped, key=MESSAGES.index) == MESSAGES != swapped


def test_troubles_come_with_their_sizes() -> None:
    _, troubles = passed(Faults(disconnect=0.1, skew=0.1, reboot=0.1, outage_s=5, skew_s=60))
    outages = [trouble.for_ms for trouble in troubles if isinstance(trouble, Outage)]
    jumps = [trouble.skew_ms for trouble in troubles if isinstance(trouble, ClockJump)]
    assert 3000 < sum(outages) / len(outages) < 7000
    assert min(jumps) < -30_000
    assert max(jumps) > 30_000
    assert all(abs(jump) <= 60_000 for jump in jumps)
    assert Reboot() in troubles


def test_the_same_seed_gives_the_same_faults() -> None:
    faults = Faults(drop=0.1, duplicate=0.1, reorder=0.1, reboot=0.1)
    assert passed(faults, 7) == passed(faults, 7) != passed(faults, 8)


def test_faults_are_read_from_a_line() -> None:
    assert read_faults("drop=0.01, reboot=1,outage_s=3") == Faults(drop=0.01, reboot=1, outage_s=3)


@pytest.mark.parametrize(
    "text", ["drop=2", "drop", "drop=x", "loose=0.1", "lose=0.6,stuck=0.6", "outage_s=0", "drop=nan"]
)
def test_a_wrong_line_is_refused_and_says_what_is_known(text: str) -> None:
    with pytest.raises(ValueError, match=r"faults: .*Known are drop, duplicate"):
        read_faults(text)


def test_commands_fare_as_their_shares_say_and_by_seed_and_id_alone() -> None:
    faults = Faults(refuse=0.1, lose=0.2, stuck=0.3)
    ids = [f"k{number}" for number in range(4000)]
    fates = [mishaps(faults, "1/c1")(name) for name in ids]
    counts = Counter(fates)
    assert 0.08 < counts[Mishap.REFUSED] / len(ids) < 0.12
    assert 0.17 < counts[Mishap.LOST] / len(ids) < 0.23
    assert 0.27 < counts[Mishap.STUCK] / len(ids) < 0.33
    again, other = mishaps(faults, "1/c1"), mishaps(faults, "1/c2")
    assert list(reversed(fates)) == [again(name) for name in reversed(ids)]
    assert fates != [other(name) for name in ids]


def test_without_faults_every_command_is_obeyed() -> None:
    assert {mishaps(Faults(), "1/c1")(f"k{number}") for number in range(100)} == {None}
