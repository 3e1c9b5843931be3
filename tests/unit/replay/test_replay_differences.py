"""Two accounts of the same time: what differs, where, and what does not."""

import msgspec
import pytest

from twin.directory import BEIJING
from twin.replay.differences import differences
from twin.replay.extent import parsed_moment
from twin.replay.records import AlertRow, Records, Segments, SessionRow, Window
from twin.state import Category

WINDOW = Window(1_000, 9_000)
SESSION = SessionRow(
    instrument="I",
    user="li",
    project=None,
    booking=None,
    state="closed",
    requested_ms=1_500,
    opened_ms=2_000,
    ended_ms=5_000,
    reason="USER",
)


def ledger(*stretches: tuple[int, Category]) -> Records:
    return Records(segments={"I": Segments(stretches)})


def found(stored: Records, replayed: Records) -> list[tuple[str, str, str]]:
    return [(each.what, each.stored, each.replayed) for each in differences(stored, replayed, WINDOW, ["I"])]


def at(ms: int) -> str:
    return f"1970-01-01T00:00:{ms / 1000:06.3f}+00:00"


def test_what_is_the_same_makes_no_difference() -> None:
    one = Records(sessions={"7": SESSION}, segments={"I": Segments([(0, Category.OFF), (2_000, Category.USE)])})
    other = Records(
        sessions={"7": msgspec.structs.replace(SESSION)},
        segments={
            "I": Segments([(500, Category.OFF), (2_000, Category.USE), (3_000, Category.USE), (9_000, Category.OFF)])
        },
    )
    assert found(one, other) == []


def test_only_what_differs_of_a_session_is_told() -> None:
    replayed = msgspec.structs.replace(SESSION, ended_ms=6_000, reason="IDLE")
    assert found(Records(sessions={"7": SESSION}), Records(sessions={"7": replayed})) == [
        ("7", f"ended {at(5_000)}, reason USER", f"ended {at(6_000)}, reason IDLE")
    ]


def test_what_only_one_has_is_told_in_full() -> None:
    alert = AlertRow(instrument=None, kind="SITE_OFFLINE", fired_ms=2_000, resolved_ms=None)
    stored = differences(Records(alerts={"a": alert}), Records(), WINDOW, ["I"])
    assert [(each.instrument, each.replayed) for each in stored] == [("the site", "-")]
    assert stored[0].stored == f"kind SITE_OFFLINE, fired {at(2_000)}"


def test_stretches_of_two_ledgers_are_as_long_as_they_can_be() -> None:
    stored = ledger((0, Category.OFF), (4_000, Category.USE), (5_000, Category.IDLE))
    replayed = ledger((0, Category.OFF), (2_000, Category.USE), (3_000, Category.USE), (8_000, Category.OFF))
    assert found(stored, replayed) == [
        (f"{at(2_000)} to {at(4_000)}", "off", "use"),
        (f"{at(5_000)} to {at(8_000)}", "idle", "use"),
        (f"{at(8_000)} to {at(9_000)}", "idle", "off"),
    ]


def test_a_ledger_that_is_not_there_differs_in_all_its_time() -> None:
    assert found(Records(), ledger((0, Category.OFF))) == [(f"{at(1_000)} to {at(9_000)}", "-", "off")]


def test_new_stretches_take_the_place_of_all_after_their_start() -> None:
    segments = Segments([(0, Category.OFF), (2_000, Category.USE), (3_000, Category.IDLE)])
    segments.overlay([(2_000, Category.STANDBY), (4_000, Category.OFF)])
    assert segments.within(WINDOW) == [(1_000, Category.OFF), (2_000, Category.STANDBY), (4_000, Category.OFF)]


@pytest.mark.parametrize(
    ("until_ms", "state", "opened_ms", "ended_ms"),
    [(1_800, "opening", None, None), (5_000, "open", 2_000, None), (5_001, "closed", 2_000, 5_000)],
)
def test_a_session_is_seen_as_it_stood(until_ms: int, state: str, opened_ms: int | None, ended_ms: int | None) -> None:
    then = SESSION.as_of(until_ms)
    assert (then.state, then.opened_ms, then.ended_ms) == (state, opened_ms, ended_ms)
    assert (then.reason is None) == (ended_ms is None)


def test_moments_are_rfc_3339_or_dates_of_the_site() -> None:
    assert parsed_moment("1970-01-01T00:00:01Z", BEIJING) == 1_000
    assert parsed_moment("1970-01-02", BEIJING) == 16 * 3_600_000
    for wrong in ("1970-01-02T00:00:00", "now", ""):
        with pytest.raises(ValueError, match=r"offset|Invalid"):
            parsed_moment(wrong, BEIJING)
