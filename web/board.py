"""The board's core: what has changed since a client was last told, as text ready to be sent. No sockets, no clock.

A client has no queue, only a cursor: the revision up to which it has been told. What it is sent is worked out from the
present state whenever it is ready for more, so a client costs the same however slow it is, and is never told anything
out of date. Clients at the same cursor share one text; a twin is encoded once however many watch it.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from twin.interface import Service
from web.scopes import Scope

HISTORY_BEATS = 64
"""A client that missed more beats than this is sent a snapshot: most twins have changed by then."""


class Cursor(NamedTuple):
    """Up to where a client has been told."""

    sent_rev: int
    """The revision of the last frame that it was sent."""
    seen_rev: int
    """Nothing that this client may see has changed between `sent_rev` and this."""


class Frame(NamedTuple):
    """What to send a client, if anything, and where it then stands."""

    text: str | None
    cursor: Cursor


class Board:
    """All twins as JSON, the order in which they changed, and the frames that follow from it."""

    def __init__(self, service: Service, history_beats: int = HISTORY_BEATS) -> None:
        self._service = service
        self._encoder = msgspec.json.Encoder()
        self._rev = 0
        self._oldest_rev = 0
        self._changed: dict[str, int] = {}
        self._beats: deque[int] = deque(maxlen=history_beats)
        self._json: dict[str, bytes] = {}
        self._frames: dict[tuple[Scope, Cursor | None], Frame] = {}

    @property
    def rev(self) -> int:
        """The revision of the newest change known here; at least as high as that of any twin that is sent."""
        return self._rev

    @property
    def beaten_rev(self) -> int:
        """The revision at the last beat."""
        return self._beats[-1] if self._beats else self._rev

    def mark(self, codes: Sequence[str]) -> None:
        """Take note that these twins have changed."""
        self._advance(self._rev + 1)
        rev, changed, encoded = self._rev, self._changed, self._json
        for code in codes:
            changed.pop(code, None)
            changed[code] = rev
            encoded.pop(code, None)

    def beat(self) -> None:
        """Count time as clients do: one beat is a moment at which all that are ready are sent what is new."""
        if len(self._beats) == self._beats.maxlen:
            self._oldest_rev = self._beats[0]
        self._beats.append(self._rev)

    def forget(self) -> None:
        """Drop everything: nobody watches. Whoever comes next starts from a snapshot."""
        self._changed.clear()
        self._beats.clear()
        self._json.clear()
        self._frames.clear()
        self._oldest_rev = self._rev

    def unencoded(self, scope: Scope, cursor: Cursor | None) -> list[str]:
        """The twins that have to be encoded before `frame` can answer at once."""
        return [code for code in self._codes(scope, cursor) if code not in self._json]

    def encode(self, codes: Iterable[str]) -> None:
        """Encode twins ahead of their frame."""
        for code in codes:
            self._encoded(code)

    def frame(self, scope: Scope, cursor: Cursor | None) -> Frame:
        """What a client is to be sent: changes since its cursor, or a snapshot where it has none or fell behind."""
        self._advance(self._service.rev())
        key = (scope, cursor)
        if key not in self._frames:
            self._frames[key] = self._build(scope, cursor)
        return self._frames[key]

    @staticmethod
    def sign_of_life(cursor: Cursor) -> str:
        """A frame without news, so that a client can tell a quiet night from a dead line."""
        return f'{{"rev":{cursor.sent_rev},"since":{cursor.sent_rev},"changes":[]}}'

    def _advance(self, rev: int) -> None:
        if rev > self._rev:
            self._rev = rev
            self._frames.clear()

    def _build(self, scope: Scope, cursor: Cursor | None) -> Frame:
        told = Cursor(self._rev, self._rev)
        if cursor is None or self._is_behind(cursor):
            return Frame(self._snapshot(scope), told)
        codes = self._codes(scope, cursor)
        if not codes:
            return Frame(None, cursor._replace(seen_rev=self._rev))
        twins = [self._encoded(code) for code in codes]
        if None in twins:  # one has left the catalogue, which changes alone cannot say
            return Frame(self._snapshot(scope), told)
        return Frame(self._text(b'"since":%d,"changes":[' % cursor.sent_rev, twins), told)

    def _snapshot(self, scope: Scope) -> str:
        return self._text(b'"snapshot":[', [self._encoded(code) for code in self._codes(scope, None)])

    def _text(self, head: bytes, twins: list[bytes | None]) -> str:
        body = b",".join(twin for twin in twins if twin is not None)
        return (b'{"rev":%d,' % self._rev + head + body + b"]}").decode()

    def _is_behind(self, cursor: Cursor) -> bool:
        return cursor.seen_rev < self._oldest_rev

    def _codes(self, scope: Scope, cursor: Cursor | None) -> list[str]:
        if cursor is None or self._is_behind(cursor):
            return [i.code for i in self._service.instruments() if i.controller is not None and scope.has(i)]
        changed = self._since(cursor.seen_rev, scope.instrument)
        return [code for code in changed if scope.has(self._service.instrument(code))]

    def _since(self, rev: int, only: str | None) -> Iterable[str]:
        if only is not None:
            if self._changed.get(only, -1) > rev:
                yield only
            return
        for code in reversed(self._changed):
            if self._changed[code] <= rev:
                return
            yield code

    def _encoded(self, code: str) -> bytes | None:
        encoded = self._json.get(code)
        if encoded is None:
            view = self._service.view(code)
            if view is None:
                return None
            encoded = self._json[code] = self._encoder.encode(view)
        return encoded
