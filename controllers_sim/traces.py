"""Recorded power traces: lines of `dd/mm/yyyy HH:MM:SS;watts;watts`, plain or .gz, local time, no header.

The first figure is the mean of a second and is what a reading carries; the second, if any, is a longer mean and unused.
Gaps, repeated and backward stamps are part of the record and are kept as they are, in the order of the file.
"""

import gzip
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from math import isfinite
from pathlib import Path
from zoneinfo import ZoneInfo

from controllers_sim.errors import SimulatorError

DAY_S = 86_400
FORM = "dd/mm/yyyy HH:MM:SS;watts;watts"
_STAMP = re.compile(r"(\d\d)/(\d\d)/(\d{4}) (\d\d):(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a trace: local time without a zone, and watts."""

    at: datetime
    power_w: float


def read_trace(path: Path) -> list[Sample]:
    """Read a whole trace, in the order of the file.

    Raises:
        SimulatorError: the file cannot be read or is empty, or a line is not in the format; it names file and line.

    """
    try:
        samples = list(_samples(path))
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise SimulatorError(f"{path}: cannot read it: {error}", "Give a readable CSV file, plain or .gz.") from None
    if not samples:
        raise SimulatorError(f"{path}: there is no sample in it", f"Each line is {FORM}.")
    return samples


def _samples(path: Path) -> Iterator[Sample]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _sample(path, number, line.strip())


def _sample(path: Path, number: int, line: str) -> Sample:
    stamp, *figures = line.split(";")
    try:
        return Sample(_local_time(stamp), _watts(figures[0]))
    except (ValueError, IndexError) as error:
        problem = f"{path}, line {number}: {error}: {line[:60]!r}"
        raise SimulatorError(problem, f"Each line is {FORM}.") from None


def _local_time(stamp: str) -> datetime:
    found = _STAMP.fullmatch(stamp)
    if found is None:
        raise ValueError("the time stamp is not dd/mm/yyyy HH:MM:SS")
    day, month, year, hour, minute, second = map(int, found.groups())
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - local time; the zone is the reader's choice


def _watts(figure: str) -> float:
    power_w = float(figure)
    if not isfinite(power_w) or power_w < 0:
        raise ValueError("the watts are not a number of at least 0")
    return power_w


class LoopedTrace:
    """A trace laid over every day: asked for a moment, it answers with what was recorded at that time of the day."""

    def __init__(self, samples: Sequence[Sample], timezone: ZoneInfo) -> None:
        first_day = samples[0].at.date()
        offsets_s = [(sample.at.date() - first_day).days * DAY_S + _second_of_day(sample.at) for sample in samples]
        # Backward stamps are met when the record had already come further: the running maximum.
        self._offsets_s = list(accumulate(offsets_s, max))
        self._watts = [sample.power_w for sample in samples]
        self._days = max(1, self._offsets_s[-1] // DAY_S + 1)
        self._timezone = timezone

    def power_w(self, after_ms: int, until_ms: int) -> float | None:
        """Give the watts recorded last in (after, until]; None in a gap."""
        until_s = self._offset_s(until_ms)
        last = bisect_right(self._offsets_s, until_s) - 1
        if last < 0 or self._offsets_s[last] <= until_s - (until_ms - after_ms) / 1000:
            return None
        return self._watts[last]

    def _offset_s(self, t_ms: int) -> float:
        local = datetime.fromtimestamp(t_ms / 1000, self._timezone)
        return local.toordinal() % self._days * DAY_S + _second_of_day(local) + local.microsecond / 1e6


def _second_of_day(at: datetime) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second
