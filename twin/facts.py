"""The relational tables as what the rules are told: every row that matters becomes part of a fact."""

import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from twin.directory import BEIJING, BookingFact, Fact, InstrumentFact, ProjectFact, SiteFact, UserFact
from twin.fitted import fitted
from twin.layering import Layers, RegistryError, load_layers
from twin.models import money, people, times
from twin.parties import Ban, Booking, Downtime, DowntimeCause, Level, Project, Qualification, User, UserCategory
from twin.state import FOREVER_MS
from twin.store.rows import to_ms, to_time
from twin.store.tables import table_rows
from twin.tariffs import Fund, Payer, PriceList, Tariff

STANDING = ("confirmed", "used")
"""States of a booking that stands."""
KEPT = timedelta(days=2)
"""Bookings that ended longer ago are not told."""
_NO_PRICES = PriceList(versions=())

_TARIFFS = """
SELECT instrument_id, instrument.code AS instrument, round(extract(epoch FROM "from") * 1000)::bigint AS from_ms,
    body::text AS body
FROM tariff JOIN instrument ON instrument.id = instrument_id ORDER BY instrument_id, "from"
"""
_USERS = """
SELECT id, username, category, active, valid_until, payer,
    ARRAY(SELECT code FROM person_group JOIN research_group ON research_group.id = group_id
          WHERE person_id = person.id) AS groups,
    ARRAY(SELECT code FROM person_operates JOIN instrument ON instrument.id = instrument_id
          WHERE person_id = person.id) AS operates,
    ARRAY(SELECT digest FROM card WHERE person_id = person.id ORDER BY digest) AS cards
FROM person ORDER BY username
"""
_QUALIFICATIONS = """
SELECT person_id, code, qualification.level, "from", until
FROM qualification JOIN instrument ON instrument.id = instrument_id
"""
_BOOKINGS = """
SELECT booking.id::text AS id, instrument.code AS instrument, username AS user,
    round(extract(epoch FROM start) * 1000)::bigint AS start_ms,
    round(extract(epoch FROM until) * 1000)::bigint AS end_ms,
    research_group.code AS "group", estimate_cny::text AS estimate_cny, project.code AS project
FROM booking JOIN instrument ON instrument.id = instrument_id JOIN person ON person.id = person_id
    LEFT JOIN research_group ON research_group.id = group_id LEFT JOIN project ON project.id = project_id
WHERE until > $1 AND state = ANY($2) ORDER BY start, booking.id
"""


class Tables:
    """The relational tables, read as facts kind by kind; values that many facts have in common are one in memory.

    What is wrong in them raises RegistryError; the message says what and where.
    """

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self.site = SiteFact(zone=layers.zone, policy=layers.site_policy())

    async def instruments(self) -> AsyncIterator[InstrumentFact]:
        """Those with a controller, by code."""
        prices = await _all_prices()
        downtimes: defaultdict[int, list[Downtime]] = defaultdict(list)
        async for row in times.Downtime.all().order_by("since", "id"):
            downtimes[row.instrument_id].append(_downtime(row))
        async for each in fitted(self._layers):
            yield InstrumentFact(
                code=each.code,
                controller=each.controller,
                platform=each.platform,
                policy=each.policy,
                opening=each.opening,
                prices=prices.get(each.ids.instrument_id, _NO_PRICES),
                downtimes=tuple(downtimes.get(each.ids.instrument_id, ())),
            )

    async def projects(self) -> AsyncIterator[ProjectFact]:
        """All of them, by code."""
        for row in await money.Project.all().prefetch_related("payers", "instruments").order_by("code"):
            yield _project(row)

    async def users(self) -> AsyncIterator[UserFact]:
        """All of them, by name."""
        qualifications, bans = await _all_qualifications(), await _all_bans()
        credit = self.site.policy.credit_full_points
        async for row in table_rows(_USERS):
            yield UserFact(
                user=_user(row, credit, tuple(bans.get(row["id"], ()))),
                cards=tuple(row["cards"]),
                qualifications=tuple(qualifications.get(row["id"], ())),
                payer=Payer(row["payer"]),
            )

    async def bookings(self) -> AsyncIterator[BookingFact]:
        """Those that stand and are not long over, by their start."""
        estimates: dict[str, Decimal] = {}
        async for row in table_rows(_BOOKINGS, datetime.now(UTC) - KEPT, STANDING):
            estimate = row["estimate_cny"]
            booking = Booking(
                id=row["id"],
                instrument=sys.intern(row["instrument"]),
                user=sys.intern(row["user"]),
                start_ms=row["start_ms"],
                end_ms=row["end_ms"],
                group=_interned(row["group"]),
                estimate_cny=estimates.setdefault(estimate, Decimal(estimate)),
                project=_interned(row["project"]),
            )
            yield BookingFact(id=booking.id, booking=booking)


async def open_tables(zone: ZoneInfo = BEIJING) -> Tables:
    """The tables as they are now; `zone` is that of a site about which nothing is stored. Raises RegistryError."""
    return Tables(await load_layers(zone))


async def load_facts(zone: ZoneInfo = BEIJING) -> list[Fact]:
    """All facts as the tables have them now; `zone` as for `open_tables`. Raises RegistryError."""
    tables = await open_tables(zone)
    facts: list[Fact] = [tables.site]
    for kind in (tables.instruments, tables.projects, tables.users, tables.bookings):
        facts += [fact async for fact in kind()]
    return facts


async def load_prices(instrument_id: int) -> PriceList:
    """What an instrument costs. Raises RegistryError."""
    rows = await money.Tariff.filter(instrument_id=instrument_id).select_related("instrument").order_by("since")
    return _prices(rows)


def booking_fact(row: times.Booking) -> BookingFact:
    """A booking as a fact; instrument, person, group and project have been fetched with it."""
    if row.state not in STANDING:
        return BookingFact(id=str(row.id), booking=None)
    booking = Booking(
        id=str(row.id),
        instrument=row.instrument.code,
        user=row.person.username,
        start_ms=to_ms(row.start),
        end_ms=to_ms(row.until),
        group=row.group.code if row.group else None,
        estimate_cny=row.estimate_cny,
        project=row.project.code if row.project else None,
    )
    return BookingFact(id=booking.id, booking=booking)


def _project(row: money.Project) -> ProjectFact:
    return ProjectFact(
        project=Project(
            id=row.code,
            payers=frozenset(payer.username for payer in row.payers),
            balance_cny=row.balance_cny,
            credit_line_cny=row.credit_line_cny,
            instruments=frozenset(each.code for each in row.instruments) or None,
            from_ms=to_ms(row.valid_from) if row.valid_from else 0,
            until_ms=_end_ms(row.valid_until),
        ),
        free_min=row.free_min,
        fund=Fund(share_percent=row.fund_share_percent, left_cny=row.fund_left_cny),
    )


async def _all_prices() -> dict[int, PriceList]:
    """By the instrument's id. Tariffs that say the same share all but the name of their instrument."""
    alike: dict[tuple[int, str], Tariff] = {}
    versions: dict[int, tuple[Tariff, ...]] = {}
    async for row in table_rows(_TARIFFS):
        key = row["from_ms"], row["body"]
        if key not in alike:
            alike[key] = _read_tariff(row["instrument"], row["from_ms"], msgspec.json.decode(row["body"]))
        tariff = msgspec.structs.replace(alike[key], instrument=sys.intern(row["instrument"]))
        versions[row["instrument_id"]] = (*versions.get(row["instrument_id"], ()), tariff)
    return {instrument_id: PriceList(versions=own) for instrument_id, own in versions.items()}


async def _all_qualifications() -> dict[int, list[Qualification]]:
    """By the person's id."""
    alike: dict[Qualification, Qualification] = {}
    held: defaultdict[int, list[Qualification]] = defaultdict(list)
    async for row in table_rows(_QUALIFICATIONS):
        each = Qualification(sys.intern(row["code"]), Level(row["level"]), to_ms(row["from"]), _end_ms(row["until"]))
        held[row["person_id"]].append(alike.setdefault(each, each))
    for own in held.values():
        own.sort(key=lambda each: (each.instrument, each.from_ms, each.level))
    return held


async def _all_bans() -> dict[int, list[Ban]]:
    """By the person's id."""
    found: defaultdict[int, list[Ban]] = defaultdict(list)
    for row in await people.Ban.all().select_related("instrument").order_by("id"):
        found[row.person_id].append(_ban(row))
    return found


def _interned(text: str | None) -> str | None:
    return None if text is None else sys.intern(text)


def _user(row: Mapping[str, Any], credit: int, bans: tuple[Ban, ...]) -> User:
    return User(
        id=sys.intern(row["username"]),
        category=UserCategory(row["category"]),
        credit=credit,
        active=row["active"],
        valid_until_ms=_end_ms(row["valid_until"]),
        groups=frozenset(map(sys.intern, row["groups"])),
        operates=frozenset(map(sys.intern, row["operates"])),
        bans=bans,
    )


def _ban(row: people.Ban) -> Ban:
    return Ban(row.instrument.code if row.instrument else None, to_ms(row.since), _end_ms(row.until))


def _downtime(row: times.Downtime) -> Downtime:
    return Downtime(DowntimeCause(row.cause), to_ms(row.since), _end_ms(row.until))


def _prices(rows: Iterable[money.Tariff]) -> PriceList:
    return PriceList(versions=tuple(_tariff(row) for row in rows))


def _tariff(row: money.Tariff) -> Tariff:
    return _read_tariff(row.instrument.code, to_ms(row.since), row.body)


def _read_tariff(instrument: str, from_ms: int, body: Mapping[str, Any]) -> Tariff:
    try:
        return msgspec.convert({**body, "instrument": instrument, "from_ms": from_ms}, Tariff)
    except msgspec.ValidationError as error:
        since = to_time(from_ms).isoformat()
        raise RegistryError(f"the tariff of instrument {instrument} from {since} is wrong: {error}") from error


def _end_ms(until: datetime | None) -> int:
    return FOREVER_MS if until is None else to_ms(until)
