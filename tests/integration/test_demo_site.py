"""The demo's tables on the real database: whole, quick to fill, the same when filled again, read by both sides."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from controllers_sim.scenario import read_scenario
from twin.demo import community, opening, people, site, week
from twin.demo.prices import tariffs
from twin.demo.simulation import scenario, write_plan
from twin.directory import BookingFact, Fact, InstrumentFact, ProjectFact, UserFact
from twin.facts import load_facts
from twin.models.times import Booking
from twin.parties import Booking as Slot
from twin.parties import Level, UserCategory
from twin.people import People
from twin.registration import (
    register_controllers,
    register_instruments,
    register_platforms,
    register_site,
    register_tariffs,
)
from twin.rules.access import Origin, Question, decide
from twin.service import open_database
from twin.state import LinkState
from twin.store.rows import to_ms
from twin.stream.broker import BrokerAddress

BEIJING = ZoneInfo("Asia/Shanghai")


async def fill(now: datetime) -> None:
    await register_site(site.university("Asia/Shanghai"))
    await register_platforms(site.platforms())
    await register_instruments(site.instruments())
    await register_tariffs(tariffs())
    await community.enrol()
    await week.register_week(BEIJING, now)


@pytest.fixture
async def now(database_url: str) -> AsyncIterator[datetime]:
    """A filled database, at nine in the evening before the first day that is fully booked."""
    now = datetime.now(BEIJING).replace(hour=21, minute=0, second=0, microsecond=0).astimezone(UTC)
    async with open_database(database_url):
        await fill(now)
        fitted = {controller: code for controller, (code, _) in site.connected().items()}
        await register_controllers(fitted, dict.fromkeys(fitted, "secret"))
        yield now


async def test_the_rules_are_told_of_everybody_and_everything(now: datetime) -> None:
    facts = await load_facts()
    users = {fact.user.id: fact for fact in facts if isinstance(fact, UserFact)}
    projects = {fact.project.id: fact for fact in facts if isinstance(fact, ProjectFact)}
    instruments = [fact for fact in facts if isinstance(fact, InstrumentFact)]
    assert len(users) == 121
    assert all(fact.cards for fact in users.values())
    assert {fact.user.category for fact in users.values()} == set(UserCategory)
    assert users["student"].user.groups == {"G01"}
    assert len(users["manager"].user.operates) == site.LISTED
    assert all("student" in projects[code].project.payers for code in ("P01",))
    assert len(instruments) == site.CONNECTED
    assert all(len(fact.prices.versions) == 1 for fact in instruments)
    assert any(fact.booking and fact.booking.user == "student" for fact in facts if isinstance(fact, BookingFact))


async def test_who_books_may_work_alone_and_charge_the_project(now: datetime) -> None:
    facts = await load_facts()
    users = {fact.user.id: fact for fact in facts if isinstance(fact, UserFact)}
    projects = {fact.project.id: fact.project for fact in facts if isinstance(fact, ProjectFact)}
    bookings = [fact.booking for fact in facts if isinstance(fact, BookingFact) and fact.booking]
    assert len(bookings) > 7 * site.CONNECTED
    for booking in bookings:
        held = [each for each in users[booking.user].qualifications if each.instrument == booking.instrument]
        assert any(each.level.reaches(Level.INDEPENDENT) and each.until_ms > booking.end_ms for each in held), booking
        assert booking.project is not None
        assert booking.user in projects[booking.project].payers
        assert booking.estimate_cny > 0


async def test_filling_again_adds_only_what_a_new_day_brings(now: datetime) -> None:
    taken_back = await Booking.all().order_by("id").first()
    assert taken_back is not None
    await Booking.filter(id=taken_back.id).update(state="cancelled")
    before = await Booking.all().count()
    await fill(now)
    assert await Booking.all().count() == before
    await fill(now + timedelta(days=1))
    new = await Booking.all().order_by("-id").limit(await Booking.all().count() - before)
    assert {each.start.astimezone(BEIJING).date() for each in new} == {
        now.astimezone(BEIJING).date() + timedelta(days=week.DAYS)
    }


async def test_bookings_that_nobody_could_come_to_are_given_back(now: datetime) -> None:
    later = now + timedelta(days=2)
    gone = later - week.COMES_WITHIN
    await week.register_week(BEIJING, later)
    missed = await Booking.filter(start__lt=gone)
    assert missed
    assert {each.state for each in missed} == {"released"}


@pytest.mark.parametrize("local", ["2027-03-10 04:10", "2027-03-10 09:40", "2027-03-10 20:15", "2027-03-14 23:05"])
async def test_at_any_hour_people_are_at_work_come_and_go_and_are_let_in(now: datetime, local: str) -> None:
    at = datetime.fromisoformat(local).replace(tzinfo=BEIJING).astimezone(UTC)
    parts = await opening.set_up(BEIJING, at)
    facts = await load_facts()
    booked = [fact.booking for fact in facts if isinstance(fact, BookingFact) and fact.booking]
    at_ms, minute_ms = to_ms(at), 60_000
    under_way = [each for each in booked if each.start_ms <= at_ms < each.end_ms]
    assert len(under_way) >= 12
    assert sum(each.end_ms <= at_ms + 10 * minute_ms for each in under_way) >= 3
    assert sum(at_ms < each.start_ms <= at_ms + 5 * minute_ms for each in booked) >= 3
    assert {part.scene.manner for part in parts} >= {"absent", "insisting", "sneaking"}
    refused = [each for each in under_way if not is_let_in(each, facts, at_ms)]
    assert not refused
    [stranger] = [part for part in parts if part.scene.manner == "insisting"]
    assert stranger.username not in {person.username for person in community.users_of(stranger.instrument)}


def is_let_in(booking: Slot, facts: Sequence[Fact], at_ms: int) -> bool:
    users = {fact.user.id: fact for fact in facts if isinstance(fact, UserFact)}
    instruments = {fact.code: fact for fact in facts if isinstance(fact, InstrumentFact)}
    fact, holder = instruments[booking.instrument], users[booking.user]
    question = Question(
        at_ms=at_ms,
        user=holder.user,
        instrument=fact.code,
        policy=fact.policy,
        opening=fact.opening,
        link=LinkState.ONLINE,
        origin=Origin.CARD,
        bookings=(booking,),
        qualifications=holder.qualifications,
        projects=tuple(each.project for each in facts if isinstance(each, ProjectFact)),
    )
    return decide(question).granted


async def test_simulated_people_are_told_the_plan(now: datetime, tmp_path: Path) -> None:
    parts = await opening.set_up(BEIJING, now)
    plan = await opening.plan(now, parts)
    write_plan(tmp_path, plan)
    profiles = {controller: profile for controller, (_, profile) in site.connected().items()}
    broker = BrokerAddress("127.0.0.1", 1884, None, None)
    toml = scenario(
        broker, "Asia/Shanghai", profiles, dict.fromkeys(profiles, "x"), (), grant_keys={}, history=False, planned=True
    )
    (tmp_path / "scenario.toml").write_text(toml)
    read = {entry.id: entry.bookings for entry in read_scenario(tmp_path / "scenario.toml").controllers}
    assert {controller: len(bookings or ()) for controller, bookings in read.items()} == {
        controller: len(slots) for controller, slots in plan.items()
    }
    confirmed = Booking.filter(state="confirmed", until__gt=now)
    first = await confirmed.order_by("start").first().select_related("person", "instrument")
    assert first is not None
    controller = next(name for name, (code, _) in site.connected().items() if code == first.instrument.code)
    told = (read[controller] or ())[0]
    assert (told.user, told.from_ms, told.to_ms) == (first.person.username, to_ms(first.start), to_ms(first.until))
    assert told.card == community.card_uid(first.person.username)


async def test_the_accounts_sign_in_with_what_the_home_keeps(now: datetime, tmp_path: Path) -> None:
    kept = people.load_secrets(tmp_path)
    assert people.load_secrets(tmp_path) == kept
    await people.register_people(kept)
    signing_in = People()
    for account in people.accounts(kept):
        assert await signing_in.sign_in(account.username, account.password) is not None, account.username
    facts = {fact.key: fact for fact in await load_facts() if isinstance(fact, UserFact)}
    assert facts["user:student"].user.category is UserCategory.STUDENT
    assert facts["user:security"].user.category is UserCategory.STAFF
