"""Retained messages that must arrive: the newest of each topic, at QoS 1, whenever the broker is there."""

import asyncio

import aiomqtt
import structlog

from twin.stream.backoff import Backoff
from twin.stream.broker import BrokerAddress

log = structlog.get_logger(__name__)


class RetainedWriter:
    """Sends what is put; of one topic only the newest. What waits is bounded by the number of topics.

    A broker that was away may have forgotten everything, so it is told everything anew.
    """

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

    async def run(self) -> None:
        """Send, for ever; reconnect by itself."""
        backoff = Backoff()
        while True:
            try:
                async with self._broker.client(self._client_id) as client:
                    backoff.reset()
                    self._waiting = dict.fromkeys(self._newest)
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._send(client))
                        group.create_task(_until_lost(client))
            except* aiomqtt.MqttError as errors:
                error = str(errors.exceptions[0])
                log.warning("broker.grants_lost", error=error, retry_s=round(backoff.next_s, 1))
            await backoff.wait()

    async def _send(self, client: aiomqtt.Client) -> None:
        while True:
            self._filled.clear()
            while self._waiting:
                topic = next(iter(self._waiting))
                del self._waiting[topic]  # what is put while it is being sent waits again
                await client.publish(topic, self._newest[topic], qos=1, retain=True)
            await self._filled.wait()


async def _until_lost(client: aiomqtt.Client) -> None:
    """Nothing is subscribed to; it is noticed here that the connection is gone while there is nothing to send."""
    async for _ in client.messages:
        pass
