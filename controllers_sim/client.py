"""One controller's connection to the broker: MQTT 3.1.1 by aiomqtt, QoS 1, kept up for as long as the simulation runs.

One message is under way at a time, so that order is kept and the broker's pace is the controller's; what cannot be sent
waits in the controller's own bounded queue.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from random import Random
from types import TracebackType

import aiomqtt

from controllers_sim import wire
from controllers_sim.broker import Account, Broker
from controllers_sim.controller import Controller
from controllers_sim.errors import SimulatorError
from controllers_sim.faults import ClockJump, FaultStage, Outage, Reboot, Trouble
from controllers_sim.past import Past
from controllers_sim.wire import Message

log = logging.getLogger("controllers_sim")
# Losing a connection is told here, once and by name; paho's and aiomqtt's own lines would say it again.
_quiet = logging.getLogger("controllers_sim.mqtt")
_quiet.setLevel(logging.CRITICAL)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 20.0
REBOOT_S = 3.0
HISTORY_PAUSE_S = 0.5
"""Between two arrays of buffered readings, on average: 2,000 readings a second."""
REFUSED = {4, 5, 134, 135}
"""Return codes of a broker that does not accept the account: MQTT 3.1.1, and as paho puts them in MQTT 5 terms."""


@dataclass(slots=True)
class Tally:
    """What all links together have done so far."""

    acknowledged: int = 0
    online: int = 0
    lost_connections: int = 0
    commands: int = 0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all links of a simulation share.

    `clock` gives ms since the epoch; `gate` bounds simultaneous connecting.
    """

    broker: Broker
    clock: Callable[[], int]
    gate: asyncio.Semaphore
    stop: asyncio.Event
    tally: Tally


class _Interrupted(Exception):  # noqa: N818 - a fault on request, not an error
    """The connection is to be torn and taken up again after `pause_s`."""

    def __init__(self, pause_s: float) -> None:
        super().__init__()
        self.pause_s = pause_s


class Link:
    """Keeps one controller in touch with the broker."""

    def __init__(
        self, controller: Controller, account: Account | None, faults: FaultStage, rng: Random, around: Surroundings
    ) -> None:
        self.controller = controller
        self._account = account
        self._faults = faults
        self._rng = rng
        self._around = around
        self._past: Past | None = None
        self._work = asyncio.Event()
        self._history_due_s = 0.0

    def wake(self) -> None:
        """Say that the controller has something to send, or that it is time to stop."""
        self._work.set()

    async def run(self, past: Past | None = None) -> None:
        """Connect, talk, reconnect with growing and scattered pauses, until told to stop. `past` is told once."""
        self._past = past
        failures = 0
        while not self._around.stop.is_set():
            try:
                await self._session()
            except _Interrupted as interruption:
                failures, pause_s = 0, interruption.pause_s
            except aiomqtt.MqttError as error:
                failures = 0 if self.controller.online else failures + 1
                pause_s = backoff_s(failures, self._rng)
                self._tell(error, failures)
            else:
                return
            finally:
                self._note_lost()
            await wait_for(self._around.stop, pause_s)
            if not self.controller.awake:
                self.controller.boot(self._around.clock())

    async def _session(self) -> None:
        async with AsyncExitStack() as stack:
            async with self._around.gate:
                mqtt = await stack.enter_async_context(self._client())
                name = self.controller.hardware.id
                await mqtt.subscribe([(wire.topic(name, "grants"), 1), (wire.topic(name, "command"), 1)])
            await self._recall(mqtt)
            self.controller.connected(self._around.clock())
            self._around.tally.online += 1
            listener = asyncio.create_task(self._listen(mqtt))
            try:
                await self._talk(mqtt, listener)
                await self._say_goodbye(mqtt)
            except _Interrupted:
                await _tear(mqtt, listener)
                raise
            finally:
                listener.cancel()

    def _client(self) -> AbstractAsyncContextManager[aiomqtt.Client]:
        return connection(self._around.broker, self._account, self.controller.hardware.id, will=self.controller.will())

    async def _talk(self, mqtt: aiomqtt.Client, listener: asyncio.Task[None]) -> None:
        while not listener.done():
            self._work.clear()
            message = self.controller.take(history=False)
            if message is None and self.controller.has_history and self._has_time():
                message = self.controller.take()
            if message is not None:
                await self._send(mqtt, message)
            elif self.controller.reboot_asked:
                self._suffer(Reboot())
            elif self.controller.has_history:
                await wait_for(self._work, HISTORY_PAUSE_S)
            elif self._around.stop.is_set():
                return
            else:
                await self._work.wait()
        raise aiomqtt.MqttError("the connection is gone")

    def _has_time(self) -> bool:
        """Whether it is time for the next array of history: many that come back together must not flood anybody."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._history_due_s and not self._around.stop.is_set():
            return False
        self._history_due_s = now_s + HISTORY_PAUSE_S * self._rng.uniform(0.5, 1.5)
        return True

    async def _send(self, mqtt: aiomqtt.Client, message: Message) -> None:
        messages, trouble = self._faults.apply(message)
        for each in messages:
            await self._publish(mqtt, each)
        self.controller.delivered()
        if trouble is not None:
            self._suffer(trouble)

    async def _publish(self, mqtt: aiomqtt.Client, message: Message) -> None:
        await mqtt.publish(message.topic, message.payload, qos=1)
        self._around.tally.acknowledged += 1

    async def _recall(self, mqtt: aiomqtt.Client) -> None:
        """Tell of the past before anything newer: in the order of time it is cheaply taken in. No faults in it."""
        while self._past is not None and not self._around.stop.is_set():
            message = self._past.head()
            if message is None:
                self._past = None
            else:
                await self._publish(mqtt, message)
                self._past.delivered()

    def _suffer(self, trouble: Trouble) -> None:
        match trouble:
            case ClockJump(skew_ms):
                self.controller.skew_ms = skew_ms
            case Outage(for_ms):
                raise _Interrupted(for_ms / 1000)
            case Reboot():
                self._note_lost()
                self.controller.halt()
                raise _Interrupted(REBOOT_S)

    async def _listen(self, mqtt: aiomqtt.Client) -> None:
        with suppress(aiomqtt.MqttError):
            async for message in mqtt.messages:
                self._hear(message)
        self.wake()

    def _hear(self, message: aiomqtt.Message) -> None:
        if message.topic.value == wire.topic(self.controller.hardware.id, "grants"):
            self.controller.grants(message.payload)
            return
        self.controller.command(self._around.clock(), message.payload)
        self._around.tally.commands += 1
        self.wake()

    async def _say_goodbye(self, mqtt: aiomqtt.Client) -> None:
        """End in order: what is held back goes out, then the death that an orderly DISCONNECT would suppress."""
        for message in (*self._faults.flush(), self.controller.will()):
            await self._publish(mqtt, message)

    def _note_lost(self) -> None:
        if self.controller.online:
            self._around.tally.online -= 1
            self._around.tally.lost_connections += not self._around.stop.is_set()
        self.controller.lost()

    def _tell(self, error: aiomqtt.MqttError, failures: int) -> None:
        name = self.controller.hardware.id
        if failures == 1 and is_refused(error):
            log.warning("%s: the broker refuses its account; trying again", name)
        else:  # of hundreds at once: the display counts them
            log.debug("%s: %s; trying again", name, error)


class _Client(aiomqtt.Client):
    """aiomqtt's client, which leaves the end of a connection unasked for where something else noticed it first."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            await super().__aexit__(kind, error, where)
        finally:
            if self._disconnected.done() and not self._disconnected.cancelled():
                self._disconnected.exception()


def connection(
    broker: Broker, account: Account | None, client_id: str, will: Message | None = None
) -> AbstractAsyncContextManager[aiomqtt.Client]:
    """Make a connection that has not been opened yet."""
    return _Client(
        broker.host,
        broker.port,
        username=account.username if account else None,
        password=account.password if account else None,
        identifier=client_id,
        will=aiomqtt.Will(will.topic, will.payload, qos=1) if will else None,
        keepalive=30,
        logger=_quiet,
        max_queued_incoming_messages=100,
    )


async def check(broker: Broker, account: Account | None, client_id: str) -> None:
    """Connect once, so that what is wrong is said before anything starts.

    Raises:
        SimulatorError: the broker does not answer, or refuses the account.

    """
    try:
        async with connection(broker, account, client_id):
            return
    except aiomqtt.MqttError as error:
        raise explained(error, broker, account) from None


def explained(error: Exception, broker: Broker, account: Account | None) -> SimulatorError:
    """Say what a failed connection means and what to do about it."""
    return refused(broker, account) if is_refused(error) else unreachable(broker, error)


def refused(broker: Broker, account: Account | None) -> SimulatorError:
    """Say that the account is not accepted."""
    who = f"the account {account.username!r}" if account else "a connection without an account"
    advice = "Check user name and password where the broker is given: --join, MQTT_URL, or the scenario."
    return SimulatorError(f"The broker at {broker.address} refuses {who}.", advice)


def unreachable(broker: Broker, why: object) -> SimulatorError:
    """Say that nobody answers."""
    advice = "Is it running (twin up, twin demo), and are host and port right in --join, MQTT_URL or [broker]?"
    return SimulatorError(f"No MQTT broker answers at {broker.address}: {why}.", advice)


def is_refused(error: Exception) -> bool:
    """Whether the broker refused the account."""
    if not isinstance(error, aiomqtt.MqttCodeError) or error.rc is None:
        return False
    return (error.rc if isinstance(error.rc, int) else error.rc.value) in REFUSED


def backoff_s(failures: int, rng: Random) -> float:
    """Give the pause before the next attempt: doubling up to a bound, and scattered over its second half."""
    longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 10))
    return longest_s * rng.uniform(0.5, 1.0)


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _tear(mqtt: aiomqtt.Client, listener: asyncio.Task[None]) -> None:
    """Break the connection as a pulled plug does, so that the broker speaks the will; aiomqtt offers no such thing."""
    plug = mqtt._client.socket()  # noqa: SLF001
    if isinstance(plug, socket.socket):
        with suppress(OSError):
            plug.shutdown(socket.SHUT_RDWR)
    await asyncio.wait({listener}, timeout=5)
