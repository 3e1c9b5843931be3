"""A wire on loopback that can be cut, and that can stall: bytes wait in it, and what has been sent is not lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

LOOPBACK = "127.0.0.1"
_CHUNK = 65_536


class Proxy:
    """Forwards connections to wherever the other end is at the moment."""

    port = 0

    def __init__(self, upstream: Callable[[], tuple[str, int]]) -> None:
        self._upstream = upstream
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._is_cut = False

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Listen on a port of its own, the same for as long as the block runs."""
        server = await asyncio.start_server(self._join, LOOPBACK)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            self._drop()
            server.close()

    def cut(self) -> None:
        """Break all connections, and let none through until it is healed. What is on its way is lost."""
        self._is_cut = True
        self._drop()

    def stall(self) -> None:
        """Forward nothing until it is healed; whoever connects waits."""
        self._flowing.clear()

    def heal(self) -> None:
        """Forward as before."""
        self._is_cut = False
        self._flowing.set()

    def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await self._flowing.wait()
            if not self._is_cut:
                await self._forward(reader, writer)
        writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._upstream())
        both = {writer, far_writer}
        self._writers |= both
        try:
            there = asyncio.create_task(self._pump(reader, far_writer))
            back = asyncio.create_task(self._pump(far_reader, writer))
            await asyncio.wait({there, back})
        finally:
            self._writers -= both
            far_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction. What came before the end is delivered before the end is passed on."""
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                if writer.is_closing():
                    return
                writer.write(data)
                await writer.drain()
        await self._flowing.wait()
        writer.close()
