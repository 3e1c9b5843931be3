"""What is under way when a demo opens, at whatever hour: in the tables, and as simulated people are told of it.

Sessions begin and end within minutes, somebody does not come, somebody does not leave, somebody is not let in, somebody
works without asking: who looks for five minutes sees what a day has to show.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from twin.demo import community, site, week
from twin.demo.week import chance
from twin.enrolment import NewBooking, register_bookings
from twin.facts import STANDING
from twin.models.times import Booking
from twin.store.rows import to_ms

SHORTEST = timedelta(minutes=15)
"""Nobody comes for less."""

PlannedSlot: TypeAlias = dict[str, str | int]
"""A booking as the simulated controllers are told it: `card` is the uid, `from` and `to` are ms."""
Plan: TypeAlias = dict[str, list[PlannedSlot]]
"""Bookings by controller; every controller is in it."""


class Scene(NamedTuple):
    """What is to be seen at an instrument that would be idle, minutes from the opening on."""

    from_min: int
    until_min: int
    manner: str | None = None
    """None: whatever people do."""
    booked: bool = True


class Part(NamedTuple):
    """Somebody in a scene."""

    instrument: str
    username: str
    start: datetime
    until: datetime
    scene: Scene


ANYWHERE = (
    Scene(-15, 3, "punctual"),
    Scene(-28, 60, "absent"),
    Scene(1, 30, "insisting", booked=False),
    *(Scene(minutes, 90 + 10 * minutes) for minutes in (2, 3, 4)),
    *(Scene(-15, minutes, "punctual") for minutes in (5, 6, 8)),
    *(Scene(-minutes, 60 + 10 * minutes, "punctual") for minutes in range(10, 18)),
)
"""The one after the other, as long as there are instruments whose power a controller can cut."""
WITHOUT_RELAY = (Scene(1, 40, "sneaking", booked=False), Scene(1, 45), Scene(2, 30))
OVERRUN = (Scene(-19, 3, "overstaying"), Scene(3, 90, "punctual"))
"""Where nobody is ended by the clock: the one is still there when the other's time comes."""


async def set_up(zone: ZoneInfo, now: datetime) -> Sequence[Part]:
    """Book what is under way at this moment; gives who plays a part in it."""
    now = now.replace(second=0, microsecond=0)
    await register_bookings(_taken_up(zone, now))
    soon = Booking.filter(until__gt=now - timedelta(minutes=30), start__lt=now + timedelta(hours=1))
    standing = await soon.filter(state__in=STANDING).select_related("instrument")
    taken = {each.instrument.code for each in standing}
    parts = list(_parts(zone, now, taken))
    booked = (each for each in parts if each.scene.booked)
    people = {person.username: person for person in community.people()}
    await register_bookings(
        week.booking(each.instrument, people[each.username], each.start, each.until, zone) for each in booked
    )
    return parts


async def plan(now: datetime, parts: Sequence[Part]) -> Plan:
    """What stands and is not over, by controller, and what else people mean to do."""
    controllers = {code: controller for controller, (code, _) in site.connected().items()}
    planned: Plan = {controller: [] for controller in controllers.values()}
    played = {(part.instrument, part.username, part.start): part for part in parts}
    found = Booking.filter(until__gt=now, state__in=STANDING, instrument__code__in=list(controllers))
    columns = ("instrument__code", "person__username", "start", "until")
    for code, username, start, until in await found.order_by("start").values_list(*columns):
        part = played.get((code, username, start))
        planned[controllers[code]].append(_slot(username, start, until, part.scene.manner if part else None))
    for part in parts:
        if not part.scene.booked:
            planned[controllers[part.instrument]].append(
                _slot(part.username, part.start, part.until, part.scene.manner)
            )
    return planned


def _slot(username: str, start: datetime, until: datetime, manner: str | None) -> PlannedSlot:
    slot: PlannedSlot = {
        "card": community.card_uid(username),
        "from": to_ms(start),
        "to": to_ms(until),
        "user": username,
    }
    return slot if manner is None else slot | {"manner": manner}


def _taken_up(zone: ZoneInfo, now: datetime) -> Iterator[NewBooking]:
    """The bookings of the hour as if made a while ago, so that their people still come; some begin or end soon.

    Where there is no relay they are still to come: with the power on, nobody can tell who has tapped.
    """
    for each in week.under_way(zone, now):
        role, minutes = chance(6, now, each.instrument, "role"), chance(6, now, each.instrument, "minutes")
        start, until = now - timedelta(minutes=2 + 3 * minutes), each.until
        if role == 0 or not site.has_relay(each.instrument):
            start = now + timedelta(minutes=1 + minutes)
        elif role == 1:
            start, until = now - timedelta(minutes=15), now + timedelta(minutes=4 + minutes)
        if until - start >= SHORTEST:
            yield msgspec.structs.replace(each, start=start, until=until)


def _parts(zone: ZoneInfo, now: datetime, taken: set[str]) -> Iterator[Part]:
    idle = (code for code, _ in site.connected().values() if code not in taken)
    codes = sorted(idle, key=lambda code: chance(997, now, code))
    overrunning = [code for code in codes if code in site.ended_by_people() and site.has_relay(code)][:1]
    able = [code for code in codes if site.has_relay(code) and code not in overrunning]
    unable = [code for code in codes if code.startswith("WST")]
    for code in overrunning:
        yield from (_part(code, scene, zone, now) for scene in OVERRUN)
    for code, scene in (*zip(able, ANYWHERE, strict=False), *zip(unable, WITHOUT_RELAY, strict=False)):
        yield _part(code, scene, zone, now)


def _part(code: str, scene: Scene, zone: ZoneInfo, now: datetime) -> Part:
    start, until = (now + timedelta(minutes=minutes) for minutes in (scene.from_min, scene.until_min))
    if scene.booked:
        person = week.who(code, start, until, zone, about=(now, scene))
    else:
        strangers = [each for each in community.people() if each not in community.users_of(code)]
        person = strangers[chance(len(strangers), now, scene)]
    return Part(code, person.username, start, until, scene)
