"""A load generator: speaks for thousands of controllers over a few connections and counts every acknowledgement.

A hand-written asyncio.Protocol instead of an MQTT client: a client library keeps state, locks and a future for every
message (50 to 100 microseconds of this machine's two cores each), while the only questions here are how many bytes to
write next and how many acknowledgements have come. Since brokers acknowledge in the order of publishing
(MQTT 3.1.1, 4.6), counting them is enough to know which messages arrived, and which to send again after a lost
connection, with the same identities.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import cast

from controllers_sim import packets
from controllers_sim.broker import Broker
from controllers_sim.client import backoff_s, refused, unreachable
from controllers_sim.errors import SimulatorError
from controllers_sim.simulation import wall_clock_ms
from controllers_sim.voices import Choir

PACE_S = 0.005
SETTLE_S = 60.0
CONNECT_S = 10.0
LEAST_BATCH = 64
UNLIMITED = 1 << 62
HUNG_UP = -1


@dataclass(frozen=True, slots=True)
class Demand:
    """How much: at `rate` messages a second (None: as fast as acknowledged), until `messages` or `for_ms` is reached.

    At most `in_flight` messages of a connection wait for their acknowledgement.
    """

    rate: float | None = None
    messages: int | None = None
    for_ms: int | None = None
    in_flight: int = 1000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `sent` and `acknowledged` count readings; each controller's birth (its `seq` 0) comes on top.

    `last_seq` per controller lets a referee see that nothing was lost: its readings are 1 to that number.
    """

    sent: int
    acknowledged: int
    births: int
    seconds: float
    rate: float
    cpu_us_per_message: float
    reconnects: int
    started_ms: int
    ended_ms: int
    boot: str
    last_seq: dict[str, int]


class Speaker(asyncio.Protocol):
    """One connection's share of the load. It outlives the connection: what was not acknowledged is sent again."""

    def __init__(self, choir: Choir, in_flight: int, hello: bytes) -> None:
        self.allowed = 0
        self.sent = 0
        self.acknowledged = 0
        self.gone = asyncio.Event()
        self.settled = asyncio.Event()
        self.greeted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._choir = choir
        self._in_flight = in_flight
        self._least = min(LEAST_BATCH, max(1, in_flight // 4))
        self._hello = hello
        self._transport: asyncio.Transport | None = None
        self._unacknowledged: deque[bytes] = deque()
        self._rest = b""
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce oneself."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is none by inheritance
        self._rest = b""
        self.gone.clear()
        self.greeted = asyncio.get_running_loop().create_future()
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Count acknowledgements, and speak on."""
        data = self._rest + data
        if not self.greeted.done():
            if len(data) < packets.CONNACK_SIZE:
                self._rest = data
                return
            self._greet(data[3])
            data = data[packets.CONNACK_SIZE :]
        count, rest = divmod(len(data), packets.PUBACK_SIZE)
        self._rest = data[len(data) - rest :]
        if count and data[0] == packets.PUBACK:
            self._note(count)
            self.speak()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Wait for the next connection."""
        self._open = False
        self._transport = None
        if not self.greeted.done():
            self.greeted.set_result(HUNG_UP)
        self.gone.set()

    def pause_writing(self) -> None:
        """Hold back while the socket is full."""
        self._open = False

    def resume_writing(self) -> None:
        """Go on."""
        self._open = True
        self.speak()

    def introduce(self) -> int:
        """Send the births; gives their number."""
        births = self._choir.births(wall_clock_ms())
        self._write(births)
        return len(births)

    def speak(self) -> None:
        """Send what is allowed and fits in flight, in one write."""
        under_way = len(self._unacknowledged)
        count = min(self.allowed - self.sent, self._in_flight - under_way)
        # A few messages are not worth a system call while many others are still under way.
        if not self._open or count <= 0 or (under_way and count < self._least and count < self.allowed - self.sent):
            return
        self._write(self._choir.readings(count, wall_clock_ms()))
        self.sent += count

    def leave(self) -> None:
        """End the connection in order."""
        if self._transport is not None:
            self._transport.write(packets.DISCONNECT)
            self._transport.close()

    @property
    def waiting(self) -> int:
        """How many messages the broker has not acknowledged."""
        return len(self._unacknowledged)

    def _greet(self, code: int) -> None:
        self.greeted.set_result(code)
        if code == 0 and self._transport is not None:
            self._open = True
            self._transport.write(b"".join(self._unacknowledged))

    def _write(self, messages: list[bytes]) -> None:
        self.settled.clear()
        self._unacknowledged.extend(messages)
        if self._transport is not None:
            self._transport.write(b"".join(messages))

    def _note(self, count: int) -> None:
        self.acknowledged += count
        pending = self._unacknowledged
        if count >= len(pending):
            pending.clear()
            self.settled.set()
        else:
            for _ in range(count):
                pending.popleft()


class Load:
    """A run of the generator. Set `stop` to end it early and in order."""

    def __init__(
        self, ids: Sequence[str], broker: Broker, demand: Demand, connections: int, stop: asyncio.Event
    ) -> None:
        self._ids = ids
        self._broker = broker
        self._demand = demand
        self._stop = stop
        self._rng = Random(len(ids))
        self._boot = f"load-{wall_clock_ms():x}"
        self._choirs = [
            Choir(ids[part::connections], self._boot, self._rng) for part in range(min(connections, len(ids)))
        ]
        self._reconnects = 0

    async def run(self) -> Outcome:
        """Connect, introduce every controller, then speak as demanded and wait for the last acknowledgement.

        Raises:
            SimulatorError: the broker cannot be reached at the start, or refuses the account.

        """
        speakers = [self._speaker(number, choir) for number, choir in enumerate(self._choirs)]
        for speaker in speakers:
            await self._open(speaker)
        keepers = [asyncio.create_task(self._keep(speaker)) for speaker in speakers]
        try:
            births = sum(speaker.introduce() for speaker in speakers)
            await _settle(speakers)
            return await self._measure(speakers, births)
        finally:
            for keeper in keepers:
                keeper.cancel()
            for speaker in speakers:
                speaker.leave()

    async def _measure(self, speakers: Sequence[Speaker], births: int) -> Outcome:
        started_ms, start_s, cpu_s = wall_clock_ms(), time.perf_counter(), time.process_time()
        await self._pace(speakers, start_s)
        await _settle(speakers)
        seconds = time.perf_counter() - start_s
        sent = sum(speaker.sent for speaker in speakers)
        acknowledged = sum(speaker.acknowledged for speaker in speakers) - births
        return Outcome(
            sent=sent,
            acknowledged=acknowledged,
            births=births,
            seconds=round(seconds, 3),
            rate=round(acknowledged / seconds, 1),
            cpu_us_per_message=round((time.process_time() - cpu_s) * 1e6 / max(sent, 1), 2),
            reconnects=self._reconnects,
            started_ms=started_ms,
            ended_ms=wall_clock_ms(),
            boot=self._boot,
            last_seq={voice.id: voice.seq - 1 for choir in self._choirs for voice in choir.voices},
        )

    async def _pace(self, speakers: Sequence[Speaker], start_s: float) -> None:
        """Raise what each speaker is allowed as time goes by; between two looks they go on by themselves."""
        for_s = self._demand.for_ms / 1000 if self._demand.for_ms is not None else float("inf")
        while not self._stop.is_set() and (elapsed_s := time.perf_counter() - start_s) < for_s:
            total = self._allowed(elapsed_s)
            for number, speaker in enumerate(speakers):
                speaker.allowed = (total + number) // len(speakers)
                speaker.speak()
            if sum(speaker.sent for speaker in speakers) == self._demand.messages:
                return
            await asyncio.sleep(PACE_S)
        for speaker in speakers:
            speaker.allowed = speaker.sent

    def _allowed(self, elapsed_s: float) -> int:
        limit = UNLIMITED if self._demand.messages is None else self._demand.messages
        return limit if self._demand.rate is None else min(limit, round(self._demand.rate * elapsed_s))

    def _speaker(self, number: int, choir: Choir) -> Speaker:
        account = self._broker.account
        username, password = (account.username, account.password) if account else (None, None)
        return Speaker(choir, self._demand.in_flight, packets.connect(f"{self._boot}-{number}", username, password))

    async def _open(self, speaker: Speaker) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: speaker, self._broker.host, self._broker.port)
                code = await speaker.greeted
        except OSError as error:  # a TimeoutError is one
            raise unreachable(self._broker, error) from None
        if code in packets.CONNECT_REFUSED:
            raise refused(self._broker, self._broker.account)
        if code:
            raise unreachable(self._broker, f"it hung up (code {code})")

    async def _keep(self, speaker: Speaker) -> None:
        """Take the connection up again whenever it is lost."""
        failures = 0
        while True:
            await speaker.gone.wait()
            await asyncio.sleep(backoff_s(failures, self._rng))
            failures += 1
            with suppress(SimulatorError):
                await self._open(speaker)
                self._reconnects += 1
                failures = 0


async def _settle(speakers: Sequence[Speaker]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S):
            for speaker in speakers:
                await speaker.settled.wait()
