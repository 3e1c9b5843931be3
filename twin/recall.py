"""What the fleet knew when the service was last stopped: stations and facts; and which facts have changed since.

Nearly nothing has. So a fact is taken from the tables where its digest is that of the one last logged, and read from
the log only where it is not. Kind by kind and row by row: a large site is never in memory twice.
"""

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from twin.directory import BookingFact, Directory, Fact, InstrumentFact, packed
from twin.facts import open_tables
from twin.fleet import Fleet
from twin.sessions import Free, SessionState, Use
from twin.state import FOREVER_MS
from twin.station import Station, Terms
from twin.store.restore import read_checkpoints, read_facts, read_logged
from twin.store.rows import fact_digest

_AT_ONCE = 1_000


async def recall(fleet: Fleet, pool: asyncpg.Pool, zone: ZoneInfo) -> tuple[int, list[Fact]]:
    """Put the fleet where it was; gives the number of checkpoints and the facts that are to be told to it first of all.

    Raises:
        RegistryError: something in the tables cannot be.
        IncompatibleVersionError: a checkpoint was written by another version.

    """
    tables = await open_tables(zone)
    changed = [
        *await _recall_kind(fleet, pool, "site", _one(tables.site)),
        *await _recall_kind(fleet, pool, "project:", tables.projects()),
        *await _recall_kind(fleet, pool, "user:", tables.users()),
        *await _recall_kind(fleet, pool, "booking:", tables.bookings()),
        *await _recall_kind(fleet, pool, "grants:", _none()),  # they follow from the others, and stand in no table
    ]
    # Last of all: when something may be due at a station hangs on all the others.
    count, otherwise = await _recall_stations(fleet, pool, tables.instruments())
    return count, [*changed, *otherwise]


async def _one(fact: Fact) -> AsyncIterator[Fact]:
    yield fact


async def _none() -> AsyncIterator[Fact]:
    none: tuple[Fact, ...] = ()
    for each in none:
        yield each


async def _recall_kind(fleet: Fleet, pool: asyncpg.Pool, prefix: str, told: AsyncIterator[Fact]) -> list[Fact]:
    """Let the fleet learn one kind of facts as they were logged; gives those that are otherwise now."""
    present = {fact.key: fact async for fact in told}
    logged = _Logged(present)
    async for fact in logged.unchanged(pool, prefix):
        fleet.learn(fact)
    gone: list[Fact] = []
    async for fact, is_there in logged.others(pool):
        fleet.learn(fact)
        if isinstance(fact, BookingFact) and fact.booking is not None and not is_there:
            gone.append(BookingFact(id=fact.id, booking=None))  # it is not kept any more
    return [*present.values(), *gone]


async def _recall_stations(
    fleet: Fleet, pool: asyncpg.Pool, told: AsyncIterator[InstrumentFact]
) -> tuple[int, list[Fact]]:
    """Seat every controller that is still registered, by what was logged of its instrument, or by what is known now."""
    present: dict[str, Fact] = {fact.key: fact async for fact in told}
    seats = {fact.controller: fact async for fact in _registered(pool, present)}
    count, changed = 0, list(present.values())
    for fact in changed:
        if isinstance(fact, InstrumentFact):
            seats.setdefault(fact.controller, fact)
    present.clear()  # its room is needed for the stations
    async for controller, station in read_checkpoints(pool):
        if (known := seats.pop(controller, None)) is not None:
            count += 1
            fleet.seat(known, _shared(station, known, fleet.directory))
    for known in seats.values():
        fleet.seat(known)
    return count, changed


async def _registered(pool: asyncpg.Pool, present: dict[str, Fact]) -> AsyncIterator[InstrumentFact]:
    """The instruments as they were logged, of those that the tables have."""
    logged = _Logged(present)
    async for fact in logged.unchanged(pool, "instrument:"):
        if isinstance(fact, InstrumentFact):
            yield fact
    async for fact, is_there in logged.others(pool):
        if isinstance(fact, InstrumentFact) and is_there:
            yield fact


class _Logged:
    """The newest logged facts of a kind, beside those that the tables have now."""

    def __init__(self, present: dict[str, Fact]) -> None:
        self._present = present
        """Those that are as they were logged are taken out of it."""
        self._others: list[tuple[str, int]] = []

    async def unchanged(self, pool: asyncpg.Pool, prefix: str) -> AsyncIterator[Fact]:
        """Those that are as they were."""
        async for key, number, digest in read_logged(pool, prefix):
            fact = self._present.get(key)
            if fact is not None and fact_digest(packed(fact)) == digest:
                del self._present[key]
                yield fact
            elif digest is None or digest != _over(key):
                self._others.append((key, number))

    async def others(self, pool: asyncpg.Pool) -> AsyncIterator[tuple[Fact, bool]]:
        """The rest, as they were, and whether the tables have them; those without a digest may be as they were, too."""
        for start in range(0, len(self._others), _AT_ONCE):
            for fact in await read_facts(pool, self._others[start : start + _AT_ONCE]):
                present = self._present.get(fact.key)
                if present is not None and packed(present) == packed(fact):
                    yield self._present.pop(fact.key), True
                else:
                    yield fact, present is not None


def _over(key: str) -> bytes:
    """The digest of a booking that does not stand any more: the log has many, and nobody need read them."""
    kind, _, id_ = key.partition(":")
    return fact_digest(packed(BookingFact(id=id_, booking=None))) if kind == "booking" else b""


def _shared(station: Station, fact: InstrumentFact, directory: Directory) -> Station:
    """The same station; what it has in common with the facts is one value in memory."""
    replace, lapsed = msgspec.structs.replace, station.lapsed
    if station.funds_due_ms == station.held_off_ms == FOREVER_MS:
        station = replace(station, funds_due_ms=FOREVER_MS, held_off_ms=FOREVER_MS)
    if lapsed is not None:
        use, terms = _shared_use(lapsed.use, directory), _shared_terms(lapsed.terms, fact)
        station = replace(station, lapsed=replace(lapsed, use=use, terms=terms))
    if isinstance(station.control.state, Free):
        return station
    control = replace(station.control, state=_shared_state(station.control.state, directory))
    return replace(station, control=control, terms=_shared_terms(station.terms, fact))


def _shared_terms(terms: Terms | None, fact: InstrumentFact) -> Terms | None:
    if terms is None or terms.tariff is None:
        return terms
    same = next((each for each in fact.prices.versions if each == terms.tariff), terms.tariff)
    return msgspec.structs.replace(terms, tariff=same)


def _shared_state(state: SessionState, directory: Directory) -> SessionState:
    if isinstance(state, Free):
        return state
    return msgspec.structs.replace(state, use=_shared_use(state.use, directory))


def _shared_use(use: Use, directory: Directory) -> Use:
    user, booking = use.user, use.booking
    holder = directory.users.get(user.id)
    if holder is not None and user == holder.user:
        user = holder.user
    elif holder is not None and (user.groups, user.operates) == (holder.user.groups, holder.user.operates):
        user = msgspec.structs.replace(user, groups=holder.user.groups, operates=holder.user.operates)
    known = None if booking is None else directory.booking(booking.id)
    return msgspec.structs.replace(use, user=user, booking=known if known == booking else booking)


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage while millions of values are made that all stay, and none among them ever after."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
