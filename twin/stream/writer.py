"""The MQTT writer: commands as they come due, and retained states, each at most once a second."""

import asyncio
from collections.abc import Callable, Iterable

import aiomqtt
import msgspec
import structlog

from twin.stream.backoff import Backoff
from twin.stream.broker import BrokerAddress
from twin.stream.commands import wire_command
from twin.stream.outbox import Outbox
from twin.stream.topics import Topics

log = structlog.get_logger(__name__)

ROUND_S = 1.0
MAX_A_ROUND = 500
"""What other programs are told must never slow down what the service hears."""


class StateWriter:
    """Publishes what is marked as changed, as it is when its turn comes: a state overtaken by a newer one is not sent.

    `render` gives topic and payload of a name. What waits is bounded by the number of names. A broker that was away may
    have forgotten everything, so it is told everything anew.
    """

    def __init__(
        self,
        broker: BrokerAddress,
        client_id: str,
        topics: Topics,
        *,
        render: Callable[[str], tuple[str, bytes]],
        outbox: Outbox,
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._topics = topics
        self._render = render
        self._outbox = outbox
        self._names: set[str] = set()
        self._waiting: dict[str, None] = {}
        self._filled = asyncio.Event()

    def mark(self, names: Iterable[str]) -> None:
        """These have changed."""
        for name in names:
            self._names.add(name)
            self._waiting[name] = None

    def nudge(self) -> None:
        """The outbox has something new: it is sent as soon as the broker is there."""
        self._filled.set()

    async def run(self) -> None:
        """Send, for ever; reconnect by itself."""
        backoff = Backoff()
        while True:
            try:
                async with self._broker.client(self._client_id) as client:
                    backoff.reset()
                    self.mark(sorted(self._names))
                    await self._send(client)
            except aiomqtt.MqttError as error:
                log.warning("broker.writer_lost", error=str(error), retry_s=round(backoff.next_s, 1))
            await backoff.wait()

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            for name in list(self._waiting)[:MAX_A_ROUND]:
                del self._waiting[name]  # what changes while it is being sent waits again
                topic, payload = self._render(name)
                await client.publish(topic, payload, retain=True)
            await self._send_commands(client)

    async def _send_commands(self, client: aiomqtt.Client) -> None:
        """For the time of a round: each command at once, the states have time."""
        try:
            async with asyncio.timeout(ROUND_S):
                while True:
                    self._filled.clear()
                    while (command := self._outbox.next()) is not None:
                        payload = msgspec.json.encode(wire_command(command))
                        await client.publish(self._topics.command(command.controller), payload, qos=1)
                    await self._filled.wait()
        except TimeoutError:
            pass
