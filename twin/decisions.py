"""Consequences: what the fleet makes of an event. The store writes them, the service carries them out."""

from enum import StrEnum

import msgspec

from twin.state import Book, Span


class _Value(msgspec.Struct, frozen=True, gc=False):
    """Immutable and compact."""


class Verdict(StrEnum):
    """What a message is to the twin that it came for."""

    LIVE = "live"
    """Newer than everything before it: it moves the live state."""
    LATE = "late"
    """Buffered or overtaken: it goes into history and the ledger, not into the live state."""
    DUPLICATE = "duplicate"
    """Heard before, or the death of a connection that is gone already: it changes nothing and is not stored."""
    UNBELIEVABLE = "unbelievable"
    """A buffered message from the future or from more than 400 days ago: it goes to quarantine."""
    UNKNOWN_CONTROLLER = "unknown_controller"
    """No such controller is registered: it goes to quarantine."""


class Rewrite(_Value, frozen=True):
    """From `spans[0].start_ms` on, the ledger of this twin consists of `spans`; the last one is open."""

    controller: str
    spans: tuple[Span, ...]


class Mark(_Value, frozen=True):
    """The ledger's view at a moment, kept so that late data need not be folded in from the beginning of time."""

    controller: str
    at_ms: int
    book: Book
