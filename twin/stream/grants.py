"""Grants to controllers as the wire has them (docs/wire.md), and their signature."""

import hashlib
import hmac
from typing import Any

import msgspec

from twin.directory import GrantsFact

_CANONICAL = msgspec.json.Encoder(order="sorted")
"""Keys in order, no blanks, UTF-8 that is not escaped; there is nothing but objects, lists, strings and integers."""


def wire_grants(fact: GrantsFact, key: str) -> bytes:
    """What a controller is told, signed with its key: 64 hexadecimal digits. Raises ValueError where they are not."""
    body: dict[str, Any] = {
        "version": fact.version,
        "issued": fact.issued_ms,
        "expires": fact.expires_ms,
        "cut": fact.cut.value,
        "active_w": fact.active_w,
        "windows": [
            {
                "grant": each.grant,
                "cards": sorted(card for holder in each.holders for card in holder.cards),
                "from": each.from_ms,
                "to": each.to_ms,
            }
            for each in fact.windows
        ],
    }
    return _CANONICAL.encode(body | {"sig": signature(body, key)})


def signature(body: dict[str, Any], key: str) -> str:
    """HMAC-SHA256 over the canonical JSON of everything but `sig`, in hexadecimal digits."""
    return hmac.new(bytes.fromhex(key), _CANONICAL.encode(body), hashlib.sha256).hexdigest()
