"""The demo's bookings: who has which instrument in the next days, computed from the date alone."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from twin.demo import community, site
from twin.demo.prices import tariffs
from twin.enrolment import NewBooking, NewPerson, register_bookings
from twin.facts import STANDING
from twin.models.times import Booking
from twin.parties import UserCategory
from twin.rules.billing import charge
from twin.state import Category, Span
from twin.store.rows import to_ms
from twin.tariffs import Tariff

DAYS = 8
"""Today and the next seven."""
FIRST_HOUR, LAST_HOUR = 8, 21
NIGHT_HOUR, NIGHT_HOURS = 22, 8

PlannedSlot: TypeAlias = dict[str, str | int]
"""A booking as the simulated controllers are told it: `card` is the uid, `from` and `to` are ms."""
Plan: TypeAlias = dict[str, list[PlannedSlot]]
"""Bookings by controller; every controller is in it."""


class Slot(NamedTuple):
    """Hours of a local day."""

    hour: int
    hours: int


async def register_week(zone: ZoneInfo, now: datetime) -> None:
    """Book what is missing; bookings whose time began while nobody could come are given back without blame."""
    await Booking.filter(state="confirmed", start__lt=now).update(state="released")
    today = now.astimezone(zone).date()
    wanted = (each for ahead in range(DAYS) for each in _day(today + timedelta(days=ahead), zone) if each.start >= now)
    known = set(await Booking.filter(start__gte=now).values_list("instrument__code", "person__username", "start"))
    await register_bookings([each for each in wanted if (each.instrument, each.username, each.start) not in known])


async def plan(now: datetime) -> Plan:
    """What stands and is not over, by controller."""
    controllers = {code: controller for controller, (code, _) in site.connected().items()}
    cards = {person.username: person.cards[0] for person in community.people()}
    found = Booking.filter(until__gt=now, state__in=STANDING, instrument__code__in=list(controllers))
    planned: Plan = {controller: [] for controller in controllers.values()}
    columns = ("instrument__code", "person__username", "start", "until")
    for code, username, start, until in await found.order_by("start").values_list(*columns):
        if username in cards:
            slot: PlannedSlot = {
                "card": cards[username],
                "from": to_ms(start),
                "to": to_ms(until),
                "user": username,
            }
            planned[controllers[code]].append(slot)
    return planned


def _day(day: date, zone: ZoneInfo) -> Iterator[NewBooking]:
    prices = {tariff.instrument: tariff for tariff in tariffs()}
    for code, _ in site.connected().values():
        for number, slot in enumerate(_slots(day, code)):
            yield _booking(day, slot, _who(day, code, number, slot), prices[code], zone)


def _slots(day: date, code: str) -> Iterator[Slot]:
    """Two to five slots with pauses between them, and sometimes the night."""
    hour = FIRST_HOUR + _chance(2, day, code, "first")
    while hour < LAST_HOUR:
        hours = min(1 + _chance(3, day, code, hour), LAST_HOUR - hour)
        yield Slot(hour, hours)
        hour += hours + _chance(3, day, code, hour, "pause")
    if not _chance(6, day, code, "night"):
        yield Slot(NIGHT_HOUR, NIGHT_HOURS)


def _who(day: date, code: str, number: int, slot: Slot) -> NewPerson:
    users = community.users_of(code)
    if slot.hour == NIGHT_HOUR:
        users = [person for person in users if person.category is UserCategory.TEACHER]
    own = [person for person in users if person.username == community.STUDENT]
    if own and number == 1 and not _chance(4, day, code, "own"):
        return own[0]
    return users[_chance(len(users), day, code, number, "who")]


def _booking(day: date, slot: Slot, person: NewPerson, tariff: Tariff, zone: ZoneInfo) -> NewBooking:
    start = datetime.combine(day, time(slot.hour), zone).astimezone(UTC)
    until = start + timedelta(hours=slot.hours)
    used = [Span(to_ms(start), Category.USE)]
    estimate = charge(used, to_ms(start), to_ms(until), tariff, person.payer, zone=zone)
    return NewBooking(
        instrument=tariff.instrument,
        username=person.username,
        group=person.groups[0] if not _chance(4, day, tariff.instrument, slot.hour, "group") else None,
        project=community.project_of(person),
        start=start,
        until=until,
        estimate_cny=estimate.line.net_cny,
    )


def _chance(ways: int, *about: object) -> int:
    """One of so many ways, always the same for the same thing."""
    digest = hashlib.sha256(repr([str(each) for each in about]).encode()).digest()
    return int.from_bytes(digest[:4], "big") % ways
