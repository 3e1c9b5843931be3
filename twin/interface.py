"""What the web, or any other front, may ask of the running service: values and one protocol."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Annotated, Literal, Protocol, TypeAlias
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from twin.state import Category
from twin.views import TwinView

Listener: TypeAlias = Callable[[Sequence[str]], None]
"""Called with the codes of instruments whose twin has changed, after the change is stored. Must not block."""


class Platform(msgspec.Struct, frozen=True):
    """A sharing platform 共享平台 of one of three levels: university, college or department."""

    code: str
    name_zh: str
    name_en: str
    level: Literal["university", "college", "department"]
    parent: str | None


class Instrument(msgspec.Struct, frozen=True, gc=False):
    """A catalogue entry. `value_cny` is a decimal string; `controller` is None where none is fitted."""

    code: str
    name_zh: str
    name_en: str
    model: str
    place: str
    platform: str
    category: str
    value_cny: str
    in_service_since: str | None
    controller: str | None


class LedgerSegment(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """A stretch of one category, RFC 3339 with the site's offset."""

    start: str
    end: str
    category: Category
    minutes: float


class LedgerDay(msgspec.Struct, frozen=True):
    """The ledger of a local day, up to now where the day is not over.

    `minutes` holds every category; they add up to `total`: 1440 for a whole day, 1380 or 1500 at a clock change.
    """

    instrument: str
    date: str
    timezone: str
    segments: tuple[LedgerSegment, ...]
    minutes: dict[Category, float]
    total: float


class PowerSeries(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """Mean and highest power (W) in buckets of equal length; None where nothing was read."""

    start: str
    end: str
    step_s: float
    mean_w: tuple[float | None, ...]
    max_w: tuple[float | None, ...]


class Health(msgspec.Struct, frozen=True):
    """How the service is: `down` when nothing can be recorded, `degraded` when a part is missing."""

    status: Literal["ok", "degraded", "down"]
    components: dict[str, dict[str, str | int | float | bool | None]]


class Person(msgspec.Struct, frozen=True):
    """Who is signed in."""

    username: str
    role: str
    name: str
    operates: frozenset[str] = frozenset()
    """Instruments on which they have operate rights."""


class CheckView(msgspec.Struct, frozen=True):
    """One of the ten checks. `remedy` says as data what would change a refusal; its `type` names its shape."""

    number: int
    code: str | None
    """None: passed."""
    standing: str
    remedy: dict[str, object] | None


class AccessView(msgspec.Struct, frozen=True):
    """May this person use this instrument, with every check."""

    instrument: str
    user: str
    at: str
    decision: Literal["granted", "denied"]
    reason: str | None
    """The code of the first check that fails."""
    booking: str | None
    project: str | None
    override_reason: str | None
    checks: tuple[CheckView, ...]


class UnlockWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody says who asks for an instrument."""

    booking: str | None = None
    project: str | None = None
    override_reason: Annotated[str, Meta(max_length=500)] | None = None
    maintenance: bool = False


class Unlocked(msgspec.Struct, frozen=True):
    """The answer, once it is recorded."""

    decision: Literal["granted", "denied"]
    reason: str | None
    explain: AccessView
    session: str | None


class PartView(msgspec.Struct, frozen=True):
    """Minutes of one price."""

    kind: str
    band_percent: int
    minutes: int


class LineView(msgspec.Struct, frozen=True):
    """A line of a charge; money is decimal strings in CNY."""

    cause: str
    at: str
    gross: str
    allowance: str
    subsidy: str
    net: str
    reason: str
    author: str


class ChargeView(msgspec.Struct, frozen=True):
    """What a session costs: so far while it runs, with its lines once it is over."""

    gross: str
    allowance: str
    subsidy: str
    net: str
    minutes: int
    parts: tuple[PartView, ...] = ()
    lines: tuple[LineView, ...] = ()


class SessionView(msgspec.Struct, frozen=True):
    """A session of somebody at an instrument."""

    id: str
    instrument: str
    user: str
    project: str | None
    booking: str | None
    state: Literal["opening", "open", "closed", "void"]
    requested: str
    opened: str | None
    ended: str | None
    due: str | None
    """When the clock will end it; None: it will not, or it is over."""
    reason: str | None
    """Why it was closed or is void."""
    override_reason: str | None
    maintenance: bool
    charge: ChargeView | None


class ConflictView(msgspec.Struct, frozen=True):
    """What a controller did by itself that cannot stand beside the books, when, and whom it let in, where known."""

    conflict: str
    at: str
    user: str | None


class AlertView(msgspec.Struct, frozen=True):
    """An alert that fires or has fired."""

    id: str
    instrument: str | None
    """None: it is about the site."""
    kind: str
    severity: str
    state: Literal["firing", "resolved"]
    since: str
    resolved: str | None
    acknowledged: str | None
    acknowledged_by: str | None
    to: tuple[str, ...]
    """Who has been told, or is to be."""
    conflicts: tuple[ConflictView, ...] = ()
    """What an OFFLINE_CONFLICT is about."""


class SilenceWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which alerts nobody is to be told of, until when, and why. What is None matches everything."""

    until: datetime
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    instrument: str | None = None
    platform: str | None = None
    kind: str | None = None


class SilenceView(msgspec.Struct, frozen=True):
    """A silence in force."""

    until: str
    author: str
    reason: str
    instrument: str | None
    platform: str | None
    kind: str | None


class BookingWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"start": "from", "end": "to"}):
    """An instrument to be kept for somebody."""

    instrument: str
    start: datetime
    end: datetime
    project: str | None = None
    group: str | None = None


class BookingView(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """A booking; `estimate` is a decimal string in CNY."""

    id: str
    instrument: str
    user: str
    group: str | None
    project: str | None
    start: str
    end: str
    state: str
    estimate: str


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions are wanted; what is None does not matter. Times are ms since the epoch."""

    instruments: frozenset[str] | None = None
    user: str | None = None
    state: str | None = None
    start_ms: int | None = None
    """Only those that had not ended by then."""
    end_ms: int | None = None
    """Only those that had been asked for before then."""
    limit: int = 50
    offset: int = 0


class AlertQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the alerts that are over are wanted; what is None does not matter. Times are ms since the epoch."""

    instruments: frozenset[str] | None = None
    """None: all, and those about the site."""
    kind: str | None = None
    severity: str | None = None
    start_ms: int | None = None
    """Only those that had not been resolved by then."""
    end_ms: int | None = None
    """Only those that had fired before then."""
    limit: int = 50
    offset: int = 0


class BookingQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which bookings are wanted; what is None does not matter. Times are ms since the epoch."""

    instruments: frozenset[str] | None = None
    user: str | None = None
    state: str | None = None
    start_ms: int | None = None
    """Only those that end after then."""
    end_ms: int | None = None
    """Only those that begin before then."""
    limit: int = 50
    offset: int = 0


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
