"""What a controller tells of the time before its first connection."""

import json
from datetime import date
from itertools import chain, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from controllers_sim import people
from controllers_sim.past import SPACING_MS, Past
from controllers_sim.scenario import ControllerEntry, Scenario
from controllers_sim.sources import Source, sources_of
from controllers_sim.wire import MAX_ARRAY

ZONE = "Asia/Shanghai"
NOON_MS = people.midnight_ms(date(2026, 3, 4), ZoneInfo(ZONE)) + 43_200_000
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
STALE_AFTER_MS = 90_000


def past_of(entry: ControllerEntry, mischief: float = 1.0) -> Source:
    return sources_of(entry, Scenario((entry,), timezone=ZONE, mischief=mischief)).past


def sem() -> Source:
    return past_of(ControllerEntry("sem-01", profile="sem"))


def told(past: Past) -> list[list[dict[str, Any]]]:
    arrays = []
    while head := past.head():
        assert head.topic == "users/v1/sem-01/reading"
        arrays.append(json.loads(head.payload))
        past.delivered()
    return arrays


def all_of(past: Past) -> list[dict[str, Any]]:
    return list(chain.from_iterable(told(past)))


def test_it_reaches_back_as_far_as_asked_without_a_silence_that_counts() -> None:
    readings = all_of(Past("sem-01", sem(), NOON_MS, DAY_MS, relay=True))
    stamps_ms = sorted(reading["ts"] for reading in readings)
    assert stamps_ms[0] == NOON_MS - DAY_MS
    assert NOON_MS - STALE_AFTER_MS < stamps_ms[-1] < NOON_MS
    assert {after - before for before, after in pairwise(stamps_ms)} == {SPACING_MS}
    assert SPACING_MS < STALE_AFTER_MS


def test_it_is_told_in_the_order_of_time_in_full_arrays() -> None:
    arrays = told(Past("sem-01", sem(), NOON_MS, DAY_MS, relay=True))
    assert [len(array) for array in arrays] == [MAX_ARRAY, MAX_ARRAY, 880]
    stamps_ms = [reading["ts"] for array in arrays for reading in array]
    assert stamps_ms == sorted(stamps_ms)


def test_less_than_an_hour_is_one_array() -> None:
    [readings] = told(Past("sem-01", sem(), NOON_MS, 10 * 60_000, relay=True))
    assert len(readings) == 20


def test_every_reading_is_history_with_an_identity_of_its_own() -> None:
    readings = all_of(Past("sem-01", sem(), NOON_MS, DAY_MS, relay=True))
    assert all(reading["hist"] for reading in readings)
    assert len({reading["boot"] for reading in readings}) == 1
    assert [reading["seq"] for reading in readings] == list(range(len(readings)))


def test_it_is_what_a_live_controller_would_have_measured() -> None:
    live = sem()
    for reading in all_of(Past("sem-01", sem(), NOON_MS, DAY_MS, relay=True)):
        seen = live.observe(reading["ts"] - 1000, reading["ts"], 0)
        assert seen is not None
        assert (reading["power_w"], reading["occupied"], reading["door"]) == (
            round(seen.power_w, 1), seen.occupied, seen.door,
        )  # fmt: skip


def test_an_open_relay_let_no_power_through() -> None:
    [readings] = told(Past("sem-01", sem(), NOON_MS, HOUR_MS, relay=False))
    assert {(reading["power_w"], reading["relay"]) for reading in readings} == {(0.0, False)}


def test_without_a_relay_nothing_is_said_of_one() -> None:
    [readings] = told(Past("sem-01", sem(), NOON_MS, HOUR_MS, relay=None))
    assert not any("relay" in reading for reading in readings)
    assert max(reading["power_w"] for reading in readings) > 0


def test_a_trace_is_told_at_its_time_of_day_and_its_gaps_stay_gaps(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("".join(f"26/01/2012 {stamp};{w};0\n" for w, stamp in ((7, "09:00:00"), (8, "11:30:00"))))
    source = past_of(ControllerEntry("sem-01", trace=str(trace), relay="none"))
    readings = all_of(Past("sem-01", source, NOON_MS, 2 * DAY_MS, relay=None))
    assert sorted((round((reading["ts"] - NOON_MS) / 60_000), reading["power_w"]) for reading in readings) == [
        (-1620, 7.0), (-1470, 8.0), (-180, 7.0), (-30, 8.0),
    ]  # fmt: skip


def test_what_was_not_acknowledged_is_said_again() -> None:
    past = Past("sem-01", sem(), NOON_MS, DAY_MS, relay=True)
    before = past.head()
    assert past.head() == before
    past.delivered()
    assert past.head() != before


def test_a_trace_that_has_nothing_of_that_time_tells_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("26/01/2012 18:00:00;7;0\n")
    source = past_of(ControllerEntry("sem-01", trace=str(trace), relay="none"))
    assert Past("sem-01", source, NOON_MS, HOUR_MS, relay=None).head() is None
