"""What goes wrong: drawn by the seed, carried out on real processes, wires and disks, and put right again."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec

from benchmarks.chaos.disks import Disk
from benchmarks.chaos.parts import Broker, Part, Server, Wires
from benchmarks.chaos.vitals import Vitals, now_ms
from twin.servers.process import until

DEAD_S = (0.2, 4.0)
PAUSED_S = (5.0, 60.0)
CUT_S = (1.0, 30.0)
FULL_S = (5.0, 20.0)
"""How long each lasts, before it is scaled."""
MOST_AT_ONCE = 3
HEARS_S = 120.0
HEARS_FOR_MS = 700


class Kind(StrEnum):
    """What can be done to a part."""

    KILL = "kill"
    PAUSE = "pause"
    RESTART = "restart"
    FORGET = "restart without its file"
    FULL = "full disk"
    CUT = "cut"
    STALL = "stall"


class Fault(msgspec.Struct, frozen=True):
    """Something to go wrong: how long after the round's begin, and for how long, in s."""

    kind: Kind
    target: str
    after_s: float
    for_s: float

    @property
    def name(self) -> str:
        """As it is counted."""
        return f"{self.kind.value}: {self.target}"


PARTS = ("service", "broker", "database", "controllers")
WIRES = ("controllers-broker", "service-broker", "service-database")
DECK: tuple[tuple[Kind, str], ...] = (
    *((Kind.KILL, part) for part in PARTS),
    *((Kind.PAUSE, part) for part in PARTS),
    (Kind.RESTART, "broker"),
    (Kind.FORGET, "broker"),
    (Kind.RESTART, "database"),
    (Kind.FULL, "database"),
    *((Kind.CUT, wire) for wire in WIRES),
    *((Kind.STALL, wire) for wire in WIRES),
)
_LASTS = {Kind.PAUSE: PAUSED_S, Kind.FULL: FULL_S, Kind.CUT: CUT_S, Kind.STALL: CUT_S}


def draw(seed: int, number: int, busy_s: float, scale: float) -> tuple[Fault, ...]:
    """What goes wrong in a round. One is dealt from a deck, so that all have had their turn; others join by chance."""
    deal, chance = random.Random(f"{seed} {number // len(DECK)}"), random.Random(f"{seed} round {number}")
    deck = list(DECK)
    deal.shuffle(deck)
    kinds = [deck[number % len(deck)], *chance.sample(DECK, chance.randrange(MOST_AT_ONCE))]
    return tuple(
        Fault(
            kind,
            target,
            round(chance.uniform(0.1, 0.8) * busy_s, 2),
            round(max(0.2, chance.uniform(*_LASTS.get(kind, DEAD_S)) * scale), 2),
        )
        for kind, target in dict.fromkeys(kinds)
    )


class Outage(msgspec.Struct, frozen=True):
    """A fault, and from when until when it was, ms since the epoch."""

    fault: Fault
    from_ms: int
    until_ms: int


class Forgotten(msgspec.Struct):
    """What a broker that was killed, or lost its file, may have acknowledged and have no more; ms since the epoch."""

    saved_ms: int
    """When it had last written down what it held; what it had then it still has."""
    down_ms: int
    until_ms: int
    """When the service had subscribed again, where it had forgotten it: it dropped what was published before."""


class Mischief:
    """Carries faults out, one at a time on each part, and remembers them."""

    def __init__(self, parts: Mapping[str, Part], wires: Wires, disk: Disk, vitals: Vitals, persistence: Path) -> None:
        self._parts = parts
        self._wires = wires
        self._disk = disk
        self._vitals = vitals
        self._persistence = persistence
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.done: Counter[str] = Counter()
        self.not_run: Counter[str] = Counter()
        self.outages: list[Outage] = []
        self.lost: list[Forgotten] = []

    async def carry_out(self, fault: Fault) -> None:
        """Let it go wrong at its time, and put it right."""
        await asyncio.sleep(fault.after_s)
        if fault.kind is Kind.FULL and not self._disk.is_mounted:
            self.not_run[fault.name] += 1
            return
        also = "service-broker" if fault.kind is Kind.FORGET else ""  # or nobody could tell when the service is back
        async with self._turns[fault.target], self._turns[also or fault.name]:
            from_ms = now_ms()
            await self._do(fault)
            self.done[fault.name] += 1
            self.outages.append(Outage(fault, from_ms, now_ms()))

    async def _do(self, fault: Fault) -> None:
        match fault.kind:
            case Kind.KILL:
                await self._kill(fault)
            case Kind.PAUSE:
                part = self._parts[fault.target]
                await _for_a_while(fault, part.pause, part.resume)
            case Kind.RESTART:
                await self._server(fault.target).restart()
            case Kind.FORGET:
                await self._forget(fault)
            case Kind.FULL:
                await _for_a_while(fault, self._disk.fill, self._disk.empty)
                await self._server(fault.target).revive()
            case Kind.CUT:
                wire = self._wires.all[fault.target]
                await _for_a_while(fault, wire.cut, wire.heal)
            case Kind.STALL:
                wire = self._wires.all[fault.target]
                await _for_a_while(fault, wire.stall, wire.heal)

    async def _kill(self, fault: Fault) -> None:
        part = self._parts[fault.target]
        saved_ms = self._saved_ms()
        await part.kill()
        if fault.target == "broker":
            down_ms = now_ms()
            self.lost.append(Forgotten(saved_ms, down_ms, down_ms))
        await asyncio.sleep(fault.for_s)
        await part.start()

    async def _forget(self, fault: Fault) -> None:
        server = self._parts[fault.target]
        assert isinstance(server, Broker)  # noqa: S101 - the deck asks it of the broker only
        await server.stop()
        down_ms = now_ms()
        forgotten = Forgotten(0, down_ms, down_ms)
        self.lost.append(forgotten)
        self._persistence.unlink(missing_ok=True)
        await self._within_reason(lambda: self._vitals.hearing.since_ms is None)
        await asyncio.sleep(fault.for_s)
        await server.start()
        await self._within_reason(self._hears)
        forgotten.until_ms = now_ms()
        server.save()

    def _hears(self) -> bool:
        """Is it subscribed? One that has just been let go on may say so before it has noticed that it is not."""
        since_ms = self._vitals.hearing.since_ms
        return since_ms is not None and now_ms() - since_ms >= HEARS_FOR_MS

    async def _within_reason(self, condition: Callable[[], bool]) -> None:
        """Wait for something; as long as a round may take."""
        with suppress(TimeoutError):
            await until(condition, HEARS_S)

    def _saved_ms(self) -> int:
        with suppress(OSError):
            return int(self._persistence.stat().st_mtime * 1000) - 1000
        return 0

    def _server(self, name: str) -> Server:
        part = self._parts[name]
        assert isinstance(part, Server)  # noqa: S101 - the deck asks it of servers only
        return part

    def is_excused(self, acknowledged_ms: int) -> bool:
        """Can the broker have lost a message for good that it had acknowledged then?

        Only where it crashed or lost its file, and had not been able to hand it on since.
        """
        return any(
            each.down_ms <= acknowledged_ms <= each.until_ms
            or (each.saved_ms <= acknowledged_ms <= each.down_ms and self._was_deaf(acknowledged_ms, each.down_ms))
            for each in self.lost
        )

    def _was_deaf(self, from_ms: int, until_ms: int) -> bool:
        """Could the service not hear the broker at some moment, whatever it believed?"""
        deaf = [each for each in self.outages if each.fault.target in {"service", "service-broker"}]
        told = any(each.from_ms <= until_ms and each.until_ms >= from_ms for each in deaf)
        return told or self._vitals.hearing.was_away(from_ms, until_ms)


async def _for_a_while(fault: Fault, begin: Callable[[], None], end: Callable[[], None]) -> None:
    begin()
    try:
        await asyncio.sleep(fault.for_s)
    finally:
        end()
