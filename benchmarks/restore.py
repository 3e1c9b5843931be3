"""How long a service takes from the start of its process until it is there again, and how much memory.

A large site is made as it is after a day's work (`benchmarks.multiplied`), then `twin up` is started on it as after a
crash. It is ready when its twins are restored, its pages answer and the broker knows it: from then on it takes what is
said. What came due in the pause happens after that, each thing at its own time, and is waited for as well.
"""

import asyncio
import time

import msgspec

from benchmarks import multiplied
from benchmarks.lab import open_lab
from benchmarks.multiplied import Multiplied
from benchmarks.processes import Child, cpu_seconds, peak_mb
from benchmarks.subjects import is_healthy, starting_service, until
from twin.servers import Progress

READY_WITHIN_S = 300.0
ABREAST_WITHIN_S = 900.0
_READY = (b"service.ready", b"broker.connected")


class Plan(msgspec.Struct, frozen=True):
    """How large."""

    twins: int = 100_000


class Result(msgspec.Struct, frozen=True):
    """Seconds since the process was made; memory is the most that it has taken by then, in MB."""

    plan: Plan
    site: Multiplied
    ready_s: float
    ready_mb: float
    ready_cpu_s: float
    """Of the service's process."""
    abreast_s: float
    """Everything that came due in the pause has happened and is stored."""
    abreast_mb: float


async def measure(plan: Plan, progress: Progress) -> Result:
    """Measure. Raises BenchError or ServersError where it cannot be done."""
    async with open_lab(progress) as lab, lab.empty_site() as site:
        made = await multiplied.make(site.database_url, plan.twins, progress)
        progress("Starting the service", None)
        started_s = time.monotonic()
        async with starting_service(site) as (service, health):
            await until(service, lambda: asyncio.to_thread(_is_ready, service), READY_WITHIN_S)
            ready_s = time.monotonic() - started_s
            ready_mb, ready_cpu_s = peak_mb(service.pid), cpu_seconds(service.pid)
            progress("Letting happen what came due meanwhile", None)
            await until(service, lambda: asyncio.to_thread(is_healthy, health), ABREAST_WITHIN_S)
            return Result(
                plan=plan,
                site=made,
                ready_s=round(ready_s, 2),
                ready_mb=round(ready_mb, 1),
                ready_cpu_s=round(ready_cpu_s, 2),
                abreast_s=round(time.monotonic() - started_s, 2),
                abreast_mb=round(peak_mb(service.pid), 1),
            )


def _is_ready(service: Child) -> bool:
    said = service.log.read_bytes()
    return all(each in said for each in _READY)
