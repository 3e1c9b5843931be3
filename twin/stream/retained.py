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
                    await self._send_until_lost(client)
            except aiomqtt.MqttError as error:
                log.warning("broker.grants_lost", error=str(error), retry_s=round(backoff.next_s, 1))
            await backoff.wait()

    async def _send_until_lost(self, client: aiomqtt.Client) -> None:
        """Raises aiomqtt.MqttError when the connection is gone, also while there is nothing to send."""
        lost = asyncio.create_task(_lost(client))
        try:
            while not lost.done():
                self._filled.clear()
                await self._send(client)
                filled = asyncio.create_task(self._filled.wait())
                try:
                    await asyncio.wait({lost, filled}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    filled.cancel()
            await lost
        finally:
            lost.cancel()

    async def _send(self, client: aiomqtt.Client) -> None:
        while self._waiting:
            topic = next(iter(self._waiting))
            del self._waiting[topic]  # what is put while it is being sent waits again
            await client.publish(topic, self._newest[topic], qos=1, retain=True)


async def _lost(client: aiomqtt.Client) -> None:
    """Nothing is subscribed to: all there is to hear is that the connection is gone."""
    async for _ in client.messages:
        pass
