"""Living through: the world runs in virtual time until it has caught up with the present."""

from collections.abc import Callable, Sequence
from random import Random
from zoneinfo import ZoneInfo

from benchmarks.lived.campus import SEED, campus
from benchmarks.lived.chronicle import Chronicle
from benchmarks.simulation.site import DAY_S
from benchmarks.simulation.world import World
from twin.directory import BookingFact, Fact, InstrumentFact
from twin.facts import STANDING, booking_fact, load_facts
from twin.hours import local_day
from twin.models.times import Booking
from twin.registry import load_registry
from twin.servers.packages import Progress
from twin.store import Names, Store
from twin.store.rows import to_time

STEP_S = 120
"""The store is looked after this often, in virtual time."""
AHEAD_S = (1 * DAY_S, 6 * DAY_S)
"""How long before it begins a booking is made."""
KEPT_S = 2 * DAY_S
"""How long after its end a booking is told of."""


class HasPastError(Exception):
    """Something has been recorded already: it is not the time to make up what was before."""


async def live_through(
    database_url: str, zone: ZoneInfo, since_ms: int, now: Callable[[], int], *, staff: str, progress: Progress
) -> int:
    """Live from a local midnight until `now` (ms), by the bookings in the tables; gives the number of messages.

    The tables are open and filled. Raises HasPastError.
    """
    facts = [fact for fact in await load_facts(zone) if not isinstance(fact, BookingFact)]
    start_ms = local_day(zone, since_ms)[0]
    rows = Booking.filter(start__gte=to_time(start_ms), state__in=STANDING)
    related = ("instrument", "person", "group", "project")
    bookings = [booking_fact(row) for row in await rows.select_related(*related).order_by("start", "id")]
    registry = await load_registry()
    names = Names({name: each.ids for name, each in registry.connected.items()}, registry.controllers)
    store = Store(database_url)
    try:
        if await store.open():
            raise HasPastError
        chronicle = Chronicle(store, names, start_ms)
        days = (now() - start_ms) // (DAY_S * 1000) + 2
        world = World(campus(facts, bookings, start_ms // 1000, days, staff), chronicle, traced=False)
        _begin(chronicle, facts, start_ms)
        _plan_bookings(world, chronicle, bookings)
        await _run(world, chronicle, now, progress)
    finally:
        await store.close()
    return chronicle.messages


def _begin(chronicle: Chronicle, facts: Sequence[Fact], at_ms: int) -> None:
    """As a service begins: every instrument has its station, and everything that is known is told."""
    for fact in facts:
        if isinstance(fact, InstrumentFact):
            chronicle.fleet.seat(fact)
    for fact in facts:
        chronicle.learn(fact, at_ms)
    chronicle.see_broker(at_ms)


def _plan_bookings(world: World, chronicle: Chronicle, bookings: Sequence[BookingFact]) -> None:
    chance = Random(f"bookings {SEED}")
    for fact in bookings:
        if fact.booking is not None:
            made_s = fact.booking.start_ms // 1000 - chance.randrange(*AHEAD_S)
            _plan_telling(world, chronicle, made_s, fact)
            over_s = fact.booking.end_ms // 1000 + KEPT_S
            _plan_telling(world, chronicle, over_s, BookingFact(id=fact.id, booking=None))


def _plan_telling(world: World, chronicle: Chronicle, at_s: int, fact: Fact) -> None:
    world.at(at_s, lambda: world.obey(chronicle.learn(fact, world.now_s * 1000)))


async def _run(world: World, chronicle: Chronicle, now: Callable[[], int], progress: Progress) -> None:
    """Until the present: it moves on meanwhile, and is caught up with."""
    start_s = at_s = world.now_s
    while (until_s := now() // 1000) > at_s:
        at_s = min(at_s + STEP_S, until_s)
        world.run_until(at_s)
        if chronicle.wants_storing:
            await chronicle.store()
            progress("Living through the past", (at_s - start_s) / (until_s - start_s))
    await chronicle.store()
