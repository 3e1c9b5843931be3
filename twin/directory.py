"""What the rules are told of people, money, bookings and instruments, as facts; and all of them as known at a moment.

A fact is a whole: a newer one with the same key takes the place of the older. Whoever keeps the tables tells the fleet
a fact when it changes, the log keeps it, and a replay learns it at the same place.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from twin.grants import Former, Window
from twin.hours import ALWAYS, OpeningHours, local_day, opening_times
from twin.parties import Booking, Downtime, Project, Qualification, User, UserCategory
from twin.policy import Cut, Policy
from twin.tariffs import NO_FUND, Fund, Payer, PriceList

BEIJING: Final = ZoneInfo("Asia/Shanghai")
MAX_OPENINGS: Final = 10_000
"""Different opening hours whose times are remembered."""
ALWAYS_OPEN: Final = OpeningHours(BEIJING, dict.fromkeys(UserCategory, ALWAYS))


class _Fact(msgspec.Struct, frozen=True, tag=True, kw_only=True, gc=False):
    """Immutable; the tag tells the members of the union apart."""


class SiteFact(_Fact, frozen=True):
    """The site as a whole: its time zone, and the policy for what is not about one instrument."""

    zone: ZoneInfo = BEIJING
    policy: Policy = Policy()

    @property
    def key(self) -> str:
        """What a newer fact of the same thing has in common with this one."""
        return "site"


class InstrumentFact(_Fact, frozen=True):
    """An instrument with a controller, and what is set for it."""

    code: str
    controller: str
    platform: str = ""
    policy: Policy = Policy()
    opening: OpeningHours = ALWAYS_OPEN
    prices: PriceList = PriceList(versions=())
    """Without a tariff its sessions cost nothing."""
    downtimes: tuple[Downtime, ...] = ()

    @property
    def key(self) -> str:
        """What a newer fact of the same thing has in common with this one."""
        return f"instrument:{self.code}"


class UserFact(_Fact, frozen=True):
    """A person. The credit of `user` is that without what the rules have given or taken."""

    user: User
    cards: tuple[str, ...] = ()
    """SHA-256 of each uid."""
    qualifications: tuple[Qualification, ...] = ()
    payer: Payer = Payer.INTERNAL

    @property
    def key(self) -> str:
        """What a newer fact of the same thing has in common with this one."""
        return f"user:{self.user.id}"


class ProjectFact(_Fact, frozen=True):
    """A project. Balance, free minutes and fund are those without what the rules have charged."""

    project: Project
    free_min: int = 0
    fund: Fund = NO_FUND

    @property
    def key(self) -> str:
        """What a newer fact of the same thing has in common with this one."""
        return f"project:{self.project.id}"


class BookingFact(_Fact, frozen=True):
    """A booking that stands; None: it does not any more."""

    id: str
    booking: Booking | None

    @property
    def key(self) -> str:
        """What a newer fact of the same thing has in common with this one."""
        return f"booking:{self.id}"


class GrantsFact(_Fact, frozen=True):
    """What a controller was last told that it may allow while it is cut off. It follows from the other facts."""

    controller: str
    version: int
    """Counts up; a controller never goes back to a lower one."""
    issued_ms: int
    expires_ms: int
    cut: Cut = Cut.WHEN_IDLE
    """When it opens its relay after somebody has ended a session there."""
    active_w: int = 0
    """At or above: the instrument works."""
    windows: tuple[Window, ...] = ()
    former: tuple[Former, ...] = ()

    @property
    def key(self) -> str:
        """What a newer fact of the same thing has in common with this one."""
        return f"grants:{self.controller}"


Fact: TypeAlias = SiteFact | InstrumentFact | UserFact | ProjectFact | BookingFact | GrantsFact


def _encoded(value: Any) -> Any:
    if isinstance(value, ZoneInfo):
        return value.key
    raise NotImplementedError(f"{type(value).__name__} is not part of a fact")


def _decoded(kind: type[Any], value: Any) -> Any:
    if kind is ZoneInfo:
        return ZoneInfo(value)
    raise NotImplementedError(f"{kind.__name__} is not part of a fact")


_ENCODER = msgspec.json.Encoder(enc_hook=_encoded, order="sorted")
_DECODER = msgspec.json.Decoder(Fact, dec_hook=_decoded)

packed: Callable[[Fact], bytes] = _ENCODER.encode
"""A fact as it is logged: equal facts are equal bytes."""
unpacked: Callable[[bytes | str], Fact] = _DECODER.decode
"""A logged fact. Raises msgspec.DecodeError."""


class Directory:
    """All facts as known at a moment. It belongs to the fleet; nobody else changes it."""

    def __init__(self) -> None:
        self.site = SiteFact()
        self.instruments: dict[str, InstrumentFact] = {}
        self.users: dict[str, UserFact] = {}
        self.projects: dict[str, ProjectFact] = {}
        self.grants: dict[str, GrantsFact] = {}
        """By controller."""
        self.revision = 0
        """Counts up with everything that is not about one instrument: the site, people, projects."""
        self._members: defaultdict[str, set[str]] = defaultdict(set)
        self._cards: dict[str, str] = {}
        self._bookings: dict[str, Booking] = {}
        self._by_instrument: dict[str, tuple[Booking, ...]] = {}
        self._standing: dict[str, tuple[tuple[Booking, ...], tuple[str, ...], tuple[Booking, ...]]] = {}
        """What stands, of these, but for those freed: asked for several times with everything that happens."""
        self._openings: dict[int, tuple[OpeningHours, int, int, tuple[int, ...]]] = {}
        """Opening hours by their identity, for many instruments share theirs; from and until when the times hold."""

    def bookings(self, instrument: str) -> tuple[Booking, ...]:
        """The bookings of an instrument, by their start."""
        return self._by_instrument.get(instrument, ())

    def standing(self, instrument: str, freed: tuple[str, ...]) -> tuple[Booking, ...]:
        """The bookings of an instrument but for those that have been freed, by their start."""
        known = self._by_instrument.get(instrument, ())
        if not freed:
            return known
        last = self._standing.get(instrument)
        if last is None or last[0] is not known or last[1] is not freed:
            kept = tuple(each for each in known if each.id not in freed)
            last = self._standing[instrument] = (known, freed, kept)
        return last[2]

    def booking(self, booking: str) -> Booking | None:
        """A booking that stands."""
        return self._bookings.get(booking)

    def opening_times(self, instrument: str, at_ms: int) -> tuple[int, ...]:
        """When anybody but staff is let in around a moment, as sorted pairs of from and until."""
        opening = self.instruments[instrument].opening
        known = self._openings.get(id(opening))
        if known is None or not known[1] <= at_ms < known[2]:
            if len(self._openings) >= MAX_OPENINGS:
                self._openings.clear()
            day = local_day(opening.zone, at_ms)
            known = self._openings[id(opening)] = (opening, *day, opening_times(opening, at_ms))
        return known[3]

    def holder(self, card: str) -> UserFact | None:
        """Whose card it is."""
        return self.users.get(self._cards.get(card, ""))

    def people_of(self, booking: Booking) -> list[UserFact]:
        """Whose booking it is: its person and the members of its group, in order."""
        own = {booking.user, *self._members.get(booking.group or "", ())}
        return [self.users[each] for each in sorted(own) if each in self.users]

    def learn(self, fact: Fact) -> None:
        """Take a fact in."""
        self.revision += isinstance(fact, SiteFact | UserFact | ProjectFact)
        match fact:
            case SiteFact():
                self.site = fact
            case InstrumentFact():
                self.instruments[fact.code] = fact
            case UserFact():
                self._learn_user(fact)
            case ProjectFact():
                self.projects[fact.project.id] = fact
            case BookingFact():
                self._learn_booking(fact)
            case GrantsFact():
                self.grants[fact.controller] = fact

    def _learn_user(self, fact: UserFact) -> None:
        before = self.users.get(fact.user.id)
        if before is not None:
            for card in before.cards:
                self._cards.pop(card, None)
            for group in before.user.groups:
                self._members[group].discard(fact.user.id)
        for group in fact.user.groups:
            self._members[group].add(fact.user.id)
        self.users[fact.user.id] = fact
        self._cards |= dict.fromkeys(fact.cards, fact.user.id)

    def _learn_booking(self, fact: BookingFact) -> None:
        before = self._bookings.pop(fact.id, None)
        if before is not None:
            others = (each for each in self._by_instrument[before.instrument] if each.id != fact.id)
            self._by_instrument[before.instrument] = tuple(others)
        if fact.booking is not None:
            self._bookings[fact.id] = fact.booking
            here = (*self.bookings(fact.booking.instrument), fact.booking)
            self._by_instrument[fact.booking.instrument] = tuple(sorted(here, key=_start))


def _start(booking: Booking) -> tuple[int, str]:
    return booking.start_ms, booking.id
