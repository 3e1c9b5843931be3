"""How many messages a second the service takes in for good, next to the floor in the same run.

A turn: a fresh site with database and broker of its own, one subject, one publisher that speaks for all controllers at
a rate above what the subject can take. The figure is messages stored, from the first published to the last committed,
backlog and all; afterwards the referee looks for every reading. Floor and service take turns, so that whatever else
goes on on the machine meets both.
"""

import statistics
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from benchmarks.lab import Site, open_lab
from benchmarks.listening import Heard
from benchmarks.processes import Child, cpu_seconds
from benchmarks.publisher import Published, publish
from benchmarks.referee import judge, until_drained
from benchmarks.subjects import Subject, running, running_service
from twin.servers import Progress
from twin.servers.process import until

PATIENCE_S = 60.0


class Plan(msgspec.Struct, frozen=True):
    """How long and how hard."""

    controllers: int = 5_000
    seconds: float = 10.0
    rate: float = 40_000.0
    rounds: int = 3
    parts: bool = True
    """Measure the reader by itself too."""


class Turn(msgspec.Struct, frozen=True):
    """One subject's turn. `lost` and `duplicated` are None where nothing is stored."""

    subject: Subject
    published: int
    publish_rate: float
    rate: float
    """Messages a second, stored (for the reader alone: received)."""
    cpu_us: dict[str, float]
    """CPU time of each process a message, in microseconds."""
    lost: int | None = None
    duplicated: int | None = None
    messages_a_commit: float | None = None
    complaint: str | None = None
    """What the subject said last, where something is lost or there twice."""


class Result(msgspec.Struct, frozen=True):
    """All turns, and the medians."""

    plan: Plan
    turns: tuple[Turn, ...]
    rates: dict[Subject, float]
    ratio: float
    """Service to floor, of the medians."""
    lost: int
    duplicated: int


async def measure(plan: Plan, progress: Progress) -> Result:
    """Measure everything. Raises BenchError or ServersError where it cannot be done."""
    turns: list[Turn] = []
    order = [Subject.FLOOR, Subject.SERVICE] * plan.rounds + [Subject.READER, Subject.DECODER] * plan.parts
    async with open_lab(progress) as lab:
        for number, subject in enumerate(order):
            progress(f"Turn {number + 1} of {len(order)}: {subject.value}", number / len(order))
            async with lab.site(plan.controllers) as site:
                turns.append(await _turn(plan, site, subject))
    return _result(plan, turns)


async def _turn(plan: Plan, site: Site, subject: Subject) -> Turn:
    match subject:
        case Subject.SERVICE:
            async with running_service(site) as (service, board):
                return await _stored(plan, site, subject, {"subject": service, "board": board})
        case Subject.FLOOR:
            async with running(subject, site) as floor:
                return await _stored(plan, site, subject, {"subject": floor})
        case Subject.READER | Subject.DECODER:
            return await _heard(plan, site, subject)


async def _stored(plan: Plan, site: Site, subject: Subject, children: dict[str, Child]) -> Turn:
    meter = Meter(site, children)
    published = await publish(site, rate=plan.rate, seconds=plan.seconds)
    await until_drained(site.database_url, published)
    cpu_us = meter.a_message(published)
    for each in children.values():
        each.check()
    stored = await judge(site.database_url, published)
    return Turn(
        subject=subject,
        published=published.acknowledged,
        publish_rate=published.rate,
        rate=round(stored.messages / max(0.001, stored.last_ms - published.started_ms) * 1000, 1),
        cpu_us=cpu_us,
        lost=stored.lost,
        duplicated=stored.duplicated,
        messages_a_commit=round(stored.messages / max(1, stored.commits), 1),
        complaint=children["subject"].said() if stored.lost or stored.duplicated else None,
    )


async def _heard(plan: Plan, site: Site, subject: Subject) -> Turn:
    async with running(subject, site) as reader:
        meter = Meter(site, {"subject": reader})
        published = await publish(site, rate=plan.rate, seconds=plan.seconds)
        heard = await _all_heard(reader, published.acknowledged)
        return Turn(
            subject=subject,
            published=published.acknowledged,
            publish_rate=published.rate,
            rate=round(heard.messages / max(0.001, heard.last_ms - published.started_ms) * 1000, 1),
            cpu_us=meter.a_message(published),
            lost=published.acknowledged - heard.messages,
        )


async def _all_heard(reader: Child, expected: int) -> Heard:
    """How far it came, once it has all or its time is up."""
    with suppress(TimeoutError):
        await until(lambda: _last_heard(reader).messages >= expected, PATIENCE_S)
    return _last_heard(reader)


def _last_heard(reader: Child) -> Heard:
    try:
        return msgspec.json.decode(reader.last_line(), type=Heard)
    except msgspec.DecodeError:  # "ready", or a line half written
        return Heard()


class Meter:
    """CPU time of every process from now on."""

    def __init__(self, site: Site, children: dict[str, Child]) -> None:
        self._pids = site.pids | {name: each.pid for name, each in children.items()}
        self._before = self._now()

    def a_message(self, published: Published) -> dict[str, float]:
        """Microseconds a message, of each process."""
        used = {name: used_s - self._before[name] for name, used_s in self._now().items()}
        each = {name: round(used_s * 1e6 / max(1, published.acknowledged), 1) for name, used_s in used.items()}
        return each | {"publisher": published.cpu_us_per_message}

    def _now(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self._pids.items()}


def _result(plan: Plan, turns: Sequence[Turn]) -> Result:
    rates = {
        subject: statistics.median(turn.rate for turn in turns if turn.subject is subject)
        for subject in dict.fromkeys(turn.subject for turn in turns)
    }
    return Result(
        plan=plan,
        turns=tuple(turns),
        rates=rates,
        ratio=round(rates[Subject.SERVICE] / max(1.0, rates[Subject.FLOOR]), 3),
        lost=sum(turn.lost or 0 for turn in turns),
        duplicated=sum(turn.duplicated or 0 for turn in turns),
    )
