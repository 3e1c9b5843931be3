"""Has the board gone live? Asked as any browser would: by its WebSocket."""

import asyncio
from collections.abc import Iterable

import msgspec
import structlog
import websockets

log = structlog.get_logger(__name__)


class _Tile(msgspec.Struct):
    instrument: str
    link: str


class _Frame(msgspec.Struct):
    rev: int
    snapshot: list[_Tile] = []
    changes: list[_Tile] = []


class BoardWatch:
    """Follows the board until every one of `expected` twins is online and changes arrive."""

    def __init__(self, http: str, expected: int) -> None:
        self._url = http.replace("http", "ws", 1) + "/ws/board"
        self._expected = expected
        self._online: set[str] = set()
        self._changed = False
        self.live = asyncio.Event()

    async def run(self) -> None:
        """Follow until live. A board that closes is opened again."""
        while not self.live.is_set():
            try:
                await self._follow()
            except (OSError, websockets.WebSocketException) as error:
                log.info("demo.board_closed", error=str(error))
                await asyncio.sleep(0.2)

    async def _follow(self) -> None:
        async with websockets.connect(self._url, max_size=None) as board:
            async for text in board:
                frame = msgspec.json.decode(text, type=_Frame)
                self._changed |= bool(frame.changes)
                self._note([*frame.snapshot, *frame.changes])
                if self.live.is_set():
                    return

    def _note(self, tiles: Iterable[_Tile]) -> None:
        for tile in tiles:
            (self._online.add if tile.link == "online" else self._online.discard)(tile.instrument)
        if self._changed and len(self._online) >= self._expected:
            self.live.set()

    def reason(self) -> str:
        """Why it is not live."""
        if not self._online:
            return "no instrument has come online"
        if not self._changed:
            return "no change has reached the board"
        return f"only {len(self._online)} of {self._expected} instruments have come online"
