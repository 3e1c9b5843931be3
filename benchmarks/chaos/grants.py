"""What a controller may allow while it is cut off: read by the contract, docs/wire.md, with nothing of the service."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import msgspec


class Window(msgspec.Struct, frozen=True):
    """These cards are let in during `[from, to)`, ms since the epoch."""

    grant: str
    cards: tuple[str, ...]
    from_ms: int = msgspec.field(name="from")
    to_ms: int = msgspec.field(name="to")


class Grants(msgspec.Struct, frozen=True):
    """What was told last."""

    version: int = -1
    expires: int = 0
    windows: tuple[Window, ...] = ()

    def at(self, now_ms: int) -> Iterator[tuple[str, str]]:
        """Each card that may come in now, and by which grant."""
        if now_ms < self.expires:
            for window in self.windows:
                if window.from_ms <= now_ms < window.to_ms:
                    yield from ((card, window.grant) for card in window.cards)


def read_grants(payload: bytes, key: str) -> Grants | None:
    """What is signed with the key, 64 hexadecimal digits; None where it is not."""
    body: dict[str, Any] = json.loads(payload)
    signature = body.pop("sig", "")
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    signed = hmac.new(bytes.fromhex(key), canonical, hashlib.sha256).hexdigest()
    return msgspec.convert(body, Grants) if hmac.compare_digest(signature, signed) else None


def digest(card: str) -> str:
    """A card as grants name it."""
    return hashlib.sha256(card.lower().encode()).hexdigest()
