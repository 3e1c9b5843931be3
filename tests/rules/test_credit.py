"""Each table of credit comes true; what it takes to read them; and what cannot be."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from twin.policy import Policy, layered
from twin.rules.credit import (
    CreditCause,
    CreditLine,
    ReversalError,
    changed,
    credit,
    good_month,
    is_late_cancellation,
    no_bookings_until_ms,
    reversal,
)

TABLES = Path(__file__).with_name("credit.txt").read_text()
DAY_MS = 86_400_000


@dataclass
class CreditTable:
    title: str
    rules: list[str] = field(default_factory=list)
    overrides: dict[str, object] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)


def credit_tables() -> Iterator[CreditTable]:
    for text in re.split(r"^== ", TABLES, flags=re.MULTILINE)[1:]:
        title, *lines = text.splitlines()
        table, columns = CreditTable(title), list[str]()
        for line in filter(str.strip, lines):
            keyword, _, rest = line.partition(": ")
            if keyword == "rule":
                table.rules.append(rest)
            elif keyword == "policy":
                table.overrides |= {name: int(value) for name, value in re.findall(r"(\w+) (\d+)", rest)}
            elif columns:
                table.rows.append(dict(zip(columns, map(str.strip, line.split("|")), strict=True)))
            else:
                columns = [cell.strip() for cell in line.split("|")]
        yield table


ALL = list(credit_tables())


def at_ms(day: str) -> int:
    return round(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def day_of(moment_ms: int | None) -> str:
    return "-" if moment_ms is None else datetime.fromtimestamp(moment_ms / 1000, UTC).date().isoformat()


def played(what: str, day: str, lines: list[CreditLine], policy: Policy) -> CreditLine | None:
    match what.split():
        case []:
            return None
        case ["the", "month", "ends"]:
            before = date.fromisoformat(day) - timedelta(days=1)
            return good_month(lines, at_ms(before.replace(day=1).isoformat()), at_ms(day), policy)
        case ["line", number, "is", "reversed"]:
            return reversal(lines, int(number), at_ms(day), policy, reason="was ill", author="manager")
        case _:
            return changed(lines, CreditCause(what), at_ms(day), "booking 1", policy)


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.title)
def test_credit(table: CreditTable) -> None:
    policy, lines = layered(table.overrides), list[CreditLine]()
    for row in table.rows:
        line = played(row["what happens"], row["day"], lines, policy)
        lines += [line] if line else []
        shown = {
            "line": f"{line.points:+}" if line else "none",
            "credit": str(credit(lines, policy)),
            "no bookings until": day_of(no_bookings_until_ms(lines, policy)),
        }
        expected = {name: cell for name, cell in row.items() if name in shown and cell}
        assert {name: shown[name] for name in expected} == expected, row["day"]
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))


def test_every_table_names_its_rule_and_every_cause_has_one() -> None:
    assert [table.title for table in ALL if not (table.rules and table.rows)] == []
    told = " ".join(row["what happens"] for table in ALL for row in table.rows)
    told = told.replace("is reversed", CreditCause.REVERSAL).replace("the month ends", CreditCause.GOOD_MONTH)
    assert set(CreditCause) <= set(told.split())


def test_a_line_tells_its_cause() -> None:
    policy = Policy()
    lost = changed([], CreditCause.NO_SHOW, 10, "booking 7", policy)
    assert lost == CreditLine(number=1, at_ms=10, cause=CreditCause.NO_SHOW, points=-10, about="booking 7")
    undone = reversal([lost], 1, 20, policy, reason="was ill", author="manager")
    assert (undone.cause, undone.about, undone.author, undone.reverses) == (
        CreditCause.REVERSAL,
        "was ill",
        "manager",
        1,
    )


def test_the_ban_and_the_month_are_exact_to_the_millisecond() -> None:
    policy = Policy(credit_limit_points=100)
    lines = [changed([], CreditCause.IDLE, 1000, "session 1", policy)]
    assert no_bookings_until_ms(lines, policy) == 1000 + 7 * DAY_MS
    assert good_month(lines, 1000, 2000, policy) is None
    assert good_month(lines, 0, 1001, policy) is None
    line = CreditLine(number=2, at_ms=1000, cause=CreditCause.GOOD_MONTH, points=3)
    assert good_month(lines, 0, 1000, policy) == line
    assert good_month(lines, 1001, 2000, policy) is not None


@pytest.mark.parametrize(("before_ms", "late"), [(7_200_001, False), (7_200_000, False), (7_199_999, True), (-1, True)])
def test_a_cancellation_is_late_inside_the_notice(before_ms: int, late: bool) -> None:  # noqa: FBT001
    assert is_late_cancellation(10_000_000 - before_ms, 10_000_000, Policy()) is late


@pytest.mark.parametrize(
    ("number", "reason", "author", "complaint"),
    [
        (1, "was ill", "manager", "line 1 is a reversal, or has been reversed"),
        (2, "was ill", "manager", "line 2 is a reversal, or has been reversed"),
        (0, "was ill", "manager", "there is no line 0"),
        (4, "was ill", "manager", "there is no line 4"),
        (3, " ", "manager", "a reason and an author"),
        (3, "was ill", "", "a reason and an author"),
    ],
)
def test_a_reversal_that_cannot_be_is_refused(number: int, reason: str, author: str, complaint: str) -> None:
    policy = Policy()
    lines = [changed([], CreditCause.NO_SHOW, 0, "", policy)]
    lines.append(reversal(lines, 1, 1, policy, reason="was ill", author="manager"))
    lines.append(changed(lines, CreditCause.IDLE, 2, "", policy))
    with pytest.raises(ReversalError, match=complaint):
        reversal(lines, number, 3, policy, reason=reason, author=author)


def test_a_limit_that_nobody_can_reach_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="credit_limit_points must not be above credit_full_points"):
        layered({"credit_full_points": 59})
    with pytest.raises(msgspec.ValidationError, match="<= 31622400000"):
        layered({"booking_ban_ms": 367 * DAY_MS})
    assert layered({"credit_full_points": 60, "booking_ban_ms": 366 * DAY_MS}).credit_full_points == 60
