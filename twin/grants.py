"""What a controller may allow while it is cut off: frozen values. What they say is worked out by `twin.rules.grants`.

Times are milliseconds since the epoch, UTC; every stretch is half open, `[from, to)`.
"""

import msgspec


class _Value(msgspec.Struct, frozen=True, gc=False):
    """Immutable and compact."""


class Holder(_Value, frozen=True):
    """Somebody who is let in, and the SHA-256 of each of their cards' uids."""

    user: str
    cards: tuple[str, ...]


class Window(_Value, frozen=True):
    """When the people of a booking are let in."""

    grant: str
    """Its name on the wire: the same for as long as booking and times are."""
    booking: str
    from_ms: int
    to_ms: int
    holders: tuple[Holder, ...]


class Former(_Value, frozen=True):
    """A window that was issued and does not stand any more, for some people or for all: so what was used is known."""

    grant: str
    booking: str
    users: tuple[str, ...]
    from_ms: int
    to_ms: int
    ended_ms: int
    """When it was withdrawn; `to_ms`: it was not, it is over."""
