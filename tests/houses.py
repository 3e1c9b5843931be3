"""A small university in the tables, for tests of what is read from them: nothing runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

from twin.enrolment import (
    NewGroup,
    NewPerson,
    NewProject,
    NewQualification,
    register_groups,
    register_people,
    register_projects,
    register_qualifications,
)
from twin.parties import Level, UserCategory
from twin.registration import (
    NewInstrument,
    NewPlatform,
    NewSite,
    register_controllers,
    register_instruments,
    register_platforms,
    register_site,
    register_tariffs,
)
from twin.service import open_database
from twin.store.rows import to_ms
from twin.tariffs import Band, Rates, Tariff

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
STUDENT_HOURS = {"student": {"daily": ["08:00-22:00"]}, "staff": {"daily": ["00:00-24:00"]}}
SEM_TARIFF = Tariff(
    instrument="SEM",
    from_ms=to_ms(SINCE),
    rates=Rates(internal=Decimal(120), partner=Decimal(200), external=Decimal(300)),
    bands=(Band(percent=50, from_minute=22 * 60, until_minute=8 * 60),),
)


@asynccontextmanager
async def house(database_url: str) -> AsyncIterator[None]:
    """SEM and XRD at a department of a college of a university; Ada and Bo of group G, and Cy of none."""
    async with open_database(database_url):
        await register_site(
            NewSite(
                name_zh="大学",
                name_en="University",
                timezone="Asia/Shanghai",
                policy={"early_ms": 1, "grace_ms": 1, "walk_in": True},
                opening=dict(STUDENT_HOURS),
            )
        )
        await register_platforms(
            [
                NewPlatform("U", "校级", "University", "university"),
                NewPlatform("C", "院级", "College", "college", "U"),
                NewPlatform("D", "系级", "Department", "department", "C"),
            ]
        )
        await register_instruments([_instrument("SEM", {"active_w": 900.0}), _instrument("XRD", {})])
        await register_controllers({"c-sem": "SEM"}, {"c-sem": "secret"})
        await enrol()
        yield


async def enrol() -> None:
    """People, groups, projects, qualifications and tariffs."""
    await register_groups([NewGroup("G", "Group")])
    await register_people(
        [
            NewPerson(username="ada", name="Ada", category=UserCategory.STUDENT, cards=("04A1B2",), groups=("G",)),
            NewPerson(username="bo", name="Bo", category=UserCategory.STAFF, groups=("G",), operates=("SEM", "XRD")),
            NewPerson(username="cy", name="Cy", category=UserCategory.EXTERNAL),
        ]
    )
    await register_qualifications([NewQualification("ada", "SEM", Level.INDEPENDENT, SINCE)])
    await register_projects(
        [
            NewProject(
                code="P1",
                name_zh="项目",
                name_en="Project",
                balance_cny=Decimal("1000.50"),
                free_min=60,
                fund_share_percent=40,
                fund_left_cny=Decimal(50),
                payers=("ada", "bo"),
                instruments=("SEM",),
            )
        ]
    )
    await register_tariffs([SEM_TARIFF])


def _instrument(code: str, policy: dict[str, object]) -> NewInstrument:
    return NewInstrument(
        code=code,
        name_zh=code,
        name_en=code,
        value_cny=Decimal(500_000),
        platform="D",
        policy=policy,
    )
