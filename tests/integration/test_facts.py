"""The tables as facts: what is set is laid over each other, everything that matters arrives, what is wrong is named."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.houses import SEM_TARIFF, SINCE, enrol, house
from tests.sites import now_ms
from twin.directory import BookingFact, Directory, Fact, InstrumentFact, ProjectFact, SiteFact, UserFact, packed
from twin.facts import load_facts
from twin.hours import ALL_DAY, Opening
from twin.layering import RegistryError
from twin.models.people import Ban, Person
from twin.models.registry import Instrument, Platform, Site
from twin.models.times import Booking, Downtime
from twin.parties import DowntimeCause, Level, Qualification, UserCategory
from twin.people import People, password_hash
from twin.registry import load_registry
from twin.state import FOREVER_MS
from twin.store.rows import to_ms, to_time
from twin.stream.native import card_digest
from twin.tariffs import Fund, PriceList

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def _house(database_url: str) -> AsyncIterator[None]:
    async with house(database_url):
        yield


async def told() -> dict[str, Fact]:
    return {fact.key: fact for fact in await load_facts()}


async def sem() -> InstrumentFact:
    fact = (await told())["instrument:SEM"]
    assert isinstance(fact, InstrumentFact)
    return fact


async def book(code: str, start_in: timedelta, state: str = "confirmed") -> str:
    start = to_time(now_ms()) + start_in
    person, instrument = await Person.get(username="ada"), await Instrument.get(code=code)
    row = await Booking.create(
        instrument=instrument, person=person, start=start, until=start + HOUR, estimate_cny=Decimal(1), state=state
    )
    return str(row.id)


async def test_everything_in_the_tables_is_told() -> None:
    facts = await told()
    assert set(facts) == {"site", "instrument:SEM", "project:P1", "user:ada", "user:bo", "user:cy"}
    ada, project, site = facts["user:ada"], facts["project:P1"], facts["site"]
    assert isinstance(ada, UserFact)
    assert isinstance(project, ProjectFact)
    assert isinstance(site, SiteFact)
    assert (ada.user.category, ada.user.credit, ada.user.groups) == (UserCategory.STUDENT, 100, {"G"})
    assert ada.cards == (card_digest("04a1b2"),)
    assert ada.qualifications == (Qualification("SEM", Level.INDEPENDENT, to_ms(SINCE), FOREVER_MS),)
    assert (project.project.payers, project.project.instruments) == ({"ada", "bo"}, {"SEM"})
    assert (project.project.balance_cny, project.free_min) == (Decimal("1000.50"), 60)
    assert project.fund == Fund(share_percent=40, left_cny=Decimal("50.00"))
    assert (site.zone.key, site.policy.early_ms) == ("Asia/Shanghai", 1)
    assert (await sem()).prices == PriceList(versions=(SEM_TARIFF,))


async def test_equal_tables_are_equal_facts_in_whatever_order_they_were_filled() -> None:
    before = {packed(fact) for fact in await load_facts()}
    await enrol()
    assert {packed(fact) for fact in await load_facts()} == before


async def test_facts_can_be_learnt() -> None:
    directory = Directory()
    await book("SEM", HOUR)
    for fact in await load_facts():
        directory.learn(fact)
    holder = directory.holder(card_digest("04A1B2"))
    assert holder is not None
    assert holder.user.id == "ada"
    assert len(directory.bookings("SEM")) == 1


async def test_bans_and_downtimes_are_told() -> None:
    instrument, ada = await Instrument.get(code="SEM"), await Person.get(username="ada")
    await Ban.create(person=ada, since=SINCE)
    await Downtime.create(instrument=instrument, cause="outage", since=SINCE, until=SINCE + HOUR)
    user = (await told())["user:ada"]
    assert isinstance(user, UserFact)
    assert [(ban.instrument, ban.until_ms) for ban in user.user.bans] == [(None, FOREVER_MS)]
    downtime = (await sem()).downtimes[0]
    assert (downtime.cause, downtime.until_ms - downtime.from_ms) == (DowntimeCause.OUTAGE, 3_600_000)


async def test_only_bookings_that_stand_and_are_not_long_over_are_told() -> None:
    standing = {await book("SEM", HOUR), await book("SEM", -30 * HOUR, "used")}
    for each in ("cancelled", "late_cancelled", "no_show", "released"):
        await book("SEM", HOUR, each)
    await book("SEM", -60 * HOUR, "used")
    assert {fact.id for fact in await load_facts() if isinstance(fact, BookingFact)} == standing


async def test_policy_is_laid_over_from_site_to_instrument() -> None:
    await Platform.filter(code="U").update(policy={"grace_ms": 2, "clear_ms": 2_000})
    await Platform.filter(code="C").update(policy={"clear_ms": 3_000, "no_show_ms": 3})
    await Platform.filter(code="D").update(policy={"no_show_ms": 4, "active_w": 800.0})
    policy = (await sem()).policy
    assert (policy.early_ms, policy.grace_ms, policy.clear_ms, policy.no_show_ms) == (1, 2, 3_000, 4)
    assert policy.active_w == 900.0
    assert policy.walk_in
    assert (await load_registry()).connected["c-sem"].policy == policy


async def test_opening_hours_are_laid_over_by_category() -> None:
    await Platform.filter(code="C").update(
        opening={"student": {"daily": ["09:00-12:00", "13:30-24:00"], "sun": [], "holidays": {"2026-10-01": []}}}
    )
    opening = (await sem()).opening
    student = opening.hours[UserCategory.STUDENT]
    assert student.weekly[0] == (Opening(540, 720), Opening(810, 1440))
    assert student.weekly[6] == student.on(date(2026, 10, 1)) == ()
    assert opening.hours[UserCategory.STAFF].weekly == (ALL_DAY,) * 7
    assert UserCategory.EXTERNAL not in opening.hours


async def test_where_no_hours_are_set_everybody_is_let_in() -> None:
    await Site.filter(id=1).update(opening=None)
    opening = (await sem()).opening
    assert all(opening.hours[category].weekly == (ALL_DAY,) * 7 for category in UserCategory)


@pytest.mark.parametrize(
    ("table", "column", "stored", "message"),
    [
        ("site", "policy", {"grace": 1}, "policy of the site .* `grace`"),
        ("platform", "policy", {"grace_ms": -1}, r"policy of platform U .*grace_ms"),
        ("platform", "policy", {"standby_w": 1000.0}, "policy of platform U .*standby_w"),
        ("instrument", "policy", [], "policy of instrument SEM .*object"),
        ("platform", "opening", {"student": {"daily": ["8-22"]}}, r"opening of platform U .*daily"),
        ("instrument", "opening", {"student": {"mon": ["09:00-09:00"]}}, r"opening of instrument SEM .*student|540"),
        ("instrument", "opening", {"guest": {}}, "opening of instrument SEM .*guest"),
    ],
)
async def test_what_is_stored_wrongly_is_named(table: str, column: str, stored: Any, message: str) -> None:
    rows = {
        "site": Site.filter(id=1),
        "platform": Platform.filter(code="U"),
        "instrument": Instrument.filter(code="SEM"),
    }
    await rows[table].update(**{column: stored})
    with pytest.raises(RegistryError, match=message):
        await load_facts()


async def test_a_tariff_that_cannot_be_is_named(database_url: str) -> None:
    await (await Instrument.get(code="SEM")).tariffs.all().update(body={"rates": {}})  # type: ignore[attr-defined]
    with pytest.raises(RegistryError, match=r"tariff of instrument SEM from 2026-01-01.*internal"):
        await load_facts()


async def test_who_has_no_password_or_was_disabled_is_not_signed_in() -> None:
    signing_in = People()
    assert await signing_in.sign_in("bo", "") is None
    await Person.filter(username="bo").update(password_hash=password_hash("right"))
    token = await signing_in.sign_in("bo", "right")
    assert token is not None
    person = await signing_in.person(token)
    assert person is not None
    assert person.operates == {"SEM", "XRD"}
    await Person.filter(username="bo").update(active=False)
    assert await signing_in.person(token) is None
    assert await signing_in.sign_in("bo", "right") is None
