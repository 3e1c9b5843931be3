"""A small site whose rules go by seconds, so that a session, an outage and a cooldown fit into a round."""

import secrets
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from twin.enrolment import NewPerson, NewProject, register_people, register_projects
from twin.parties import UserCategory
from twin.people import password_hash
from twin.registration import (
    NewInstrument,
    NewPlatform,
    NewSite,
    grant_keys,
    register_controllers,
    register_instruments,
    register_person,
    register_platforms,
    register_site,
    register_tariffs,
)
from twin.service import open_database
from twin.store.rows import to_ms
from twin.tariffs import Rates, Tariff

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
TIMEZONE = "Asia/Shanghai"
PROJECT = "P"
STAFF = "staff"
STALE_MS = 5_000
HOLD_MS = 1_000
GRACE_MS = 1_000
COMMAND_TIMEOUT_MS = 4_000
COOLDOWN_MAX_MS = 15_000
POLICY: dict[str, object] = {
    "stale_after_ms": STALE_MS,
    "offline_after_ms": 15_000,
    "power_hold_ms": HOLD_MS,
    "command_timeout_ms": COMMAND_TIMEOUT_MS,
    "cooldown_max_ms": COOLDOWN_MAX_MS,
    "reconcile_after_ms": 3_000,
    "clear_ms": 2_000,
    "grace_ms": GRACE_MS,
    "early_ms": 0,
    "walk_in": True,
    "walk_in_free_ms": 0,
    "idle_release_ms": 3_600_000,
    "required_level": None,
    "booking_ban_ms": 0,
    "credit_limit_points": 0,
}
CUTS = ("at_once", "when_idle")
"""Of the instruments, in turn."""


class Person(msgspec.Struct, frozen=True):
    """Somebody with an account and a card."""

    username: str
    password: str
    card: str


class Site(msgspec.Struct, frozen=True):
    """What is registered."""

    people: tuple[Person, ...]
    staff: Person
    instruments: dict[str, str]
    """Code by controller."""
    tariffs: dict[str, Tariff]
    """By instrument."""


def make_site(instruments: int, people: int) -> Site:
    """A site of so many, not registered yet."""
    codes = {f"c{number:02d}": f"I{number:02d}" for number in range(1, instruments + 1)}
    return Site(
        people=tuple(_person(f"p{number:02d}") for number in range(1, people + 1)),
        staff=_person(STAFF),
        instruments=codes,
        tariffs={code: _tariff(code, 90 + 3 * number) for number, code in enumerate(codes.values())},
    )


async def register(site: Site, database_url: str) -> dict[str, str]:
    """Take it into the tables of an empty database; gives the keys of grants by controller."""
    everybody = (*site.people, site.staff)
    async with open_database(database_url):
        await register_site(NewSite(name_zh="混沌", name_en="Chaos", timezone=TIMEZONE, policy=POLICY))
        await register_platforms([NewPlatform("chaos", "混沌", "Chaos", "university")])
        await register_instruments([_instrument(code, index) for index, code in enumerate(site.instruments.values())])
        await register_controllers(site.instruments, {})
        await register_people([_enrolment(each, site) for each in everybody])
        for each in everybody:
            role = "administrator" if each is site.staff else "user"
            await register_person(each.username, password_hash(each.password), each.username, role)
        payers = [each.username for each in everybody]
        funds = Decimal(1_000_000)
        await register_projects(
            [NewProject(code=PROJECT, name_zh="项目", name_en="Project", balance_cny=funds, payers=payers)]
        )
        await register_tariffs(site.tariffs.values())
        return await grant_keys(site.instruments)


def _person(username: str) -> Person:
    return Person(username, secrets.token_urlsafe(12), secrets.token_hex(7))


def _enrolment(person: Person, site: Site) -> NewPerson:
    operates = tuple(site.instruments.values()) if person is site.staff else ()
    return NewPerson(
        username=person.username,
        name=person.username,
        category=UserCategory.STAFF,
        cards=(person.card,),
        operates=operates,
    )


def _instrument(code: str, index: int) -> NewInstrument:
    return NewInstrument(
        code=code,
        name_zh=code,
        name_en=code,
        value_cny=Decimal(500_000),
        platform="chaos",
        policy={"cut": CUTS[index % len(CUTS)]},
    )


def _tariff(code: str, rate: int) -> Tariff:
    rates = Rates(internal=Decimal(rate), partner=Decimal(rate), external=Decimal(rate))
    return Tariff(instrument=code, from_ms=to_ms(SINCE), rates=rates, idle_percent=40)
