"""Taking people, their groups, cards and qualifications, and their projects and bookings into the tables.

Everything may be told again: what is there stays as it is, and what is missing is added.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec
from tortoise.transactions import in_transaction

from twin.models.money import Project
from twin.models.people import Person, ResearchGroup
from twin.parties import Level, UserCategory
from twin.stream.native import card_digest
from twin.tariffs import NOTHING, Payer

_CARD = "INSERT INTO card SELECT $1, id FROM person WHERE username = $2 ON CONFLICT DO NOTHING"
_IN_GROUP = """
INSERT INTO person_group SELECT person.id, research_group.id FROM person, research_group
WHERE username = $1 AND code = $2 ON CONFLICT DO NOTHING
"""
_OPERATES = """
INSERT INTO person_operates SELECT person.id, instrument.id FROM person, instrument
WHERE username = $1 AND code = $2 ON CONFLICT DO NOTHING
"""
_QUALIFIED = """
INSERT INTO qualification (person_id, instrument_id, level, "from", until)
SELECT person.id, instrument.id, $3, $4, $5 FROM person, instrument
WHERE username = $1 AND code = $2 ON CONFLICT DO NOTHING
"""
_PAYS = """
INSERT INTO project_payer SELECT project.id, person.id FROM project, person
WHERE project.code = $1 AND username = $2 ON CONFLICT DO NOTHING
"""
_PAID_FOR = """
INSERT INTO project_instrument SELECT project.id, instrument.id FROM project, instrument
WHERE project.code = $1 AND instrument.code = $2 ON CONFLICT DO NOTHING
"""
_BOOKED = """
INSERT INTO booking (instrument_id, person_id, group_id, project_id, start, until, estimate_cny)
SELECT instrument.id, person.id, research_group.id, project.id, $5, $6, $7
FROM instrument JOIN person ON person.username = $2
LEFT JOIN research_group ON research_group.code = $3 LEFT JOIN project ON project.code = $4
WHERE instrument.code = $1 AND NOT EXISTS (
    SELECT FROM booking WHERE instrument_id = instrument.id AND person_id = person.id AND start = $5)
ON CONFLICT DO NOTHING
"""


class NewGroup(msgspec.Struct, frozen=True):
    """A research group to take in."""

    code: str
    name: str


class NewPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody to take in, without a password; groups are known before them."""

    username: str
    name: str
    role: str = "user"
    category: UserCategory
    payer: Payer = Payer.INTERNAL
    cards: Sequence[str] = ()
    """Uids; only their digests are kept."""
    groups: Sequence[str] = ()
    operates: Sequence[str] = ()


class NewProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project to take in; its payers are known before it."""

    code: str
    name_zh: str
    name_en: str
    balance_cny: Decimal
    credit_line_cny: Decimal = NOTHING
    free_min: int = 0
    fund_share_percent: int = 0
    fund_left_cny: Decimal = NOTHING
    payers: Sequence[str] = ()
    instruments: Sequence[str] = ()
    """What it pays for; none: for all."""


class NewQualification(msgspec.Struct, frozen=True):
    """What somebody may do at an instrument."""

    username: str
    instrument: str
    level: Level
    since: datetime
    until: datetime | None = None
    """None: without end."""


class NewBooking(msgspec.Struct, frozen=True, kw_only=True):
    """A booking to take in, unless it was before, whatever has become of it, or somebody else has the time."""

    instrument: str
    username: str
    group: str | None
    project: str | None
    start: datetime
    until: datetime
    estimate_cny: Decimal


async def register_groups(groups: Iterable[NewGroup]) -> None:
    """Take in those groups that are not known yet."""
    rows = [ResearchGroup(code=new.code, name=new.name) for new in groups]
    await ResearchGroup.bulk_create(rows, batch_size=500, ignore_conflicts=True)


async def register_people(people: Sequence[NewPerson]) -> None:
    """Take in those people, cards, memberships and operate rights that are not known yet."""
    rows = [
        Person(
            username=new.username,
            password_hash="",
            name=new.name,
            role=new.role,
            category=new.category.value,
            payer=new.payer.value,
        )
        for new in people
    ]
    await Person.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    await _insert(_CARD, ([card_digest(uid), new.username] for new in people for uid in new.cards))
    await _insert(_IN_GROUP, ([new.username, code] for new in people for code in new.groups))
    await _insert(_OPERATES, ([new.username, code] for new in people for code in new.operates))


async def register_qualifications(qualifications: Iterable[NewQualification]) -> None:
    """Take in those qualifications that are not known yet."""
    rows = ([new.username, new.instrument, new.level.value, new.since, new.until] for new in qualifications)
    await _insert(_QUALIFIED, rows)


async def register_projects(projects: Sequence[NewProject]) -> None:
    """Take in those projects and payers that are not known yet."""
    own = ("payers", "instruments")
    rows = [
        Project(**{name: value for name, value in msgspec.structs.asdict(new).items() if name not in own})
        for new in projects
    ]
    await Project.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    await _insert(_PAYS, ([new.code, username] for new in projects for username in new.payers))
    await _insert(_PAID_FOR, ([new.code, code] for new in projects for code in new.instruments))


async def register_bookings(bookings: Iterable[NewBooking]) -> None:
    """Take in those bookings that were never known."""
    rows = (
        [new.instrument, new.username, new.group, new.project, new.start, new.until, new.estimate_cny]
        for new in bookings
    )
    await _insert(_BOOKED, rows)


async def _insert(statement: str, rows: Iterable[Sequence[object]]) -> None:
    async with in_transaction() as connection:
        await connection.execute_many(statement, [list(row) for row in rows])
