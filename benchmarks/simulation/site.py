"""A made-up site: instruments with their policies and prices, people, projects and bookings, all from one seed."""

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from twin.directory import BookingFact, Fact, InstrumentFact, ProjectFact, SiteFact, UserFact
from twin.parties import Booking, Downtime, DowntimeCause, Level, Project, Qualification, User, UserCategory
from twin.policy import AtSlotEnd, Cut, Policy
from twin.tariffs import NO_FUND, Band, Fund, Payer, PriceList, Rates, Tariff

DAY_S: Final = 86_400
START_S: Final = 1_709_481_600
"""Monday 2024-03-04, midnight in Beijing."""

POLICIES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"walk_in": True},
    {"overrun": True, "cut": Cut.AT_ONCE},
    {"at_slot_end": AtSlotEnd.ALERT},
    {"walk_in": True, "cut": Cut.NEVER},
    {"idle_release_ms": 1_200_000, "idle_for_ms": 600_000},
    {"cooldown_max_ms": 1_200_000, "overrun": True, "walk_in": True},
    {"power_hold_ms": 120_000, "confirm_ms": 60_000, "walk_in": True},
)
SLOW: Final = {"stale_after_ms": 420_000, "offline_after_ms": 900_000}
"""Of controllers that speak once in a few minutes."""


@dataclass(frozen=True)
class Habits:
    """What else happens than bookings and work, as chances. The defaults leave no rule out in a few days."""

    absent: float = 0.12
    late: float = 0.08
    """More than half an hour."""
    early_s: int = 12 * 60
    """How long before their slot people come at the most; they are let in from 10 min on."""
    overstaying: float = 0.15
    unbooked_a_day: float = 1.0
    sneaking_a_night: float = 0.3
    ended_by_staff_a_day: float = 0.3
    forgetting: float = 0.2
    """They leave without logging off."""
    disobeying: float = 0.06
    """Commands that are lost or refused."""
    answer_s: int = 0
    """How long a controller takes to answer at the least: in the very second, only a per-second oracle can tell."""
    losses_a_day: float = 1.0
    """How often a controller is cut off."""


@dataclass(frozen=True)
class Equipment:
    """An instrument, and what its controller can do."""

    fact: InstrumentFact
    metered: bool
    relay: bool
    presence: bool
    beat_s: int
    """It sends a reading at least this often."""
    active_w: float = 300.0
    standby_w: float = 20.0

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.fact.policy


@dataclass(frozen=True)
class Site:
    """All that is known before the first day."""

    seed: int
    days: int
    calm: bool
    """Nothing goes wrong on the way from controllers to the service."""
    equipment: tuple[Equipment, ...]
    users: tuple[UserFact, ...]
    projects: tuple[ProjectFact, ...]
    bookings: tuple[Booking, ...]
    start_s: int = START_S
    """A midnight where the site is."""
    habits: Habits = Habits()
    staff: str = "staff"
    """Who helps and ends sessions."""

    @property
    def seconds(self) -> int:
        """How long it is simulated."""
        return self.days * DAY_S

    def card(self, user: str) -> str:
        """Somebody's card as the service knows it."""
        return next(each.cards[0] for each in self.users if each.user.id == user)

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What the service is told at the start."""
        policy = Policy(min_balance_cny=Decimal(50))
        booked = (BookingFact(id=each.id, booking=each) for each in self.bookings)
        instruments = (each.fact for each in self.equipment)
        return (SiteFact(policy=policy), *instruments, *self.users, *self.projects, *booked)


def make_site(seed: int, instruments: int, days: int) -> Site:
    """The site of a seed."""
    chance = random.Random(f"site {seed}")
    codes = [f"I{number:02}" for number in range(instruments)]
    users, projects = _people(codes), _projects(chance)
    equipment = tuple(_equipment(chance, code, number, days) for number, code in enumerate(codes))
    bookings = tuple(each for one in equipment for each in _bookings(chance, one, users, days))
    calm = seed % 4 == 0
    habits = Habits(losses_a_day=0.0) if calm else Habits()
    return Site(seed, days, calm, equipment, users, projects, bookings, habits=habits)


def _people(codes: list[str]) -> tuple[UserFact, ...]:
    """Four groups of three; one of them unqualified, one disabled, one poor; and somebody of the staff."""
    payers = (Payer.INTERNAL, Payer.INTERNAL, Payer.PARTNER, Payer.EXTERNAL)
    people = [_person(f"u{n}", f"g{n // 3}", payers[n // 3], codes, qualified=n != 2) for n in range(12)]
    people[4] = _person("u4", "g1", Payer.INTERNAL, codes, active=False)
    poor = _person("poor", "g4", Payer.INTERNAL, codes)
    staff = _person("staff", "g5", Payer.INTERNAL, codes, operates=codes)
    return (*people, poor, staff)


def _person(
    name: str,
    group: str,
    payer: Payer,
    codes: list[str],
    *,
    active: bool = True,
    qualified: bool = True,
    operates: list[str] | None = None,
) -> UserFact:
    user = User(
        id=name,
        category=UserCategory.STAFF if operates else UserCategory.STUDENT,
        credit=100,
        active=active,
        groups=frozenset({group}),
        operates=frozenset(operates or ()),
    )
    held = tuple(Qualification(code, Level.INDEPENDENT) for code in codes) if qualified else ()
    return UserFact(user=user, cards=(f"card-{name}",), qualifications=held, payer=payer)


def _projects(chance: random.Random) -> tuple[ProjectFact, ...]:
    """One project for each group, so that nobody need choose."""
    members = {f"g{n}": {f"u{3 * n + k}" for k in range(3)} for n in range(4)} | {"g4": {"poor"}, "g5": {"staff"}}
    return tuple(
        ProjectFact(
            project=Project(f"p-{group}", frozenset(payers), Decimal(10) if group == "g4" else Decimal(1_000_000)),
            free_min=chance.choice([0, 0, 240]),
            fund=chance.choice([NO_FUND, Fund(40, Decimal("300.00")), Fund(33, Decimal(1_000_000))]),
        )
        for group, payers in members.items()
    )


def _equipment(chance: random.Random, code: str, number: int, days: int) -> Equipment:
    slow = chance.random() < 0.7
    variant: dict[str, Any] = {**POLICIES[number % len(POLICIES)], **(SLOW if slow else {})}
    policy = Policy(**variant, min_balance_cny=Decimal(50), no_show_points=2)
    fact = InstrumentFact(
        code=code,
        controller=f"c-{code}",
        policy=policy,
        prices=PriceList((_tariff(chance, code),)),
        downtimes=_downtimes(chance, days),
    )
    return Equipment(
        fact,
        metered=number % 10 != 9,
        relay=number % 10 != 8,
        presence=chance.random() < 0.8,
        beat_s=290 if slow else 80,
    )


def _tariff(chance: random.Random, code: str) -> Tariff:
    night = Band(percent=50, from_minute=22 * 60, until_minute=6 * 60)
    return Tariff(
        instrument=code,
        from_ms=0,
        rates=Rates(Decimal("120.00"), Decimal("155.55"), Decimal("301.01")),
        idle_percent=chance.choice([50, 100, 77]),
        bands=chance.choice([(), (night,), (Band(percent=130, weekdays=(6, 7)), night)]),
        startup_fee_cny=chance.choice([Decimal("0.00"), Decimal("15.50")]),
        min_minutes=chance.choice([0, 30]),
        session_cap_cny=chance.choice([None, Decimal("250.00")]),
    )


def _downtimes(chance: random.Random, days: int) -> tuple[Downtime, ...]:
    """Before anybody comes on some morning."""
    if chance.random() < 0.7:
        return ()
    from_s = START_S + chance.randrange(days) * DAY_S + 3 * 3600 + chance.randrange(3600)
    until_s = from_s + chance.randrange(600, 9000)
    return (Downtime(DowntimeCause.OUTAGE, from_s * 1000, until_s * 1000),)


def _bookings(chance: random.Random, one: Equipment, users: tuple[UserFact, ...], days: int) -> list[Booking]:
    """By day, on whole minutes; never twice in a row by one group, and never exactly half an hour apart."""
    bookings: list[Booking] = []
    group = ""
    for day in range(days):
        minute = day * 1440 + 7 * 60 + chance.randrange(120)
        while minute < day * 1440 + 21 * 60:
            user = chance.choice([each.user for each in users if group not in each.user.groups]).id
            (group,) = next(each.user.groups for each in users if each.user.id == user)
            length = chance.randrange(25, 170)
            bookings.append(_booking(chance, one, len(bookings), user=user, group=group, minute=minute, length=length))
            minute += length + chance.choice([0, 0, 7, 29, 31, 95, 200])
    return bookings


def _booking(
    chance: random.Random, one: Equipment, number: int, *, user: str, group: str, minute: int, length: int
) -> Booking:
    start_ms = (START_S + minute * 60) * 1000
    shared = group if chance.random() < 0.5 else None
    code = one.fact.code
    return Booking(f"b-{code}-{number}", code, user, start_ms, start_ms + length * 60_000, shared)
