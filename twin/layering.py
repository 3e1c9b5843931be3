"""What is set for an instrument: by the site, its platforms and itself, the most specific last.

Policy is laid over by its values. Opening hours are laid over by category: who names a category says all of its hours.
They are stored as

    {"student": {"daily": ["08:00-12:00", "13:30-22:00"], "sun": [], "holidays": {"2026-10-01": []}},
     "staff": {"daily": ["00:00-24:00"]}}

where `mon` to `sun` and dates take the place of `daily`, an empty list is closed, and a category that nobody names is
not let in. Where no hours are set at all, everybody is let in at any time.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Annotated, Any, Protocol, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from twin.directory import BEIJING
from twin.hours import ALWAYS, Day, Hours, Opening, OpeningHours
from twin.models.registry import Platform, Site
from twin.parties import UserCategory
from twin.policy import Policy, layered

_T = TypeVar("_T")

Stretch = Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
Layer: TypeAlias = tuple[str, dict[str, Any]]
"""Who sets something, and what."""


class RegistryError(Exception):
    """Something in the registry cannot be used; the message says what and where."""


class StoredHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The hours of one category as stored; stretches are `HH:MM-HH:MM` of local time, up to 24:00."""

    daily: tuple[Stretch, ...] = ()
    mon: tuple[Stretch, ...] | None = None
    tue: tuple[Stretch, ...] | None = None
    wed: tuple[Stretch, ...] | None = None
    thu: tuple[Stretch, ...] | None = None
    fri: tuple[Stretch, ...] | None = None
    sat: tuple[Stretch, ...] | None = None
    sun: tuple[Stretch, ...] | None = None
    holidays: dict[date, tuple[Stretch, ...]] = {}

    def __post_init__(self) -> None:
        self.hours()  # no stretch ends before it begins

    def hours(self) -> Hours:
        """The hours as a value."""
        days = (self.mon, self.tue, self.wed, self.thu, self.fri, self.sat, self.sun)
        mon, tue, wed, thu, fri, sat, sun = (_day(self.daily if day is None else day) for day in days)
        return Hours((mon, tue, wed, thu, fri, sat, sun), {each: _day(day) for each, day in self.holidays.items()})


class Placed(Protocol):
    """An instrument of a platform, and what is set for it alone."""

    @property
    def code(self) -> str:
        """Its name in messages about what is wrong."""

    @property
    def platform_id(self) -> int:
        """Where it belongs."""

    @property
    def policy(self) -> dict[str, Any]:
        """Values of `twin.policy.Policy`."""

    @property
    def opening(self) -> dict[str, Any] | None:
        """By category."""


class Layers:
    """The site and its platforms as stored, to be laid over each other."""

    def __init__(self, site: Site | None, platforms: Iterable[Platform], zone: ZoneInfo) -> None:
        self._site = site
        self._platforms = {each.id: each for each in platforms}
        self._zone = zone

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone. Raises RegistryError."""
        if self._site is None:
            return self._zone
        try:
            return ZoneInfo(self._site.timezone)
        except (ValueError, OSError) as error:
            raise RegistryError(f"the time zone of the site is wrong: {self._site.timezone!r} is none") from error

    def site_policy(self) -> Policy:
        """The policy of the site as a whole. Raises RegistryError."""
        return _laid("policy", self._site_layer("policy"), layered)

    def policy(self, instrument: Placed) -> Policy:
        """The policy of an instrument. Raises RegistryError: it says who sets which value wrongly."""
        return _laid("policy", self._layers(instrument, "policy"), layered)

    def opening(self, instrument: Placed) -> OpeningHours:
        """The opening hours of an instrument. Raises RegistryError: it says who sets which hours wrongly."""
        return _laid("opening", self._layers(instrument, "opening"), self._opening)

    def _opening(self, *stored: dict[str, Any]) -> OpeningHours:
        merged = {category: hours for each in stored for category, hours in each.items()}
        if not merged:
            return OpeningHours(self.zone, dict.fromkeys(UserCategory, ALWAYS))
        read = msgspec.convert(merged, dict[UserCategory, StoredHours])
        return OpeningHours(self.zone, {category: each.hours() for category, each in read.items()})

    def _site_layer(self, name: str) -> list[Layer]:
        return [] if self._site is None else [("the site", _set(self._site, name))]

    def _layers(self, instrument: Placed, name: str) -> list[Layer]:
        """Who sets something for this instrument, the most general first."""
        chain: list[Layer] = [(f"instrument {instrument.code}", _set(instrument, name))]
        above: int | None = instrument.platform_id
        while above is not None:
            platform = self._platforms[above]
            chain.append((f"platform {platform.code}", _set(platform, name)))
            above = platform.parent_id
        return self._site_layer(name) + chain[::-1]


async def load_layers(zone: ZoneInfo = BEIJING) -> Layers:
    """Read site and platforms; `zone` is that of a site about which nothing is stored."""
    return Layers(await Site.get_or_none(id=1), await Platform.all(), zone)


def _set(row: Site | Platform | Placed, name: str) -> dict[str, Any]:
    stored: dict[str, Any] | None = getattr(row, name)
    return {} if stored is None else stored


def _laid(what: str, layers: Sequence[Layer], lay: Callable[..., _T]) -> _T:
    """All layers in one. Where that cannot be, the first that makes it so is the one that is wrong."""
    try:
        return lay(*(msgspec.convert(values, dict[str, Any]) for _, values in layers))
    except msgspec.ValidationError as error:
        if below := layers[:-1]:
            _laid(what, below, lay)
        raise RegistryError(f"the {what} of {layers[-1][0]} is wrong: {error}") from error


def _day(stretches: Iterable[str]) -> Day:
    return tuple(Opening(*(_minute(each) for each in stretch.split("-"))) for stretch in stretches)


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)
