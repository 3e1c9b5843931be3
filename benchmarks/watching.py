"""A board as a process of its own: keeps every frame with the moment it came, and looks into them only at the end.

So the measuring end costs next to nothing while it measures. At the end it prints what it saw as one JSON line.
"""

import asyncio
import os
import signal
import time
from datetime import datetime

import msgspec
import uvloop
from websockets.asyncio.client import ClientConnection, connect


class _Twin(msgspec.Struct):
    controller: str
    seen: str | None


class _Frame(msgspec.Struct):
    changes: list[_Twin] = []
    snapshot: list[_Twin] = []


class Watched(msgspec.Struct, frozen=True):
    """How many frames came, and the sights of each controller: when it had been heard, when the frame was here.

    Both in ms since the epoch, in the order of the frames.
    """

    frames: int
    sights: dict[str, list[tuple[int, float]]]


async def watch(socket: ClientConnection, frames: list[tuple[float, bytes]]) -> None:
    """Take frames until the line is cut."""
    while True:
        frame = await socket.recv(decode=False)
        frames.append((time.time() * 1000, frame))
        if len(frames) == 1:
            print("ready", flush=True)


def sights(frames: list[tuple[float, bytes]]) -> Watched:
    """What stood in the frames."""
    found: dict[str, list[tuple[int, float]]] = {}
    decoder = msgspec.json.Decoder(_Frame)
    for here_ms, text in frames:
        frame = decoder.decode(text)
        for twin in (*frame.snapshot, *frame.changes):
            if twin.seen is not None:
                found.setdefault(twin.controller, []).append((_ms(twin.seen), here_ms))
    return Watched(len(frames), found)


def _ms(time_: str) -> int:
    return round(datetime.fromisoformat(time_).timestamp() * 1000)


async def main() -> None:
    """Watch the board at BOARD_URL until SIGTERM."""
    frames: list[tuple[float, bytes]] = []
    async with connect(os.environ["BOARD_URL"], compression=None, max_size=None) as socket:
        watching = asyncio.create_task(watch(socket, frames))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, watching.cancel)
        await asyncio.wait([watching])
        if not watching.cancelled():
            watching.result()
    print(msgspec.json.encode(sights(frames)).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
