"""The MQTT reader: what the broker delivers, in batches, acknowledged only when we say so.

aiomqtt connects, subscribes and notices losses, but it hands messages out one by one with a task each. So its queue is
one that hands out all that was received since the last look. What is not acknowledged stays with the broker and comes
again after a reconnect: its limit of messages in flight bounds what waits here.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any, cast

import aiomqtt
import structlog
from paho.mqtt.enums import MessageType

from twin.stream.backlog import Backlog
from twin.stream.backoff import Backoff
from twin.stream.broker import BrokerAddress
from twin.stream.intake import Intake
from twin.stream.packets import Delivery
from twin.stream.topics import Topics

log = structlog.get_logger(__name__)

LINGER_S = 0.005
"""After the first message of a batch, how long to wait for company."""


class _Gathering:
    """A queue for aiomqtt whose `get` hands out all that has gathered."""

    def __init__(self, maxsize: int = 0) -> None:
        del maxsize
        self._gathered: list[Delivery] = []
        self._filled = asyncio.Event()

    def extend(self, deliveries: Sequence[Delivery]) -> None:
        self._gathered += deliveries
        self._filled.set()

    async def get(self) -> list[Delivery]:
        await self._filled.wait()
        await asyncio.sleep(LINGER_S)
        return self.all()

    def all(self) -> list[Delivery]:
        gathered, self._gathered = self._gathered, []
        self._filled.clear()
        return gathered


class Reader:
    """Subscribes to everything controllers say, in a session that the broker keeps while we are away."""

    def __init__(
        self,
        broker: BrokerAddress,
        client_id: str,
        topics: Topics,
        *,
        on_link: Callable[[bool], None],
        backlog: Backlog,
        clock: Callable[[], int],
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._topics = topics
        self._on_link = on_link
        self._backlog = backlog
        self._clock = clock
        self._marking: asyncio.Task[None] | None = None
        self._connection = 0
        self._client: aiomqtt.Client | None = None
        self._latest_ms = 0

    async def batches(self) -> AsyncIterator[list[Delivery]]:
        """Deliveries in the order of their arrival, for ever; reconnects by itself."""
        backoff = Backoff()
        while True:
            try:
                async for batch in self._connected(backoff):
                    yield batch
            except aiomqtt.MqttError as error:
                log.warning("broker.lost", error=str(error), retry_s=round(backoff.next_s, 1))
            finally:
                self._client = None
                self._stop_marking()
                self._backlog.end()
                self._on_link(False)
            await backoff.wait()

    async def _connected(self, backoff: Backoff) -> AsyncIterator[list[Delivery]]:
        client = self._broker.client(self._client_id, clean_session=False, queue_type=cast("Any", _Gathering))
        gathering = cast("_Gathering", client._queue)  # noqa: SLF001 - aiomqtt makes it of the type given
        paho = client._client  # noqa: SLF001 - aiomqtt has no other way to acknowledge by hand
        paho.manual_ack_set(True)
        self._connection += 1
        Intake(paho, self._connection, self._now_ms, gathering.extend)
        async with client:
            self._client = client
            await client.subscribe([(each, 1) for each in self._topics.subscriptions()])
            self.mark()
            backoff.reset()
            self._on_link(True)
            log.info("broker.connected", host=self._broker.host, port=self._broker.port)
            try:
                async for gathered in cast("AsyncIterator[list[Delivery]]", client.messages):
                    yield gathered
            except aiomqtt.MqttError:
                yield gathering.all()  # a broker that crashed may have forgotten what it had sent
                raise

    def mark(self) -> None:
        """Find out when everything has been handed out that waits at the broker now."""
        if self._client is not None:
            self._stop_marking()
            self._marking = asyncio.create_task(self._publish_mark(self._client, self._backlog.begin()))

    def _stop_marking(self) -> None:
        if self._marking is not None:
            self._marking.cancel()

    async def _publish_mark(self, client: aiomqtt.Client, mark: bytes) -> None:
        with suppress(aiomqtt.MqttError):  # a connection that is lost ends the backlog as well
            await client.publish(self._topics.mark(), mark, qos=1)

    def _now_ms(self) -> int:
        """Time of receipt. It never runs backwards, whatever the machine's clock does."""
        self._latest_ms = max(self._latest_ms, self._clock())
        return self._latest_ms

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that these are ours now. Those of a connection that is gone will come again and be known."""
        if self._client is None:
            return
        mids = [each.mid for each in deliveries if each.qos == 1 and each.connection == self._connection]
        if mids:
            _send_acks(self._client, mids)


def _send_acks(client: aiomqtt.Client, mids: Sequence[int]) -> None:
    """Queue all PUBACKs as one packet of bytes: paho's `ack` wakes the loop and calls `send` once a message."""
    acks = b"".join(b"\x40\x02" + mid.to_bytes(2) for mid in mids)
    client._client._packet_queue(MessageType.PUBACK, acks, mids[-1], 1)  # noqa: SLF001
