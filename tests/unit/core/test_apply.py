"""What a message is to a twin, and of what time it tells."""

import msgspec
import pytest

from twin.decisions import Verdict
from twin.events import Arrival, Birth, Death, Message, Reading
from twin.fleet import Fleet
from twin.instrument import HISTORY_MS, apply, event_time, link_at
from twin.policy import Policy
from twin.state import NEW_TWIN, LinkState, Twin

NOW = 1_700_000_000_000
MIN = 60_000
POLICY = Policy()


def reading(seq: int = 0, ts: int = NOW, *, hist: bool = False, power_w: float = 3.0, boot: str = "a") -> Reading:
    return Reading(boot, seq, ts, power_w, hist=hist)


def told(twin: Twin, message: Message, received_ms: int = NOW) -> tuple[Verdict, int, Twin]:
    return apply(twin, Arrival("c", received_ms, message), POLICY)


@pytest.mark.parametrize(
    ("ahead_ms", "skew_ms", "hist", "expected_ms"),
    [
        (0, 0, False, 0),
        (-20, 0, False, -20),
        (5 * MIN, 0, False, 5 * MIN),
        (-5 * MIN, 0, False, -5 * MIN),
        (5 * MIN + 1, 0, False, 0),
        (-5 * MIN - 1, 0, False, 0),
        (-NOW, 0, False, 0),
        (2**53 - NOW, 0, False, 0),
        (4 * MIN, 60 * MIN, False, 4 * MIN),
        (0, 0, True, 0),
        (-60 * MIN, 0, True, -60 * MIN),
        (60 * MIN, 60 * MIN, True, 0),
        (-60 * MIN, -60 * MIN, True, 0),
        (30 * MIN, 60 * MIN, True, -30 * MIN),
        (5 * MIN + 1, 0, True, 5 * MIN + 1),
    ],
)
def test_event_time(ahead_ms: int, skew_ms: int, hist: bool, expected_ms: int) -> None:  # noqa: FBT001
    twin = msgspec.structs.replace(NEW_TWIN, skew_ms=skew_ms)
    arrival = Arrival("c", NOW, reading(ts=NOW + ahead_ms, hist=hist))
    assert event_time(twin, arrival, POLICY) == NOW + expected_ms


def test_the_time_of_a_death_is_its_receipt() -> None:
    _, _, twin = told(NEW_TWIN, reading())
    assert event_time(twin, Arrival("c", NOW + 5, Death("a")), POLICY) == NOW + 5


def test_a_death_comes_after_all_that_a_clock_ahead_has_told_of() -> None:
    fleet = Fleet()
    fleet.register("c", POLICY)
    fleet.handle(Arrival("c", NOW, reading(ts=NOW + 2 * MIN)))
    assert fleet.handle(Arrival("c", NOW + 5, Death("a"))).at_ms == NOW + 2 * MIN + 1


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        (NOW + 5 * MIN, Verdict.LATE),
        (NOW + 5 * MIN + 1, Verdict.UNBELIEVABLE),
        (NOW - HISTORY_MS + 1, Verdict.LATE),
        (NOW - HISTORY_MS, Verdict.UNBELIEVABLE),
        (0, Verdict.UNBELIEVABLE),
    ],
)
def test_how_much_history_is_believed(ts: int, expected: Verdict) -> None:
    verdict, _, twin = told(NEW_TWIN, reading(ts=ts, hist=True))
    assert verdict is expected
    assert (twin == NEW_TWIN) is (expected is Verdict.UNBELIEVABLE)


def test_an_unbelievable_message_may_be_told_again_when_the_skew_is_known() -> None:
    ahead = reading(seq=0, ts=NOW + 60 * MIN, hist=True)
    assert told(NEW_TWIN, ahead)[0] is Verdict.UNBELIEVABLE
    _, _, twin = told(NEW_TWIN, reading(seq=1, ts=NOW + 60 * MIN))
    assert told(twin, ahead)[:2] == (Verdict.LATE, NOW)


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (reading(1, NOW + 1), Verdict.LIVE),
        (reading(1, NOW), Verdict.LIVE),
        (reading(1, NOW - 1), Verdict.LATE),
        (reading(0, NOW + 1), Verdict.DUPLICATE),
        (reading(0, NOW + 1, boot="b"), Verdict.LIVE),
        (reading(1, NOW + 1, hist=True), Verdict.LATE),
        (Birth("b", 0, NOW - 1), Verdict.LATE),
        (Death("a"), Verdict.LIVE),
        (Death("b"), Verdict.DUPLICATE),
    ],
)
def test_verdicts(second: Message, expected: Verdict) -> None:
    _, _, twin = told(NEW_TWIN, reading(0, NOW))
    verdict, _, after = told(twin, second, NOW + 2)
    assert verdict is expected
    assert (after.physics != twin.physics) is (expected is Verdict.LIVE and not isinstance(second, Death))
    assert (after == twin) is (expected is Verdict.DUPLICATE)


def test_live_messages_tell_the_skew_and_buffered_ones_do_not() -> None:
    _, _, twin = told(NEW_TWIN, reading(0, NOW - 60 * MIN))
    assert twin.skew_ms == -60 * MIN
    _, _, twin = told(twin, reading(1, NOW, hist=True))
    assert twin.skew_ms == -60 * MIN
    _, _, twin = told(twin, reading(2, NOW + 5 * MIN))
    assert twin.skew_ms == 0


def test_a_clock_of_the_service_that_jumps_back_leaves_the_link_online() -> None:
    _, _, twin = told(NEW_TWIN, reading(0, NOW))
    _, _, twin = told(twin, reading(1, NOW - 60 * MIN), NOW - 60 * MIN)
    assert link_at(twin.link, NOW - 60 * MIN, POLICY)[0] is LinkState.ONLINE
    assert link_at(twin.link, NOW - 60 * MIN + 90_000, POLICY)[0] is LinkState.STALE
