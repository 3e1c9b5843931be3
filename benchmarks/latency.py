"""How long a published reading takes to a board: through broker, twin, database and WebSocket.

The publisher stamps each reading; the board, a process of its own, notes when each frame came. A frame says of every
twin when its controller was last heard; the table holds when each reading was received: so each reading is paired
with the first frame that showed it, or a newer one of the same twin. All clocks are one, this machine's.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from statistics import quantiles

import asyncpg
import msgspec

from benchmarks.lab import Site, open_lab
from benchmarks.publisher import Published, publish
from benchmarks.referee import judge, until_drained
from benchmarks.subjects import running_service
from benchmarks.watching import Watched
from twin.servers import Progress

LAST_FRAME_S = 1.0

_READINGS = """
SELECT name, round(extract(epoch FROM received) * 1000)::bigint AS received, extract(epoch FROM time) * 1000 AS ts
FROM reading JOIN controller ON controller.id = controller_id WHERE boot = $1
"""


class Plan(msgspec.Struct, frozen=True):
    """How long and how hard."""

    controllers: int = 5_000
    seconds: float = 20.0
    rate: float = 2_000.0
    warm_up_s: float = 5.0
    """Counted apart: so long thousands of births at once and the first readings keep the service busy."""


class Result(msgspec.Struct, frozen=True):
    """Milliseconds from the controller's stamp to the frame. `unseen` readings were never shown, nor a newer one.

    All figures are of what was published after the warm-up, but `warm_up_max_ms`.
    """

    plan: Plan
    published: int
    publish_rate: float
    measured: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    warm_up_max_ms: float
    unseen: int
    frames: int
    lost: int
    duplicated: int


async def measure(plan: Plan, progress: Progress) -> Result:
    """Measure. Raises BenchError or ServersError where it cannot be done."""
    async with open_lab(progress) as lab, lab.site(plan.controllers) as site:
        progress("Starting the service", None)
        async with running_service(site) as (_, board):
            progress(f"Publishing {plan.rate:g} readings a second for {plan.seconds:g} s", None)
            published = await publish(site, rate=plan.rate, seconds=plan.seconds)
            await until_drained(site.database_url, published)
            await asyncio.sleep(LAST_FRAME_S)  # boards may lag behind the table by that much
            await board.stop()
            watched = msgspec.json.decode(board.last_line(), type=Watched)
        return await _result(plan, site, published, watched)


async def _result(plan: Plan, site: Site, published: Published, watched: Watched) -> Result:
    stored = await judge(site.database_url, published)
    connection = await asyncpg.connect(site.database_url)
    try:
        rows = await connection.fetch(_READINGS, published.boot)
    finally:
        await connection.close()
    since_ms = published.started_ms + 1000 * plan.warm_up_s
    readings = [(row["name"], row["received"], float(row["ts"])) for row in rows]
    late = [each for each in readings if each[2] >= since_ms]
    delays = _delays(late, watched)
    first = _delays([each for each in readings if each[2] < since_ms], watched)
    percentiles = quantiles(delays, n=100, method="inclusive") if len(delays) > 1 else [0.0] * 99
    return Result(
        plan=plan,
        published=published.acknowledged,
        publish_rate=published.rate,
        measured=len(delays),
        p50_ms=round(percentiles[49], 1),
        p99_ms=round(percentiles[98], 1),
        max_ms=round(max(delays, default=0.0), 1),
        warm_up_max_ms=round(max(first, default=0.0), 1),
        unseen=len(late) - len(delays),
        frames=watched.frames,
        lost=stored.lost,
        duplicated=stored.duplicated,
    )


def _delays(readings: Sequence[tuple[str, int, float]], watched: Watched) -> list[float]:
    """From the stamp of each (controller, received, ts) to the first sight of it."""
    found = []
    for controller, received_ms, ts_ms in readings:
        sights = watched.sights.get(controller, [])
        first = bisect_left(sights, received_ms, key=lambda sight: sight[0])
        if first < len(sights):
            found.append(sights[first][1] - ts_ms)
    return found
