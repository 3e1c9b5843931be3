"""The service's own MQTT reader by itself: receives, acknowledges at once, and stores nothing.

With `--decode` it decodes each message as the recorder does. What the service needs beyond this is twins and store.
"""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress

import msgspec
import uvloop

from twin.clock import system_clock
from twin.stream.backlog import Backlog
from twin.stream.broker import parse_broker
from twin.stream.native import decode
from twin.stream.packets import Delivery
from twin.stream.reader import Reader
from twin.stream.topics import Topics, Upward

TELL_S = 0.2


class Heard(msgspec.Struct):
    """How many readings were heard, and when the first and the last batch of them came."""

    messages: int = 0
    first_ms: float = 0.0
    last_ms: float = 0.0

    def note(self, count: int) -> None:
        """Count a batch."""
        self.last_ms = time.time() * 1000
        self.first_ms = self.first_ms or self.last_ms
        self.messages += count


async def listen(reader: Reader, topics: Topics, heard: Heard, *, decoding: bool) -> None:
    """Receive for ever."""
    async for batch in reader.batches():
        count = sum(_is_reading(delivery, topics, decoding=decoding) for delivery in batch)
        if count:
            heard.note(count)
        reader.acknowledge(batch)


def _is_reading(delivery: Delivery, topics: Topics, *, decoding: bool) -> bool:
    if not decoding:
        return delivery.topic.endswith(Upward.READING.value)
    source = topics.source(delivery.topic)
    if source is None:  # the reader's own mark: the load generator knows its topics
        return False
    decode(source[1], delivery.payload)
    return source[1] is Upward.READING


def _note_link(up: bool) -> None:  # noqa: FBT001
    if up:
        print("ready", flush=True)


async def tell(heard: Heard) -> None:
    """Say again and again how far it has come."""
    while True:
        await asyncio.sleep(TELL_S)
        if heard.messages:
            print(msgspec.json.encode(heard).decode(), flush=True)


async def main() -> None:
    """Run until SIGTERM."""
    topics, heard = Topics(), Heard()
    broker = parse_broker(os.environ["MQTT_URL"])
    reader = Reader(broker, "bench-reader", topics, on_link=_note_link, backlog=Backlog(), clock=system_clock)
    listening = listen(reader, topics, heard, decoding="--decode" in sys.argv)
    running = asyncio.gather(listening, tell(heard))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    with suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    uvloop.run(main())
