"""What the service publishes: public states, commands, and what controllers may allow, each by a connection of its own.

So a command never waits behind ten thousand states. A broker that was away may have forgotten everything that it was to
retain: it is told everything anew.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NoReturn

import aiomqtt
import msgspec

from twin.rules.outcome import Command
from twin.stream.broker import BrokerAddress
from twin.stream.commands import wire_command
from twin.stream.outbox import Outbox
from twin.stream.speaking import keep_speaking
from twin.stream.topics import Topics

ROUND_S = 1.0
MAX_A_ROUND = 500
"""What other programs are told must never slow down what the service hears."""
AT_A_TIME = 10
"""Commands under way to the broker: a slow one does not hold up the others."""


class StateWriter:
    """Publishes what is marked as changed, as it is when its turn comes: a state overtaken by a newer one is not sent.

    `render` gives topic and payload of a name. What waits is bounded by the number of names.
    """

    def __init__(self, broker: BrokerAddress, client_id: str, render: Callable[[str], tuple[str, bytes]]) -> None:
        self._broker = broker
        self._client_id = client_id
        self._render = render
        self._names: set[str] = set()
        self._waiting: dict[str, None] = {}

    def mark(self, names: Iterable[str]) -> None:
        """These have changed."""
        for name in names:
            self._names.add(name)
            self._waiting[name] = None

    async def run(self) -> NoReturn:
        """Send, for ever; reconnect by itself."""
        await keep_speaking(self._broker, self._client_id, self._send)

    async def _send(self, client: aiomqtt.Client) -> NoReturn:
        self.mark(sorted(self._names))
        while True:
            for name in list(self._waiting)[:MAX_A_ROUND]:
                del self._waiting[name]  # what changes while it is being sent waits again
                topic, payload = self._render(name)
                await client.publish(topic, payload, retain=True)
            await asyncio.sleep(ROUND_S)


class CommandWriter:
    """Sends each command of the outbox as it comes due."""

    def __init__(self, broker: BrokerAddress, client_id: str, topics: Topics, outbox: Outbox) -> None:
        self._broker = broker
        self._client_id = client_id
        self._topics = topics
        self._outbox = outbox
        self._filled = asyncio.Event()

    def nudge(self) -> None:
        """The outbox has something new: it is sent as soon as the broker is there."""
        self._filled.set()

    async def run(self) -> NoReturn:
        """Send, for ever; reconnect by itself."""
        await keep_speaking(self._broker, self._client_id, self._send)

    async def _send(self, client: aiomqtt.Client) -> NoReturn:
        while True:
            self._filled.clear()
            due = iter(self._outbox.next, None)
            while commands := list(islice(due, AT_A_TIME)):
                await asyncio.gather(*(self._publish(client, each) for each in commands))
            await _at_most(ROUND_S, self._filled)

    async def _publish(self, client: aiomqtt.Client, command: Command) -> None:
        payload = msgspec.json.encode(wire_command(command))
        await client.publish(self._topics.command(command.controller), payload, qos=1)


class RetainedWriter:
    """Sends what is put, at QoS 1; of one topic only the newest. What waits is bounded by the number of topics."""

    def __init__(self, broker: BrokerAddress, client_id: str) -> None:
        self._broker = broker
        self._client_id = client_id
        self._newest: dict[str, bytes] = {}
        self._waiting: dict[str, None] = {}
        self._filled = asyncio.Event()

    def put(self, topic: str, payload: bytes) -> None:
        """Let this stand at the topic."""
        self._newest[topic] = payload
        self._waiting[topic] = None
        self._filled.set()

    async def run(self) -> NoReturn:
        """Send, for ever; reconnect by itself."""
        await keep_speaking(self._broker, self._client_id, self._send)

    async def _send(self, client: aiomqtt.Client) -> NoReturn:
        self._waiting = dict.fromkeys(self._newest)
        while True:
            self._filled.clear()
            while self._waiting:
                topic = next(iter(self._waiting))
                del self._waiting[topic]  # what is put while it is being sent waits again
                await client.publish(topic, self._newest[topic], qos=1, retain=True)
            await self._filled.wait()


async def _at_most(seconds: float, event: asyncio.Event) -> None:
    """Wait for the event, or for so long: some commands are due again by time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
