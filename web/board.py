"""The board's core: what has changed since a client was last told, as text ready to be sent. No sockets, no clock.

A client has no queue, only a cursor: the revision up to which it has been told. What it is sent is worked out from the
present state whenever it is ready for more, so a client costs the same however slow it is, and is never told anything
out of date. Clients at the same cursor share one text; a thing is encoded once however many watch it.

What is shown, twins or alerts, is a `Source`: things by key.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

_Asked_contra = TypeVar("_Asked_contra", bound=Hashable, contravariant=True)
_Scope = TypeVar("_Scope", bound=Hashable)

HISTORY_BEATS = 64
"""A client that missed more beats than this is sent a snapshot: most twins have changed by then."""


class Source(Protocol[_Asked_contra]):
    """Things by key, of which a client watches those in its scope."""

    def rev(self) -> int:
        """The revision of the newest change."""

    def keys(self, scope: _Asked_contra) -> Iterable[str]:
        """All that a snapshot shows."""

    def has(self, scope: _Asked_contra, key: str) -> bool:
        """Does this lie in the scope? What is gone does: its going must be told."""

    def only(self, scope: _Asked_contra) -> str | None:
        """The one key that a scope may be about; None: it may be about many."""

    def value(self, key: str) -> object | None:
        """A thing as it is now; None: it is gone."""

    def listen(self, listener: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Be told the keys of what has changed; returns what ends it."""


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


class Board(Generic[_Scope]):
    """All things of a source as JSON, the order in which they changed, and the frames that follow from it."""

    def __init__(self, source: Source[_Scope], history_beats: int = HISTORY_BEATS) -> None:
        self._source = source
        self._encoder = msgspec.json.Encoder()
        self._rev = 0
        self._oldest_rev = 0
        self._changed: dict[str, int] = {}
        self._beats: deque[int] = deque(maxlen=history_beats)
        self._json: dict[str, bytes] = {}
        self._frames: dict[tuple[_Scope, Cursor | None], Frame] = {}

    @property
    def rev(self) -> int:
        """The revision of the newest change known here; at least as high as that of anything that is sent."""
        return self._rev

    @property
    def beaten_rev(self) -> int:
        """The revision at the last beat."""
        return self._beats[-1] if self._beats else self._rev

    def mark(self, keys: Sequence[str]) -> None:
        """Take note that these have changed."""
        self._advance(self._rev + 1)
        rev, changed, encoded = self._rev, self._changed, self._json
        for key in keys:
            changed.pop(key, None)
            changed[key] = rev
            encoded.pop(key, None)

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

    def unencoded(self, scope: _Scope, cursor: Cursor | None) -> list[str]:
        """The keys of what has to be encoded before `frame` can answer at once."""
        return [key for key in self._keys(scope, cursor) if key not in self._json]

    def encode(self, keys: Iterable[str]) -> None:
        """Encode things ahead of their frame."""
        for key in keys:
            self._encoded(key)

    def frame(self, scope: _Scope, cursor: Cursor | None) -> Frame:
        """What a client is to be sent: changes since its cursor, or a snapshot where it has none or fell behind."""
        self._advance(self._source.rev())
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

    def _build(self, scope: _Scope, cursor: Cursor | None) -> Frame:
        told = Cursor(self._rev, self._rev)
        if cursor is None or self._is_behind(cursor):
            return Frame(self._snapshot(scope), told)
        keys = self._keys(scope, cursor)
        if not keys:
            return Frame(None, cursor._replace(seen_rev=self._rev))
        things = [self._encoded(key) for key in keys]
        if None in things:  # one is gone, which changes alone cannot say
            return Frame(self._snapshot(scope), told)
        return Frame(self._text(b'"since":%d,"changes":[' % cursor.sent_rev, things), told)

    def _snapshot(self, scope: _Scope) -> str:
        return self._text(b'"snapshot":[', [self._encoded(key) for key in self._keys(scope, None)])

    def _text(self, head: bytes, things: list[bytes | None]) -> str:
        body = b",".join(thing for thing in things if thing is not None)
        return (b'{"rev":%d,' % self._rev + head + body + b"]}").decode()

    def _is_behind(self, cursor: Cursor) -> bool:
        return cursor.seen_rev < self._oldest_rev

    def _keys(self, scope: _Scope, cursor: Cursor | None) -> list[str]:
        if cursor is None or self._is_behind(cursor):
            return list(self._source.keys(scope))
        changed = self._since(cursor.seen_rev, self._source.only(scope))
        return [key for key in changed if self._source.has(scope, key)]

    def _since(self, rev: int, only: str | None) -> Iterable[str]:
        if only is not None:
            if self._changed.get(only, -1) > rev:
                yield only
            return
        for key in reversed(self._changed):
            if self._changed[key] <= rev:
                return
            yield key

    def _encoded(self, key: str) -> bytes | None:
        encoded = self._json.get(key)
        if encoded is None:
            value = self._source.value(key)
            if value is None:
                return None
            encoded = self._json[key] = self._encoder.encode(value)
        return encoded
