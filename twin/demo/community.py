"""The demo's people: twelve research groups with what they may use and charge, staff, two guests from outside.

Everything is computed: the same people with the same cards every time.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

from twin.demo import site
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
from twin.tariffs import Payer

STUDENT = "student"
"""The account of the demo that books and uses instruments as a member of the first group."""
STUDENTS_A_GROUP = 8
STAFF = 8
SINCE = datetime(2025, 1, 1, tzinfo=UTC)
_EXPIRED = datetime(2026, 1, 1, tzinfo=UTC)

_TOPICS = (
    ("腐蚀与防护", "Corrosion"),
    ("高温合金", "Superalloys"),
    ("连铸", "Continuous casting"),
    ("固态电池", "Solid-state batteries"),
    ("催化", "Catalysis"),
    ("断裂力学", "Fracture mechanics"),
    ("薄膜", "Thin films"),
    ("非晶合金", "Metallic glasses"),
    ("资源循环", "Resource recycling"),
    ("生物材料", "Biomaterials"),
    ("增材制造", "Additive manufacturing"),
    ("磁性材料", "Magnetic materials"),
)
_SURNAMES = (
    *(("王", "Wang"), ("李", "Li"), ("张", "Zhang"), ("刘", "Liu"), ("陈", "Chen"), ("杨", "Yang")),
    *(("赵", "Zhao"), ("黄", "Huang"), ("周", "Zhou"), ("吴", "Wu"), ("孙", "Sun")),
)
_GIVEN = (
    *(("伟", "Wei"), ("芳", "Fang"), ("娜", "Na"), ("敏", "Min"), ("静", "Jing"), ("磊", "Lei"), ("洋", "Yang")),
    *(("艳", "Yan"), ("勇", "Yong"), ("杰", "Jie"), ("涛", "Tao"), ("明", "Ming"), ("超", "Chao")),
)


def card_uid(username: str) -> str:
    """The uid of somebody's card, seven bytes in hex."""
    return "04" + hashlib.sha256(username.encode()).hexdigest()[:12]


async def enrol() -> None:
    """Take everybody in who is not known yet, with what they hold."""
    await register_groups(groups())
    await register_people(people())
    await register_qualifications(qualifications())
    await register_projects(list(projects()))


def groups() -> Iterator[NewGroup]:
    """The research groups."""
    for number, (topic_zh, topic_en) in enumerate(_TOPICS):
        yield NewGroup(_group(number), f"{topic_zh}课题组 {topic_en}")


@cache
def people() -> Sequence[NewPerson]:
    """Everybody but the security guard and the analyst: who leads a group comes before its students."""
    return [*_members(), *_staff(), *_guests()]


@cache
def users_of(instrument: str) -> Sequence[NewPerson]:
    """Those who work with a connected instrument and may do so alone, but for who has no money left."""
    able = {each.username for each in qualifications() if each.instrument == instrument and _holds(each)}
    poor = _group(len(_TOPICS) - 1)
    return [person for person in people() if person.username in able and poor not in person.groups[:1]]


@cache
def qualifications() -> Sequence[NewQualification]:
    """Three groups and an operator for each connected instrument; a few may not work alone yet, or not any more."""
    return [
        _qualification(person, index, code)
        for index, code in enumerate(_connected())
        for person in people()
        if set(person.groups) & _groups_at(index) or (person.role == "user" and code in person.operates)
    ]


def projects() -> Iterator[NewProject]:
    """One for each group; every third has one more with a fund and free hours; staff and guests have their own."""
    for number, (topic_zh, topic_en) in enumerate(_TOPICS):
        members = [person.username for person in people() if _group(number) in person.groups]
        balance = Decimal("12.50") if number == len(_TOPICS) - 1 else Decimal(480_000 + number * 35_000)
        yield NewProject(
            code=f"P{number + 1:02d}",
            name_zh=f"{topic_zh}研究",
            name_en=f"{topic_en} research",
            balance_cny=balance,
            credit_line_cny=Decimal(0 if balance < 1000 else 2000),
            payers=members,
        )
        if number % 3 == 0:
            yield NewProject(
                code=f"P{number + 1:02d}-F",
                name_zh=f"{topic_zh}开放基金",
                name_en=f"{topic_en} open fund",
                balance_cny=Decimal(8000),
                free_min=1200,
                fund_share_percent=40,
                fund_left_cny=Decimal(3000),
                payers=members[:4],
            )
    yield from _other_projects()


def project_of(person: NewPerson) -> str:
    """Whichever project somebody charges as a rule."""
    if person.groups:
        return "P" + person.groups[0][1:]
    return "SERVICE" if person.category is UserCategory.STAFF else f"X-{person.username}"


def _other_projects() -> Iterator[NewProject]:
    staff = [person.username for person in people() if project_of(person) == "SERVICE"]
    yield NewProject(
        code="SERVICE", name_zh="平台运行", name_en="Platform service", balance_cny=Decimal(100_000), payers=staff
    )
    for person in _guests():
        yield NewProject(
            code=project_of(person),
            name_zh=f"{person.name} 预存",
            name_en=f"{person.name} prepaid",
            balance_cny=Decimal(6000),
            payers=[person.username],
        )


def _members() -> Iterator[NewPerson]:
    for number in range(len(_TOPICS)):
        for place in range(STUDENTS_A_GROUP + 1):
            category = UserCategory.STUDENT if place else UserCategory.TEACHER
            yield _person(number * (STUDENTS_A_GROUP + 1) + place, category, _group(number))
    yield _account(STUDENT, "学生 Student", UserCategory.STUDENT, (_group(0),))


def _staff() -> Iterator[NewPerson]:
    everything = [instrument.code for instrument in site.instruments()]
    for username, role, name in (
        ("admin", "administrator", "管理员 Administrator"),
        ("manager", "platform_manager", "平台主任 Platform manager"),
    ):
        yield NewPerson(
            username=username,
            name=name,
            role=role,
            category=UserCategory.STAFF,
            cards=(card_uid(username),),
            operates=everything,
        )
    first = len(_TOPICS) * (STUDENTS_A_GROUP + 1)
    for number in range(STAFF):
        yield _person(first + number, UserCategory.STAFF, operates=_connected()[number::STAFF])


def _guests() -> Iterator[NewPerson]:
    first = len(_TOPICS) * (STUDENTS_A_GROUP + 1) + STAFF
    yield _person(first, UserCategory.EXTERNAL, payer=Payer.PARTNER)
    yield _person(first + 1, UserCategory.EXTERNAL, payer=Payer.EXTERNAL)


def _person(
    index: int,
    category: UserCategory,
    *groups: str,
    payer: Payer = Payer.INTERNAL,
    operates: Sequence[str] = (),
) -> NewPerson:
    surname_zh, surname = _SURNAMES[index % len(_SURNAMES)]
    given_zh, given = _GIVEN[index % len(_GIVEN)]
    username = f"{given}.{surname}".lower()
    return NewPerson(
        username=username,
        name=f"{surname_zh}{given_zh} {given} {surname}",
        category=category,
        payer=payer,
        cards=(card_uid(username),),
        groups=groups,
        operates=operates,
    )


def _account(username: str, name: str, category: UserCategory, groups: Sequence[str]) -> NewPerson:
    return NewPerson(username=username, name=name, category=category, cards=(card_uid(username),), groups=groups)


@cache
def _connected() -> Sequence[str]:
    return [code for code, _ in site.connected().values()]


def _groups_at(index: int) -> set[str]:
    return {_group(number % len(_TOPICS)) for number in (index, index * 5 + 3, index * 7 + 6)}


def _qualification(person: NewPerson, index: int, code: str) -> NewQualification:
    if person.category in {UserCategory.TEACHER, UserCategory.STAFF}:
        return NewQualification(person.username, code, Level.NIGHT, SINCE)
    match (index + int(card_uid(person.username)[2:6], 16)) % 12:
        case 0 if person.username != STUDENT:
            return NewQualification(person.username, code, Level.SUPERVISED, SINCE)
        case 1 if person.username != STUDENT:
            return NewQualification(person.username, code, Level.INDEPENDENT, SINCE, _EXPIRED)
        case _:
            return NewQualification(person.username, code, Level.INDEPENDENT, SINCE)


def _holds(qualification: NewQualification) -> bool:
    return qualification.until is None and qualification.level.reaches(Level.INDEPENDENT)


def _group(number: int) -> str:
    return f"G{number + 1:02d}"
