"""What a controller may allow while it is cut off: signed grants, who is in by them, and what a card comes to."""

import hashlib
import hmac
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

import msgspec

_canonical = msgspec.json.Encoder(order="sorted")


class Window(msgspec.Struct, frozen=True):
    """These cards, by the SHA-256 of their uids, are let in during `[from, to)`, ms since the epoch."""

    grant: str
    cards: frozenset[str]
    from_ms: int = msgspec.field(name="from")
    to_ms: int = msgspec.field(name="to")


class Grants(msgspec.Struct, frozen=True):
    """What the service has told. `active_w`: below that many watts the instrument does not work."""

    version: int
    expires: int
    windows: tuple[Window, ...]
    cut: Literal["at_once", "when_idle", "never"] = "when_idle"
    active_w: int = 0


ANSWER_MS = 15_000
"""The service answers a card within this time, or not at all."""
NONE = Grants(version=-1, expires=0, windows=())


class Came(Enum):
    """What a card at the reader comes to."""

    IN = auto()
    OUT = auto()
    UNKNOWN = auto()
    """They may, but whether they come or go nobody knows here: power was on before anybody was heard of."""
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a card comes to, and the grant by which."""

    came: Came
    grant: str | None = None


@dataclass(frozen=True, slots=True)
class Inside:
    """Who is in: their cards and those of their people, and the grant by which."""

    cards: frozenset[str] = frozenset()
    grant: str | None = None


NOBODY = Inside()


def read_grants(payload: bytes, key: str) -> Grants | None:
    """Read what is signed with `key`, 64 hexadecimal digits; None where it is not, or is no grants at all."""
    try:
        body = msgspec.json.decode(payload, type=dict[str, object])
        said = body.pop("sig", None)
        signed = hmac.new(bytes.fromhex(key), _canonical.encode(body), hashlib.sha256).hexdigest()
        if not isinstance(said, str) or not hmac.compare_digest(said.encode(), signed.encode()):
            return None
        return msgspec.convert(body, Grants)
    except (msgspec.DecodeError, UnicodeDecodeError):  # a ValidationError is one
        return None


def digest(card: str) -> str:
    """What grants call a card."""
    return hashlib.sha256(card.lower().encode()).hexdigest()


class Doorkeeper:
    """Keeps the newest grants and decides by them. All times are by the controller's own clock, ms.

    `key` is what it shares with the service; without one it believes nothing.
    """

    def __init__(self, key: str | None = None) -> None:
        self.grants = NONE
        self.refused = 0
        """Grants that were not believed, or older than those there are."""
        self._key = key
        self._inside: Inside | None = None
        """None: nobody can say."""
        self._tapped: tuple[str, int] | None = None

    def hear(self, payload: bytes) -> None:
        """Take grants in, if they are signed and not older than those there are."""
        told = None if self._key is None else read_grants(payload, self._key)
        if told is None or told.version < self.grants.version:
            self.refused += 1
        else:
            self.grants = told

    def asked(self, card: str, now_ms: int) -> None:
        """Note a card that the service decides about: if power comes on soon, it is for them."""
        self._tapped = digest(card), now_ms

    def switched(self, now_ms: int, *, on: bool) -> None:
        """Note that the service has switched the relay."""
        self._inside = None if on else NOBODY
        if on and self._tapped is not None and now_ms - self._tapped[1] <= ANSWER_MS:
            card, _ = self._tapped
            window = self._window(card, now_ms)
            self._inside = Inside(frozenset({card})) if window is None else Inside(window.cards, window.grant)
        self._tapped = None

    def decide(self, card: str, now_ms: int, *, relay: bool | None) -> Answer:
        """What a card comes to while nobody can be asked; `relay` as it stands, None where there is none."""
        own, inside = digest(card), NOBODY if relay is False else self._inside
        window = self._window(own, now_ms)
        if inside is not None and own in inside.cards:
            self._inside = NOBODY
            return Answer(Came.OUT, inside.grant)
        if window is None or (inside and any(self._window(each, now_ms) for each in inside.cards)):
            return Answer(Came.REFUSED)
        if inside is None:
            return Answer(Came.UNKNOWN, window.grant)
        self._inside = Inside(window.cards, window.grant)
        return Answer(Came.IN, window.grant)

    def _window(self, card: str, now_ms: int) -> Window | None:
        if now_ms >= self.grants.expires:
            return None
        return next((w for w in self.grants.windows if card in w.cards and w.from_ms <= now_ms < w.to_ms), None)
