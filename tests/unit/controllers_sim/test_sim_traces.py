"""Recorded traces: reading, looping over the day, and as history."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from controllers_sim.errors import SimulatorError
from controllers_sim.replay import history_messages, offsets_s
from controllers_sim.traces import LoopedTrace, Sample, read_trace

SHANGHAI = ZoneInfo("Asia/Shanghai")
REAL = Path(__file__).parents[4] / "shared" / "data" / "power-traces"
LINES = """\
26/01/2012 00:00:05;2;0
26/01/2012 00:00:06;3310.5;0
26/01/2012 00:00:06;120
26/01/2012 00:00:04;118;60

26/01/2012 00:00:40;115;60
"""


def at(hour: int, minute: int, second: int, day: int = 26) -> datetime:
    return datetime(2012, 1, day, hour, minute, second)  # noqa: DTZ001 - traces are in local time


def local_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(LINES)
    return path


def test_gaps_repeated_and_backward_stamps_are_kept_as_they_are(plain: Path) -> None:
    assert read_trace(plain) == [
        Sample(at(0, 0, 5), 2.0),
        Sample(at(0, 0, 6), 3310.5),
        Sample(at(0, 0, 6), 120.0),
        Sample(at(0, 0, 4), 118.0),
        Sample(at(0, 0, 40), 115.0),
    ]


def test_a_packed_trace_is_the_same(plain: Path, tmp_path: Path) -> None:
    packed = tmp_path / "trace.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_trace(packed) == read_trace(plain)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("26-01-2012 00:00:07;1;1", "time stamp is not dd/mm/yyyy"),
        ("31/02/2012 00:00:07;1;1", "day is out of range"),
        ("26/01/2012 00:00:07", "list index"),
        ("26/01/2012 00:00:07;nan;1", "watts are not a number of at least 0"),
        ("26/01/2012 00:00:07;-3;1", "watts are not a number of at least 0"),
        ("26/01/2012 00:00:07;much;1", "could not convert"),
    ],
)
def test_a_bad_line_is_reported_with_file_and_line(plain: Path, line: str, problem: str) -> None:
    plain.write_text(f"{LINES}{line}\n")
    with pytest.raises(SimulatorError, match=rf"trace.csv, line 7: .*{problem}"):
        read_trace(plain)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
    ],
)
def test_an_unusable_file_is_reported(plain: Path, spoil: Callable[[Path], object]) -> None:
    spoil(plain)
    with pytest.raises(SimulatorError, match=r"trace\.csv"):
        read_trace(plain)


def test_a_cut_off_archive_is_reported(plain: Path, tmp_path: Path) -> None:
    packed = tmp_path / "trace.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes() * 1000)[:-9])
    with pytest.raises(SimulatorError, match=r"trace\.csv\.gz: cannot read it"):
        read_trace(packed)


def test_a_looped_trace_answers_with_the_same_time_of_day_and_keeps_gaps(plain: Path) -> None:
    trace = LoopedTrace(read_trace(plain), SHANGHAI)

    def between(after: str, until: str) -> float | None:
        return trace.power_w(local_ms(f"2026-05-01 {after}"), local_ms(f"2026-05-01 {until}"))

    assert between("00:00:04", "00:00:05") == 2.0
    assert between("00:00:05", "00:00:07") == 118.0
    assert between("00:00:10", "00:00:39") is None
    assert between("00:00:39", "00:00:40") == 115.0
    assert between("12:00:00", "12:00:01") is None
    assert trace.power_w(local_ms("2026-04-30 23:59:59"), local_ms("2026-05-01 00:00:01")) is None


def test_a_trace_over_midnight_loops_over_two_days() -> None:
    trace = LoopedTrace([Sample(at(23, 0, 0), 1.0), Sample(at(1, 0, 0, day=27), 2.0)], SHANGHAI)
    days = [date(2026, 5, 1), date(2026, 5, 2)]
    seen = [
        trace.power_w(local_ms(f"{day} {hour}:59:59"), local_ms(f"{day} {until}:00:00"))
        for day in days
        for hour, until in (("22", "23"), ("00", "01"))
    ]
    assert sorted(seen, key=str) == [1.0, 2.0, None, None]


def test_a_replay_is_due_in_the_order_of_the_file_and_never_before_what_came_first(plain: Path) -> None:
    assert offsets_s(read_trace(plain)) == [0.0, 1.0, 1.0, 1.0, 35.0]


def test_history_keeps_the_seconds_of_the_day(plain: Path) -> None:
    [(message, count)] = history_messages("fr-01", read_trace(plain), date(2026, 5, 1), SHANGHAI)
    readings = json.loads(message.payload)
    assert message.topic == "users/v1/fr-01/reading"
    assert count == len(readings) == 5
    assert [reading["seq"] for reading in readings] == [0, 1, 2, 3, 4]
    assert [reading["ts"] for reading in readings] == [
        local_ms(f"2026-05-01 00:00:{second:02}") for second in (5, 6, 6, 4, 40)
    ]
    assert all(reading["hist"] is True and reading["boot"] == readings[0]["boot"] for reading in readings)


def test_history_sent_again_is_the_same_and_of_another_day_is_another(plain: Path) -> None:
    samples, day = read_trace(plain), date(2026, 5, 1)
    again = history_messages("fr-01", samples, day, SHANGHAI)
    assert history_messages("fr-01", samples, day, SHANGHAI) == again
    other = history_messages("fr-01", samples, date(2026, 5, 2), SHANGHAI)
    assert json.loads(other[0][0].payload)[0]["boot"] != json.loads(again[0][0].payload)[0]["boot"]


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the recorded traces are not in {REAL}")
@pytest.mark.parametrize("name", ["dryer_2012-01-21", "freezer_2012-01-26", "monitor_day", "printer_2011-12-30"])
def test_real_traces_are_read_whole_and_fit_into_arrays(name: str) -> None:
    path = REAL / f"{name}.csv.gz"
    lines = gzip.decompress(path.read_bytes()).decode().split()[1::2]
    samples = read_trace(path)
    assert [sample.power_w for sample in samples] == [float(line.split(";")[1]) for line in lines]
    messages = history_messages("fr-01", samples, date(2026, 5, 1), SHANGHAI)
    assert sum(count for _, count in messages) == len(samples)
    assert max(count for _, count in messages) <= 1000
    first = datetime.fromtimestamp(json.loads(messages[0][0].payload)[0]["ts"] / 1000, UTC).astimezone(SHANGHAI)
    assert first.time() == samples[0].at.time()
