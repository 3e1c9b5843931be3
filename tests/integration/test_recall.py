"""A fleet is put where it was, and what came due in the pause happens as if there had been none."""

from collections.abc import AsyncIterator
from decimal import Decimal

import asyncpg
import pytest

from tests.chronicles import CONTROLLER, HOUR_MS, MINUTE_MS, Chronicle, begin_chronicle
from tests.houses import house
from twin.alerts import AlertKind
from twin.directory import BEIJING, BookingFact, Fact, ProjectFact
from twin.events import Tick
from twin.fleet import Fleet
from twin.models.money import Project
from twin.parties import Booking
from twin.recall import recall
from twin.requests import Learnt
from twin.rules.outcome import Outcome
from twin.state import FOREVER_MS
from twin.store.restore import read_accounts

OFFLINE_AFTER_MS = 300_000


@pytest.fixture
async def chronicle(database_url: str) -> AsyncIterator[Chronicle]:
    """A session has been open for twenty minutes; everything is stored."""
    async with house(database_url):
        chronicle = await begin_chronicle(database_url)
        await chronicle.pass_time(10 * MINUTE_MS)
        chronicle.unlock("ada", "P1")
        chronicle.relay, chronicle.power_w = True, 1200.0
        await chronicle.pass_time(2_000)  # the controller answers in time
        await chronicle.pass_time(20 * MINUTE_MS)
        await chronicle.end()
        yield chronicle


async def recalled(database_url: str) -> tuple[Fleet, int, list[Fact]]:
    fleet = Fleet()
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        count, changed = await recall(fleet, pool, BEIJING)
        await read_accounts(pool, fleet.accounts)
    return fleet, count, changed


async def execute(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_fleet_is_put_where_it_was_and_has_nothing_to_learn(chronicle: Chronicle, database_url: str) -> None:
    fleet, count, changed = await recalled(database_url)
    assert (count, changed) == (1, [])
    assert fleet.station(CONTROLLER) == chronicle.fleet.station(CONTROLLER)
    known, was = fleet.directory, chronicle.fleet.directory
    assert (known.site, known.users, known.projects) == (was.site, was.users, was.projects)
    assert known.instruments == was.instruments
    assert chronicle.now_ms < fleet.next_due_ms() < FOREVER_MS


async def test_facts_that_were_logged_without_a_digest_are_read(chronicle: Chronicle, database_url: str) -> None:
    await execute(database_url, "UPDATE fact SET digest = NULL")
    fleet, count, changed = await recalled(database_url)
    assert (count, changed) == (1, [])
    assert fleet.directory.users == chronicle.fleet.directory.users


async def test_what_came_due_in_the_pause_happens_at_its_own_time(chronicle: Chronicle, database_url: str) -> None:
    fleet, _, _ = await recalled(database_url)
    link = fleet.twin(CONTROLLER).link
    assert link is not None
    later_ms = chronicle.now_ms + 5 * HOUR_MS
    found, expected = fleet.handle(Tick(later_ms)), chronicle.fleet.handle(Tick(later_ms))
    assert found.consequences == expected.consequences
    assert fleet.station(CONTROLLER) == chronicle.fleet.station(CONTROLLER)
    assert fired(found)[AlertKind.CONTROLLER_OFFLINE] == link.heard_ms + OFFLINE_AFTER_MS


def fired(outcome: Outcome) -> dict[AlertKind, int]:
    return {record.alert.kind: record.fired_ms for follows in outcome.consequences for record in follows.alerts}


async def test_a_pause_may_be_caught_up_with_bit_by_bit(chronicle: Chronicle, database_url: str) -> None:
    fleet, _, _ = await recalled(database_url)
    later_ms = chronicle.now_ms + 5 * HOUR_MS
    outcomes = []
    while fleet.next_due_ms() <= later_ms:
        outcomes.append(fleet.handle(Tick(min(later_ms, fleet.next_due_ms()))))
    expected = chronicle.fleet.handle(Tick(later_ms))
    assert len(outcomes) > 3
    merged = {kind: fired_ms for outcome in outcomes for kind, fired_ms in fired(outcome).items()}
    assert merged == fired(expected)
    assert fleet.station(CONTROLLER).control.state == chronicle.fleet.station(CONTROLLER).control.state


async def test_what_has_changed_is_told_and_until_then_it_is_as_it_was(chronicle: Chronicle, database_url: str) -> None:
    await Project.filter(code="P1").update(balance_cny=Decimal(7))
    fleet, _, changed = await recalled(database_url)
    assert [fact.key for fact in changed] == ["project:P1"]
    assert isinstance(changed[0], ProjectFact)
    assert changed[0].project.balance_cny == 7
    assert fleet.directory.projects == chronicle.fleet.directory.projects


async def test_a_booking_that_is_not_kept_any_more_is_told_once(chronicle: Chronicle, database_url: str) -> None:
    booking = Booking(id="17", instrument="SEM", user="ada", start_ms=chronicle.now_ms, end_ms=chronicle.now_ms + 1)
    chronicle.learn(BookingFact(id="17", booking=booking))
    await chronicle.end()
    fleet, _, changed = await recalled(database_url)
    assert changed == [BookingFact(id="17", booking=None)]
    assert fleet.directory.booking("17") == booking
    chronicle.ask(Learnt(number=10**6, at_ms=chronicle.now_ms, fact=changed[0]))
    await chronicle.end()
    fleet, _, changed = await recalled(database_url)
    assert (changed, fleet.directory.booking("17")) == ([], None)


async def test_a_controller_that_is_not_registered_any_more_is_not_seated(
    chronicle: Chronicle, database_url: str
) -> None:
    await execute(database_url, "DELETE FROM controller")
    fleet, count, changed = await recalled(database_url)
    assert (len(fleet), count, changed) == (0, 0, [])
    assert CONTROLLER in chronicle.fleet


async def test_a_session_shares_with_the_facts_what_is_the_same(chronicle: Chronicle, database_url: str) -> None:
    fleet, _, _ = await recalled(database_url)
    station, fact = fleet.station(CONTROLLER), fleet.directory.instruments["SEM"]
    assert station.terms is not None
    assert station.terms.tariff is fact.prices.versions[0]
    assert chronicle.fleet.station(CONTROLLER) == station
