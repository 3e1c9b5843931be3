"""Tables about access: who may use an instrument, at which moment, and what they are told.

    == What the scenario shows
    rule: the sentence of the rules that it is about
    given: no bookings; booked by Wang 10:00-12:00
    policy: walk_in true, early_ms 300000
    time     | what is different | answer          | said
    09:49    | by card           | BOOKED_BY_OTHER | walk in 12:00 to ?
    12:00    |                   | granted         | -

Li, a student, asks by a screen for SEM-01 on Monday, 2 March 2026, in Shanghai. Unless `given` or the row says
otherwise all is well: the link is online, the project P1 has 1000 CNY, Li is qualified as independent, has booked from
08:00 to 20:00, and it is never closed. What a row says holds for that row only; an empty cell behind it is that of the
row above. Times are of that Monday; `Tue 10:00`, `2026-03-29 10:00` of other days; `02:30 again` is the second time
that a clock shows it.

    by screen|card|grant; to use|end|leave; because ...     the question; `because` is what staff give to override
    link stale; fault|outage|retired from ... until ...     the instrument and its controller
    because-nothing                                         a reason of blanks
    is staff; disabled; account until ...; credit 59        who Li is
    in group ...; operates ...; banned at ...|everywhere from ... until ...
    no projects; project P2 with 20 line 100 of Wang for TEM-02 from ... until ...; charging P2
    no qualifications; qualified night at TEM-02 from ... until ...
    no bookings; booked by Wang 10:00-12:00 in G1 at TEM-02 costing 50; session of Wang in G1 until ...
    zone Europe/Berlin; student open 08:00-12:00 13:00-24:00; student never open; student closed on 2026-05-01
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from tests.rules.access_words import worded
from twin.hours import ALWAYS, Hours, Opening, OpeningHours
from twin.parties import (
    Ban,
    Booking,
    Downtime,
    DowntimeCause,
    Level,
    Project,
    Qualification,
    RunningSession,
    User,
    UserCategory,
)
from twin.permission import AccessDecision, Standing
from twin.policy import Policy, layered
from twin.rules.access import Origin, Question, Wish
from twin.state import FOREVER_MS, LinkState

MONDAY = date(2026, 3, 2)
SHANGHAI = ZoneInfo("Asia/Shanghai")
HERE = "SEM-01"
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_OPTIONS = ("at", "by", "costing", "for", "from", "in", "line", "of", "until", "with")


@dataclass(frozen=True)
class Row:
    """A moment, what is different then, and what is answered."""

    time: str
    facts: str
    expected: dict[str, str]


@dataclass
class Scenario:
    """A table with its heading."""

    title: str
    rules: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    policy: Policy = field(default_factory=Policy)
    rows: list[Row] = field(default_factory=list)


def scenarios(folder: Path) -> Iterator[Scenario]:
    """All scenarios of all tables of a folder."""
    for path in sorted(folder.glob("*.txt")):
        for text in re.split(r"^== ", path.read_text(), flags=re.MULTILINE)[1:]:
            title, *lines = text.splitlines()
            yield _parsed(Scenario(title), [line for line in lines if line.strip()])


def _parsed(scenario: Scenario, lines: list[str]) -> Scenario:
    for line in (each for each in lines if "|" not in each):
        keyword, _, rest = line.partition(":")
        match keyword:
            case "rule":
                scenario.rules.append(rest.strip())
            case "given":
                scenario.given += _facts(rest)
            case "policy":
                scenario.policy = layered(dict(_setting(each) for each in rest.split(",")))
            case _:
                raise ValueError(f"cannot read {line!r}")
    (_, _, *columns), *rows = ([cell.strip() for cell in line.split("|")] for line in lines if "|" in line)
    above: dict[str, str] = {}
    for at, facts, *cells in rows:
        above = {name: cell or above[name] for name, cell in zip(columns, cells, strict=True)}
        scenario.rows.append(Row(at, facts, above))
    return scenario


def _facts(text: str) -> list[str]:
    return [fact.strip() for fact in text.split(";") if fact.strip()]


def _setting(text: str) -> tuple[str, object]:
    name, value = text.split()
    if name in {"required_level", "min_balance_cny"}:
        return name, None if value == "none" else value
    return name, value == "true" if name == "walk_in" else int(value)


def question(scenario: Scenario, row: Row) -> Question:
    """What is asked in a row."""
    world = World()
    for fact in (*scenario.given, *_facts(row.facts)):
        world.learn(fact)
    return world.question(world.moment_ms(row.time), scenario.policy)


def shown(decision: AccessDecision, zone: ZoneInfo) -> dict[str, str]:
    """What a table may have as columns."""
    numbers = {
        standing: ", ".join(str(each.number) for each in decision.checks if each.standing is standing) or "-"
        for standing in Standing
    }
    return {
        "answer": "granted" if decision.granted else str(decision.reason),
        "fails": numbers[Standing.FAILED],
        "overridden": numbers[Standing.OVERRIDDEN],
        "waived": numbers[Standing.WAIVED],
        "said": worded(decision.refusal.remedy, zone) if decision.refusal else "-",
        "booking": decision.booking or "-",
        "project": decision.project or "-",
        "recorded": decision.override_reason or "-",
    }


class World:
    """Who and what there is, before a question is asked."""

    def __init__(self) -> None:
        self.zone = SHANGHAI
        self.user = User("Li", UserCategory.STUDENT, credit=100)
        self.projects = [Project("P1", frozenset({"Li"}), Decimal(1000))]
        self.qualifications = [Qualification(HERE, Level.INDEPENDENT)]
        self.bookings = [self._booking("Li", "08:00-20:00", {})]
        self.downtimes: list[Downtime] = []
        self.hours = dict.fromkeys(UserCategory, ALWAYS)
        self.asked: dict[str, Any] = {"link": LinkState.ONLINE, "origin": Origin.SCREEN}

    def question(self, at_ms: int, policy: Policy) -> Question:
        """The question of Li at a moment."""
        return Question(
            at_ms=at_ms,
            user=self.user,
            instrument=HERE,
            policy=policy,
            opening=OpeningHours(self.zone, self.hours),
            downtimes=tuple(self.downtimes),
            bookings=tuple(self.bookings),
            qualifications=tuple(self.qualifications),
            projects=tuple(self.projects),
            **self.asked,
        )

    def moment_ms(self, text: str) -> int:
        """`10:00`, `09:59:59.999`, `Tue 24:00`, `2026-03-29 02:30 again`: milliseconds."""
        *day, clock = text.removesuffix(" again").split()
        local = datetime.combine(_date(day), time(), self.zone)
        if clock == "24:00":
            local += timedelta(days=1)
        else:
            local = datetime.combine(local.date(), time.fromisoformat(clock), self.zone)
        return round(local.replace(fold=int(text.endswith(" again"))).timestamp() * 1000)

    def learn(self, fact: str) -> None:
        """Take in a fact. Raises ValueError where it cannot be read."""
        word, _, rest = fact.partition(" ")
        match word:
            case "by":
                self.asked["origin"] = Origin(rest)
            case "to":
                self.asked["wish"] = Wish(rest)
            case "because":
                self.asked["override_reason"] = rest
            case "because-nothing":
                self.asked["override_reason"] = "  "
            case "charging":
                self.asked["project"] = rest
            case "link":
                self.asked["link"] = LinkState(rest)
            case "zone":
                self.zone = ZoneInfo(rest)
            case "no":
                getattr(self, rest).clear()
            case "fault" | "outage" | "retired":
                self.downtimes.append(Downtime(DowntimeCause(word), *self._stretch(_options(rest))))
            case _:
                self._learn_of_li(word, rest)

    def _learn_of_li(self, word: str, rest: str) -> None:
        match word:
            case "is":
                self._be(category=UserCategory(rest))
            case "disabled":
                self._be(active=False)
            case "account":
                self._be(valid_until_ms=self.moment_ms(rest.removeprefix("until ")))
            case "credit":
                self._be(credit=int(rest))
            case "in":
                self._be(groups=self.user.groups | {rest.removeprefix("group ")})
            case "operates":
                self._be(operates=self.user.operates | {rest})
            case "banned":
                options = _options(rest.removeprefix("everywhere "))
                self._be(bans=(*self.user.bans, Ban(options.get("at"), *self._stretch(options))))
            case _:
                self._learn_of_things(word, rest)

    def _learn_of_things(self, word: str, rest: str) -> None:
        name, _, tail = rest.partition(" ")
        options = _options(tail)
        match word:
            case "project":
                self.projects.append(self._project(name, options))
            case "qualified":
                held = Qualification(options.get("at", HERE), Level(name), *self._stretch(options))
                self.qualifications.append(held)
            case "booked":
                user, _, tail = rest.removeprefix("by ").partition(" ")
                slot = re.match(r"((?:\S+ )?\S+-\S*:\S+)(.*)", tail)
                assert slot, tail
                self.bookings.append(self._booking(user, slot[1], _options(slot[2])))
            case "session":
                options = _options(rest)
                due_ms = self.moment_ms(options["until"]) if "until" in options else None
                self.asked["session"] = RunningSession(options["of"], options.get("in"), due_ms)
            case _:
                self._learn_of_hours(UserCategory(word), rest)

    def _learn_of_hours(self, category: UserCategory, text: str) -> None:
        hours = self.hours[category]
        match text.split():
            case ["has", "no", "hours"]:
                del self.hours[category]
            case ["never", "open"]:
                self.hours[category] = Hours(((),) * 7)
            case ["closed", "on", day]:
                self.hours[category] = Hours(hours.weekly, hours.holidays | {date.fromisoformat(day): ()})
            case ["open", "on", day, *times] if day in _WEEKDAYS:
                at, weekly = _WEEKDAYS.index(day), list(hours.weekly)
                weekly[at] = _day(times)
                self.hours[category] = msgspec.structs.replace(hours, weekly=tuple(weekly))
            case ["open", "on", day, *times]:
                self.hours[category] = Hours(hours.weekly, hours.holidays | {date.fromisoformat(day): _day(times)})
            case ["open", *times]:
                self.hours[category] = Hours((_day(times),) * 7)
            case _:
                raise ValueError(f"cannot read {category} {text!r}")

    def _be(self, **changes: Any) -> None:
        self.user = msgspec.structs.replace(self.user, **changes)

    def _stretch(self, options: dict[str, str]) -> tuple[int, int]:
        from_ms = self.moment_ms(options["from"]) if "from" in options else 0
        return from_ms, self.moment_ms(options["until"]) if "until" in options else FOREVER_MS

    def _project(self, name: str, options: dict[str, str]) -> Project:
        instruments = frozenset({options["for"]}) if "for" in options else None
        return Project(
            name,
            frozenset({options.get("of", "Li")}),
            Decimal(options["with"]),
            Decimal(options.get("line", 0)),
            instruments,
            *self._stretch(options),
        )

    def _booking(self, user: str, slot: str, options: dict[str, str]) -> Booking:
        day, _, hours = slot.rpartition(" ")
        start, end = (self.moment_ms(f"{day} {each}".strip()) for each in hours.split("-"))
        estimate = Decimal(options.get("costing", 0))
        return Booking(f"{user} {slot}", options.get("at", HERE), user, start, end, options.get("in"), estimate)


def _date(words: list[str]) -> date:
    match words:
        case []:
            return MONDAY
        case [day] if day in _WEEKDAYS:
            return MONDAY + timedelta(days=_WEEKDAYS.index(day))
        case _:
            return date.fromisoformat(" ".join(words))


def _day(times: list[str]) -> tuple[Opening, ...]:
    return tuple(Opening(*(_minute(each) for each in stretch.split("-"))) for stretch in times)


def _minute(clock: str) -> int:
    hours, minutes = map(int, clock.split(":"))
    return hours * 60 + minutes


def _options(text: str) -> dict[str, str]:
    """`from Tue 10:00 until 12:00`: what stands behind each of the little words."""
    parts = re.split(rf"\b({'|'.join(_OPTIONS)}) ", text)
    return {word: value.strip() for word, value in zip(parts[1::2], parts[2::2], strict=True)}
