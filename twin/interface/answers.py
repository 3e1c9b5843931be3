"""What the running service answers: as any front, or another program, sees it."""

from typing import Literal

import msgspec

from twin.state import Category


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


class SilenceView(msgspec.Struct, frozen=True):
    """A silence in force."""

    until: str
    author: str
    reason: str
    instrument: str | None
    platform: str | None
    kind: str | None


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
