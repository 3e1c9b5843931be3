"""What people may wish for, and ask to see."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class UnlockWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody says who asks for an instrument."""

    booking: str | None = None
    project: str | None = None
    override_reason: Annotated[str, Meta(max_length=500)] | None = None
    maintenance: bool = False


class SilenceWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which alerts nobody is to be told of, until when, and why. What is None matches everything."""

    until: datetime
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    instrument: str | None = None
    platform: str | None = None
    kind: str | None = None


class BookingWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """An instrument to be kept for somebody."""

    instrument: str
    start: datetime
    end: datetime
    project: str | None = None
    group: str | None = None


class _Query(msgspec.Struct, frozen=True, kw_only=True):
    """What is None does not matter. Times are ms since the epoch."""

    instruments: frozenset[str] | None = None
    """None: all."""
    start_ms: int | None = None
    """Only what was not over by then."""
    end_ms: int | None = None
    """Only what had begun before then."""
    limit: int = 50
    offset: int = 0


class SessionQuery(_Query, frozen=True, kw_only=True):
    """Which sessions are wanted; one begins when it is asked for."""

    user: str | None = None
    state: str | None = None


class AlertQuery(_Query, frozen=True, kw_only=True):
    """Which of the alerts that are over are wanted, those about the site among all; one begins when it fires."""

    kind: str | None = None
    severity: str | None = None


class BookingQuery(_Query, frozen=True, kw_only=True):
    """Which bookings are wanted, by the time that is kept."""

    user: str | None = None
    state: str | None = None
