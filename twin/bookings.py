"""Bookings made, listed and given back. The table itself keeps those that stand apart."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from tortoise.exceptions import IntegrityError
from tortoise.expressions import Q
from tortoise.queryset import QuerySet
from tortoise.transactions import in_transaction

from twin.directory import BookingFact
from twin.facts import STANDING, booking_fact, load_prices
from twin.interface import BookingQuery, BookingView, BookingWish, ConflictError
from twin.layering import load_layers
from twin.models.money import Project
from twin.models.people import Person, ResearchGroup
from twin.models.registry import Instrument
from twin.models.times import Booking, Downtime
from twin.rules.billing import charge
from twin.state import Category, Span
from twin.store.rows import to_ms, to_time
from twin.tariffs import NOTHING, Payer
from twin.views import rfc3339

LONGEST = timedelta(days=30)
ALTERNATIVES = 3
NEARBY = timedelta(days=7)
"""Alternatives lie within this time of what was wished for."""
STEP = timedelta(minutes=30)

_RELATED = ("instrument", "person", "group", "project")


class Bookings:
    """The bookings of a site."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    async def create(
        self, username: str, wish: BookingWish, clock: Callable[[], int]
    ) -> tuple[BookingView, BookingFact]:
        """Keep an instrument for somebody; gives the fact to be told. `clock`: ms since the epoch.

        Raises:
            ConflictError: it cannot be; where the time is taken, with free stretches nearby.

        """
        _check_times(wish, clock())
        instrument = await Instrument.get_or_none(code=wish.instrument)
        person = await Person.get_or_none(username=username).prefetch_related("groups", "projects")
        if instrument is None or person is None:
            raise ConflictError(f"there is no instrument {wish.instrument!r}, or no person {username!r}")
        group, project = _group(person, wish.group), _project(person, wish.project)
        estimate_cny = await self._estimate(instrument, person, wish)
        try:
            async with in_transaction() as connection:
                row = await Booking.create(
                    using_db=connection,
                    instrument=instrument,
                    person=person,
                    group=group,
                    project=project,
                    start=wish.start,
                    until=wish.end,
                    estimate_cny=estimate_cny,
                )
                _check_times(wish, clock())  # the database may have been away for long
        except IntegrityError as error:
            free = await _free(instrument, wish, clock())
            raise ConflictError(f"{instrument.code} is booked at this time", free) from error
        return _view(row), booking_fact(row)

    async def cancel(self, booking: str, now_ms: int) -> tuple[BookingView, BookingFact] | None:
        """Give a booking back; None: there is none that stands, or its people have come.

        Within `cancel_notice_ms` of its start, and after that, it is `late_cancelled`.
        """
        row = await _found(booking)
        if row is None or row.state != "confirmed" or to_ms(row.until) <= now_ms:
            return None
        policy = (await load_layers(self._zone)).policy(row.instrument)
        late = to_ms(row.start) - now_ms < policy.cancel_notice_ms
        row.state = "late_cancelled" if late else "cancelled"
        if not await Booking.filter(id=row.id, state="confirmed").update(state=row.state):
            return None
        return _view(row), booking_fact(row)

    async def get(self, booking: str) -> BookingView | None:
        """One booking."""
        row = await _found(booking)
        return None if row is None else _view(row)

    async def list(self, wanted: BookingQuery) -> tuple[Sequence[BookingView], int]:
        """Bookings, by their start, and how many there are in all."""
        found = Booking.filter(*_conditions(wanted))
        page = found.order_by("start", "id").offset(wanted.offset).limit(wanted.limit)
        return [_view(row) for row in await _fetched(page)], await found.count()

    async def _estimate(self, instrument: Instrument, person: Person, wish: BookingWish) -> Decimal:
        start_ms, end_ms = to_ms(wish.start), to_ms(wish.end)
        tariff = (await load_prices(instrument.id)).in_force(start_ms)
        if tariff is None:
            return NOTHING
        used = [Span(start_ms, Category.USE)]
        return charge(used, start_ms, end_ms, tariff, Payer(person.payer), zone=self._zone).line.net_cny


def _check_times(wish: BookingWish, now_ms: int) -> None:
    if wish.start >= wish.end:
        raise ConflictError("a booking ends after it begins")
    if wish.end - wish.start > LONGEST:
        raise ConflictError(f"a booking lasts at most {LONGEST.days} days")
    if to_ms(wish.start) < now_ms:
        raise ConflictError("a booking begins in the future")


def _group(person: Person, code: str | None) -> ResearchGroup | None:
    found = next((group for group in person.groups if group.code == code), None)
    if code is not None and found is None:
        raise ConflictError(f"{person.username} does not belong to the group {code!r}")
    return found


def _project(person: Person, code: str | None) -> Project | None:
    found = next((project for project in person.projects if project.code == code), None)
    if code is not None and found is None:
        raise ConflictError(f"{person.username} may not charge the project {code!r}")
    return found


def _fetched(rows: QuerySet[Booking]) -> QuerySet[Booking]:
    return rows.select_related(*_RELATED)


async def _found(booking: str) -> Booking | None:
    if not (booking.isascii() and booking.isdigit() and int(booking) < 2**31):
        return None
    return await _fetched(Booking.filter(id=int(booking))).first()


def _conditions(wanted: BookingQuery) -> Iterator[Q]:
    if wanted.instruments is not None:
        yield Q(instrument__code__in=list(wanted.instruments))
    if wanted.user is not None:
        yield Q(person__username=wanted.user)
    if wanted.state is not None:
        yield Q(state=wanted.state)
    if wanted.start_ms is not None:
        yield Q(until__gt=to_time(wanted.start_ms))
    if wanted.end_ms is not None:
        yield Q(start__lt=to_time(wanted.end_ms))


async def _free(instrument: Instrument, wish: BookingWish, now_ms: int) -> Sequence[tuple[str, str]]:
    """Stretches of the wished length that nobody has, the nearest first."""
    length, first, last = wish.end - wish.start, wish.start - NEARBY, wish.end + NEARBY
    booked = Booking.filter(instrument=instrument, state__in=STANDING, until__gt=first, start__lt=last)
    down = Downtime.filter(Q(until__gt=first) | Q(until=None), instrument=instrument, since__lt=last)
    taken = [(start, until) for start, until in await booked.values_list("start", "until")]
    taken += [(since, until or last + length) for since, until in await down.values_list("since", "until")]
    free: list[tuple[datetime, datetime]] = []
    for start in _candidates(wish, taken):
        apart = all(until <= start or start + length <= since for since, until in taken + free)
        if apart and to_ms(start) >= now_ms:
            free.append((start, start + length))
        if len(free) == ALTERNATIVES:
            break
    return [(rfc3339(to_ms(start)), rfc3339(to_ms(end))) for start, end in free]


def _candidates(wish: BookingWish, taken: Sequence[tuple[datetime, datetime]]) -> Sequence[datetime]:
    """Starts worth trying, the nearest first: every half hour, and where others end or begin."""
    steps = NEARBY // STEP
    starts = {wish.start + STEP * ahead for ahead in range(-steps, steps + 1)}
    starts |= {until for _, until in taken} | {since - (wish.end - wish.start) for since, _ in taken}
    near = (start for start in starts if abs(start - wish.start) <= NEARBY)
    return sorted(near, key=lambda start: (abs(start - wish.start), start))


def _view(row: Booking) -> BookingView:
    return BookingView(
        id=str(row.id),
        instrument=row.instrument.code,
        user=row.person.username,
        group=row.group.code if row.group else None,
        project=row.project.code if row.project else None,
        start=rfc3339(to_ms(row.start)),
        end=rfc3339(to_ms(row.until)),
        state=row.state,
        estimate=f"{row.estimate_cny:.2f}",
    )
