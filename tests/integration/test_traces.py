"""Real power traces through broker and database: the ledger of a whole day, second by second.

What is expected is worked out here from the definitions in docs/rules.md alone, step by step over the whole day.
"""

import asyncio
import gzip
import os
import sys
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.brokers import BrokerInTest
from tests.sites import Site, now_ms, registered, until
from twin.interface import LedgerDay
from twin.service import TwinService

ROOT = Path(__file__).parents[2]
TRACES = ROOT.parent / "shared" / "data" / "power-traces"
DAY_S = 86_400
SPEED = 100

pytestmark = pytest.mark.skipif(not TRACES.is_dir(), reason=f"no recorded traces in {TRACES}")


class Policy(NamedTuple):
    """The policy values of the rules, in steps of the day that is worked out."""

    hold: int = 60
    confirm: int = 30
    stale: int = 90


def read_trace(path: Path) -> list[tuple[int, float]]:
    """Second of the day and watts of each line, in the order of the file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [(_second(line.split(";")[0].split()[1]), float(line.split(";")[1])) for line in lines]


def _second(clock: str) -> int:
    hours, minutes, seconds = map(int, clock.split(":"))
    return 3600 * hours + 60 * minutes + seconds


def worked_out(
    readings: Iterable[tuple[int, float]], signs: Sequence[int], steps: range, policy: Policy
) -> list[tuple[int, str]]:
    """The ledger of a controller with these readings and signs of life: each category with the step it begins at."""
    said: defaultdict[int, list[float]] = defaultdict(list)
    for step, power_w in readings:
        said[step].append(power_w)
    in_force = 0.0
    last_on = last_active = -(10**9)
    active_steps = 0
    ledger: list[tuple[int, str]] = []
    for step in steps:
        was_active = last_active >= step - 1 - policy.hold
        if in_force >= 40 and was_active:
            active_steps += 1  # during the step that has just ended
        # Of two readings at one moment both were in force at it, but only the later one during the step that begins.
        highest = max(said.get(step, [in_force]))
        in_force = said[step][-1] if step in said else in_force
        last_active = step if in_force >= 40 else max(last_active, step - 1) if highest >= 40 else last_active
        last_on = step if in_force >= 5 else max(last_on, step - 1) if highest >= 5 else last_on
        is_active = last_active >= step - policy.hold
        if not is_active or not was_active:
            active_steps = 0
        newest = bisect_right(signs, step) - 1
        if newest < 0 or step - signs[newest] >= policy.stale:
            category = "unknown"
        elif is_active and active_steps >= policy.confirm:
            category = "unauthorised"
        else:
            category = "standby" if last_on >= step - policy.hold else "off"
        if not ledger or ledger[-1][1] != category:
            ledger.append((step, category))
    return ledger


@pytest.fixture
async def site(broker: BrokerInTest, database_url: str) -> AsyncIterator[Site]:
    async with registered(broker, database_url, 2) as site:
        yield site


async def replay(site: Site, trace: Path, *arguments: str) -> None:
    """Let the simulator replay a trace as `c0`, by that controller's own account."""
    url = site.broker.url_of("c0", site.passwords["c0"])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controllers_sim", "replay", str(trace), "--controller", "c0", *arguments),
        cwd=ROOT,
        env=os.environ | {"MQTT_URL": url},
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 0, said.decode()


async def stored(site: Site, controller: str, count: int) -> None:
    async def has_all() -> bool:
        query = "SELECT count(*) FROM reading JOIN controller ON controller.id = controller_id WHERE name = $1"
        return bool(await site.value(query, controller) >= count)

    await until(has_all, within_s=60)


def recent_day(service: TwinService) -> date:
    """A local day that is over, whatever the time is now."""
    return datetime.fromtimestamp(service.now_ms() / 1000, service.timezone).date() - timedelta(days=2)


def check_day(ledger: LedgerDay, midnight: datetime, expected: list[tuple[int, str]]) -> None:
    """Categories and boundaries agree to the millisecond, and every minute is accounted for."""
    moments = [midnight + timedelta(seconds=second) for second, _ in expected]
    ends = [*moments[1:], midnight + timedelta(days=1)]
    found = [(datetime.fromisoformat(s.start), datetime.fromisoformat(s.end), s.category) for s in ledger.segments]
    categories = [category for _, category in expected]
    assert found == list(zip(moments, ends, categories, strict=True))
    assert ledger.total == 1440
    assert sum(ledger.minutes.values()) == pytest.approx(1440)
    for category, minutes in ledger.minutes.items():
        seconds = sum((end - start).total_seconds() for start, end, each in found if each == category)
        assert minutes == pytest.approx(seconds / 60)


# By eye: the freezer runs about every fifty minutes, the dryer's record has gaps of minutes.
@pytest.mark.parametrize(("name", "runs", "gaps"), [("freezer_2012-01-26", 25, 0), ("dryer_2012-01-21", 10, 5)])
async def test_a_recorded_day(site: Site, name: str, runs: int, gaps: int) -> None:
    trace = TRACES / f"{name}.csv.gz"
    samples = read_trace(trace)
    expected = worked_out(samples, [second for second, _ in samples], range(DAY_S), Policy())
    categories = [category for _, category in expected]
    assert categories.count("unauthorised") >= runs, "there is something to find"
    assert categories.count("unknown") >= gaps
    async with site.serving() as service:
        day = recent_day(service)
        midnight = datetime.combine(day, datetime.min.time(), service.timezone)
        started_s = time.process_time()
        await replay(site, trace, "--history", "--date", day.isoformat())
        await stored(site, "c0", len(samples))
        assert time.process_time() - started_s < 20, "a day takes seconds"
        await say_backwards_and_twice(site, samples, round(midnight.timestamp() * 1000))
        await stored(site, "c1", len(samples))
        for code in ("I0", "I1"):
            check_day(await service.ledger(code, day), midnight, expected)
    assert await site.readings() == 2 * len(samples), "everything once"
    await site.check_ledgers()


async def say_backwards_and_twice(site: Site, samples: Sequence[tuple[int, float]], midnight_ms: int) -> None:
    """The last array first, every array twice."""
    async with site.speaking(1) as voice:
        said = [voice.message(midnight_ms + 1000 * second, power_w=w, hist=True) for second, w in samples]
        for start in reversed(range(0, len(said), 1000)):
            for _ in range(2):
                await voice.send("reading", said[start : start + 1000])


async def test_a_part_of_a_day_live(broker: BrokerInTest, database_url: str, tmp_path: Path) -> None:
    """The freezer starts, runs and stops, a hundred times as fast as recorded, by a policy that is as fast."""
    fast = Policy(hold=60_000 // SPEED, confirm=30_000 // SPEED, stale=90_000 // SPEED)
    policy = {
        "power_hold_ms": fast.hold,
        "confirm_ms": fast.confirm,
        "stale_after_ms": fast.stale,
        "offline_after_ms": fast.stale,
    }
    part = tmp_path / "part.csv"
    with gzip.open(TRACES / "freezer_2012-01-26.csv.gz", "rt", encoding="utf-8") as lines:
        part.write_text("".join(list(lines)[3258:3758]), encoding="utf-8")
    async with registered(broker, database_url, 1, policy) as site, site.serving() as service:
        await replay(site, part, "--speed", str(SPEED))
        await stored(site, "c0", 500)
        await until(lambda: (view := service.view("I0")) and view.link == "offline")
        signs, died_ms = await signs_of_life(site)
        readings = await site.sql("SELECT time, power_w FROM reading ORDER BY time, boot, seq")
        told = [(ms(row["time"]), row["power_w"]) for row in readings]
        end_ms = min(now_ms(), died_ms)
        expected = worked_out(told, signs, range(signs[0], end_ms), fast)
        written = [(ms(start), category) for start, _, category in await site.segments()]
    assert "unauthorised" in {category for _, category in expected}, "there is something to find"
    assert written[: bisect_left(written, (end_ms, ""))] == expected


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


async def signs_of_life(site: Site) -> tuple[list[int], int]:
    """When the controller can be known to have been there, and when it died: a message vouches from two clocks."""
    rows = await site.sql(
        "SELECT time, received, 'reading' AS kind FROM reading UNION ALL SELECT time, received, kind FROM event"
    )
    alive = [row for row in rows if row["kind"] != "death"]
    deaths: list[Any] = [row["received"] for row in rows if row["kind"] == "death"]
    return sorted({ms(moment) for row in alive for moment in (row["time"], row["received"])}), ms(min(deaths))
