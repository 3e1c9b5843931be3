"""The running service, as one protocol, and how it says no."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Protocol, TypeAlias
from zoneinfo import ZoneInfo

from twin.interface.answers import (
    AccessView,
    AlertView,
    BookingView,
    Health,
    Instrument,
    LedgerDay,
    Person,
    Platform,
    PowerSeries,
    SessionView,
    SilenceView,
    Unlocked,
)
from twin.interface.wishes import AlertQuery, BookingQuery, BookingWish, SessionQuery, SilenceWish, UnlockWish
from twin.views import TwinView

Listener: TypeAlias = Callable[[Sequence[str]], None]
"""Called with the codes of instruments whose twin has changed, after the change is stored. Must not block."""


class SuspendedError(Exception):
    """Somebody's credit is below the limit: they may book nothing for some time."""


class ConflictError(Exception):
    """What is wished for cannot be; `free` are stretches of that length nearby that could (RFC 3339, from and to)."""

    def __init__(self, message: str, free: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.free = tuple(free)


class NotRecordedError(Exception):
    """It could not be recorded in time, so it has not been granted; try again."""


class Service(Protocol):
    """The running service. Everything that is not a coroutine answers from memory."""

    @property
    def timezone(self) -> ZoneInfo:
        """The site's time zone: local days and times are in it."""

    def now_ms(self) -> int:
        """The service's clock, ms since the epoch."""

    def platforms(self) -> Sequence[Platform]:
        """All platforms, parents before their children."""

    def instruments(self) -> Sequence[Instrument]:
        """The whole catalogue, by code."""

    def instrument(self, code: str) -> Instrument | None:
        """One catalogue entry."""

    def views(self) -> Sequence[TwinView]:
        """All twins as they are now, by instrument code."""

    def view(self, code: str) -> TwinView | None:
        """One twin as it is now; None where the instrument has no controller or does not exist."""

    def rev(self) -> int:
        """The revision of the newest change; every change of any twin counts it up."""

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Be told of changes; returns what ends it."""

    async def ledger(self, code: str, day: date) -> LedgerDay:
        """The ledger of one instrument and local day."""

    async def power(self, code: str, start_ms: int, end_ms: int, points: int) -> PowerSeries:
        """The power of one instrument between two moments in at most `points` buckets."""

    async def recent_power(self, minutes: int) -> dict[str, tuple[float | None, ...]]:
        """Mean power (W) per minute of the last `minutes`, oldest first, for every twin."""

    async def health(self) -> Health:
        """How the service and its parts are."""

    def metrics(self) -> bytes:
        """Prometheus text."""

    async def sign_in(self, username: str, password: str) -> str | None:
        """A new token for right credentials, else None. The token is stored only as a digest."""

    async def person(self, token: str) -> Person | None:
        """Who a token belongs to, while it is valid."""

    async def sign_out(self, token: str) -> None:
        """End a token."""

    async def unlock(self, person: Person, code: str, wish: UnlockWish) -> Unlocked:
        """Ask for an instrument, for oneself. Raises NotRecordedError."""

    async def lock(self, person: Person, code: str, *, staff: bool, emergency: bool) -> SessionView | None:
        """End the session of an instrument: one's own or one's group's, or, as staff, anybody's.

        None: there was no session that this person may end. An emergency cuts the power all the same.
        Raises NotRecordedError.
        """

    def access(self, code: str, username: str, at_ms: int, wish: UnlockWish) -> AccessView | None:
        """What would be answered to a person at a moment; None: there is no such person."""

    async def sessions(self, wanted: SessionQuery) -> tuple[Sequence[SessionView], int]:
        """Sessions, the newest first, and how many there are in all."""

    async def session(self, id: str) -> SessionView | None:  # noqa: A002 - it is called so on the wire
        """One session with its charge, which is live while it runs."""

    def running(self, code: str) -> SessionView | None:
        """The session of an instrument that is opening or open."""

    def alerts(self) -> Sequence[AlertView]:
        """The alerts that fire now."""

    async def past_alerts(self, wanted: AlertQuery) -> tuple[Sequence[AlertView], int]:
        """Alerts that are over, the newest first, and how many there are in all."""

    async def acknowledge(self, person: Person, id: str) -> AlertView | None:  # noqa: A002
        """Take an alert upon oneself; None: no such alert fires. Raises NotRecordedError."""

    async def resolve(self, person: Person, id: str) -> AlertView | None:  # noqa: A002
        """Say that an alert is over; None: no such alert fires. Raises NotRecordedError."""

    async def silence(self, person: Person, wish: SilenceWish) -> SilenceView:
        """Have nobody told of some alerts for a while. Raises NotRecordedError."""

    def listen_alerts(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Be told that the alerts that fire are others, or other than before; returns what ends it."""

    async def bookings(self, wanted: BookingQuery) -> tuple[Sequence[BookingView], int]:
        """Bookings, by their start, and how many there are in all."""

    async def book(self, person: Person, wish: BookingWish) -> BookingView:
        """Keep an instrument. Raises ConflictError, SuspendedError, NotRecordedError."""

    async def booking(self, id: str) -> BookingView | None:  # noqa: A002
        """One booking."""

    async def cancel(self, person: Person, id: str) -> BookingView | None:  # noqa: A002
        """Give a booking back; None: there is no such booking that stands. Raises NotRecordedError."""
