"""The relational tables as what the rules are told: every row that matters becomes part of a fact."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from twin.directory import BEIJING, BookingFact, Fact, InstrumentFact, ProjectFact, SiteFact, UserFact, packed
from twin.layering import Layers, RegistryError, load_layers
from twin.models import money, people, times
from twin.models.registry import Controller
from twin.parties import Ban, Booking, Downtime, DowntimeCause, Level, Project, Qualification, User, UserCategory
from twin.state import FOREVER_MS
from twin.store.rows import to_ms
from twin.tariffs import Fund, Payer, PriceList, Tariff

STANDING = ("confirmed", "used")
"""States of a booking that stands."""
KEPT = timedelta(days=2)
"""Bookings that ended longer ago are not told."""

_Row = TypeVar("_Row", money.Tariff, times.Downtime)


async def load_facts(zone: ZoneInfo = BEIJING) -> list[Fact]:
    """All facts as the tables have them now; `zone` is that of a site about which nothing is stored.

    Raises:
        RegistryError: something stored cannot be; the message says what and where.

    """
    layers = await load_layers(zone)
    site = SiteFact(zone=layers.zone, policy=layers.site_policy())
    return [
        site,
        *await _instruments(layers),
        *await _projects(),
        *await _users(site.policy.credit_full_points),
        *await _bookings(),
    ]


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


async def _instruments(layers: Layers) -> Iterable[InstrumentFact]:
    controllers = await Controller.all().select_related("instrument__platform").order_by("instrument__code")
    tariffs = _by_instrument(await money.Tariff.all().select_related("instrument").order_by("since"))
    downtimes = _by_instrument(await times.Downtime.all().select_related("instrument").order_by("since", "id"))
    return [
        InstrumentFact(
            code=each.instrument.code,
            controller=each.name,
            platform=each.instrument.platform.code,
            policy=layers.policy(each.instrument),
            opening=layers.opening(each.instrument),
            prices=_prices(tariffs[each.instrument.code]),
            downtimes=tuple(_downtime(row) for row in downtimes[each.instrument.code]),
        )
        for each in controllers
    ]


async def _projects() -> Iterable[ProjectFact]:
    rows = await money.Project.all().prefetch_related("payers", "instruments").order_by("code")
    return [
        ProjectFact(
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
        for row in rows
    ]


async def _users(credit: int) -> Iterable[UserFact]:
    belongings = ("groups", "operates", "cards", "qualifications__instrument", "bans__instrument")
    rows = await people.Person.all().prefetch_related(*belongings).order_by("username")
    return [
        UserFact(
            user=_user(row, credit),
            cards=tuple(sorted(card.digest for card in row.cards)),
            qualifications=_qualifications(row),
            payer=Payer(row.payer),
        )
        for row in rows
    ]


async def _bookings() -> Iterable[BookingFact]:
    rows = times.Booking.filter(until__gt=datetime.now(UTC) - KEPT, state__in=STANDING)
    fetched = await rows.select_related("instrument", "person", "group", "project").order_by("start", "id")
    return map(booking_fact, fetched)


def _user(row: people.Person, credit: int) -> User:
    return User(
        id=row.username,
        category=UserCategory(row.category),
        credit=credit,
        active=row.active,
        valid_until_ms=_end_ms(row.valid_until),
        groups=frozenset(group.code for group in row.groups),
        operates=frozenset(instrument.code for instrument in row.operates),
        bans=tuple(_ban(ban) for ban in sorted(row.bans, key=lambda ban: ban.id)),
    )


def _ban(row: people.Ban) -> Ban:
    return Ban(row.instrument.code if row.instrument else None, to_ms(row.since), _end_ms(row.until))


def _qualifications(row: people.Person) -> tuple[Qualification, ...]:
    held = (
        Qualification(each.instrument.code, Level(each.level), to_ms(each.since), _end_ms(each.until))
        for each in row.qualifications
    )
    return tuple(sorted(held, key=lambda each: (each.instrument, each.from_ms, each.level)))


def _downtime(row: times.Downtime) -> Downtime:
    return Downtime(DowntimeCause(row.cause), to_ms(row.since), _end_ms(row.until))


def _prices(rows: Iterable[money.Tariff]) -> PriceList:
    return PriceList(versions=tuple(_tariff(row) for row in rows))


def _tariff(row: money.Tariff) -> Tariff:
    head: dict[str, Any] = {"instrument": row.instrument.code, "from_ms": to_ms(row.since)}
    try:
        return msgspec.convert(row.body | head, Tariff)
    except msgspec.ValidationError as error:
        since = row.since.isoformat()
        raise RegistryError(f"the tariff of instrument {row.instrument.code} from {since} is wrong: {error}") from error


def _by_instrument(rows: Iterable[_Row]) -> defaultdict[str, list[_Row]]:
    found: defaultdict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        found[row.instrument.code].append(row)
    return found


def _end_ms(until: datetime | None) -> int:
    return FOREVER_MS if until is None else to_ms(until)


def news(present: Mapping[str, Fact], logged: Mapping[str, tuple[Fact, bytes]]) -> list[Fact]:
    """The facts that are not as they were last logged; a booking that is not kept any more does not stand."""
    changed = [fact for key, fact in present.items() if key not in logged or logged[key][1] != packed(fact)]
    gone = [
        BookingFact(id=fact.id, booking=None)
        for key, (fact, _) in logged.items()
        if isinstance(fact, BookingFact) and fact.booking is not None and key not in present
    ]
    return changed + gone
