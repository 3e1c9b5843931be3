"""What the web, or any other front, may ask of the running service: values and one protocol."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Literal, Protocol, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

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


class Instrument(msgspec.Struct, frozen=True):
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
