"""Scenario tables of bills: what a session was like, and what it costs.

    == What the scenario shows
    rule: the sentence of the rules that it is about
    tariff: rate 120.00, idle 50%, band 50% 22:00-06:00 Fri Sat, startup_fee 30.00
    starts           | ledger                           | charged as            | gross
    2026-03-02 21:30 | 30m use, 60m idle, end, 1h off   | 30 use, 60 idle at 50%| 90.00

Each row is a session; in a table with a column `line` each row is the same session, as it is known by then. An empty
cell asks nothing, or has the default: 09:00 on a Monday, internal. `tariff` may be given several times, with `from`;
`zone`, `free` and `fund` may be given for the whole table. A ledger's duration with a minus is how long before the
session's start that category begins.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.rules.tables import duration_ms
from twin.rules.billing import Charge, Line, charge, correction, funds_warning, no_show
from twin.state import Category, Span
from twin.tariffs import Allowance, Band, Fund, Payer, PriceList, Rates, Tariff

MONDAY = "2026-03-02 09:00"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NAMES = {
    "use": "use_percent",
    "idle": "idle_percent",
    "overrun": "overrun_percent",
    "no_show": "no_show_percent",
    "startup_fee": "startup_fee_cny",
    "session_cap": "session_cap_cny",
}


@dataclass
class BillTable:
    """A table with its heading."""

    title: str
    rules: list[str] = field(default_factory=list)
    tariffs: list[str] = field(default_factory=list)
    defaults: dict[str, str] = field(default_factory=dict)
    rows: list[dict[str, str]] = field(default_factory=list)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.defaults.get("zone", "Asia/Shanghai"))


def bill_tables(folder: Path) -> Iterator[BillTable]:
    """All tables of bills."""
    for path in sorted(folder.glob("billing*.txt")):
        for text in re.split(r"^== ", path.read_text(), flags=re.MULTILINE)[1:]:
            title, *lines = text.splitlines()
            yield _parsed(BillTable(title), lines)


def _parsed(table: BillTable, lines: list[str]) -> BillTable:
    columns: list[str] = []
    for line in filter(str.strip, lines):
        keyword, _, rest = line.partition(":")
        match keyword:
            case _ if "|" in line and columns:
                table.rows.append(dict(zip(columns, map(str.strip, line.split("|")), strict=True)))
            case _ if "|" in line:
                columns = [cell.strip() for cell in line.split("|")]
            case "rule":
                table.rules.append(rest.strip())
            case "tariff":
                table.tariffs.append(rest.strip())
            case "zone" | "free" | "fund":
                table.defaults[keyword] = rest.strip()
            case _ if not columns:
                columns = [line.strip()]
            case _:
                raise ValueError(f"cannot read {line!r}")
    return table


def tariff_of(text: str, zone: ZoneInfo) -> Tariff:
    """A tariff as tables write it."""
    settings: dict[str, Any] = {"from_ms": 0, "bands": ()}
    rates: dict[str, Decimal] = {}
    for part in map(str.strip, text.split(",")):
        match part.split():
            case ["from", *time]:
                settings["from_ms"] = moment_ms(" ".join(time), zone)
            case ["band", *words]:
                settings["bands"] += (_band(words),)
            case ["rate", amount]:
                rates = dict.fromkeys(Payer, Decimal(amount))
            case ["internal" | "partner" | "external" as payer, amount]:
                rates[payer] = Decimal(amount)
            case ["min_minutes", minutes]:
                settings["min_minutes"] = int(minutes)
            case [name, value]:
                settings[_NAMES[name]] = int(value[:-1]) if value.endswith("%") else Decimal(value)
            case _:
                raise ValueError(f"cannot read {part!r}")
    return Tariff(instrument="SEM-01", rates=Rates(**rates), **settings)


def _band(words: list[str]) -> Band:
    settings: dict[str, Any] = {}
    days = tuple(_DAYS.index(word) + 1 for word in words if word in _DAYS)
    if days:
        settings["weekdays"] = days
    for hours in (word for word in words if ":" in word):
        start, end = ([int(part) for part in time.split(":")] for time in hours.split("-"))
        settings |= {"from_minute": 60 * start[0] + start[1], "until_minute": 60 * end[0] + end[1]}
    return Band(percent=int(words[0].removesuffix("%")), **settings)


def moment_ms(text: str, zone: ZoneInfo) -> int:
    """A local time; of one that the clock shows twice, the first, unless its offset is written."""
    time = datetime.fromisoformat(text)
    return round((time if time.tzinfo else time.replace(tzinfo=zone)).timestamp() * 1000)


def ledger_of(text: str, start_ms: int) -> tuple[tuple[Span, ...], int]:
    """The spans, and when the session ended."""
    spans: list[Span] = []
    at_ms, end_ms = start_ms, None
    for part in map(str.strip, text.split(",")):
        if part == "end":
            end_ms = at_ms
            continue
        length, category = part.split()
        length_ms = duration_ms(length)
        spans.append(Span(at_ms + min(length_ms, 0), Category(category)))
        at_ms += max(length_ms, 0)
    return tuple(spans), at_ms if end_ms is None else end_ms


class Cashier:
    """Makes out the bills of a table, row by row, and keeps the lines."""

    def __init__(self, table: BillTable) -> None:
        self._table = table
        self._prices = PriceList(versions=tuple(tariff_of(text, table.zone) for text in table.tariffs))
        self.lines: list[Line] = []

    def shown(self, row: dict[str, str]) -> dict[str, str]:
        """What the row's columns should say."""
        told = self._table.defaults | {name: cell for name, cell in row.items() if cell}
        start_ms = moment_ms(told.get("starts", MONDAY), self._table.zone)
        tariff = self._prices.in_force(start_ms)
        assert tariff is not None
        made = self._charge(told, start_ms, tariff)
        missed = no_show(made.line.net_cny, tariff)
        warning = funds_warning(made.line.net_cny, Decimal(told.get("left", "0")))
        return (
            told
            | _amounts(made)
            | self._line(made)
            | {"no-show": str(missed.net_cny) if missed else "none", "warning": str(warning or "none")}
        )

    def _charge(self, told: dict[str, str], start_ms: int, tariff: Tariff) -> Charge:
        spans, end_ms = ledger_of(told["ledger"], start_ms)
        share, left = re.findall(r"[\d.]+", told.get("fund", "0%, 0.00 left"))
        return charge(
            spans,
            start_ms,
            start_ms + duration_ms(told["after"]) if "after" in told else end_ms,
            tariff,
            Payer(told.get("payer", "internal")),
            zone=self._table.zone,
            allowance=Allowance(left_min=int(told.get("free", "0"))),
            fund=Fund(share_percent=int(share), left_cny=Decimal(left)),
        )

    def _line(self, made: Charge) -> dict[str, str]:
        line = correction(self.lines, made, "late data", "rules") if self.lines else made.line
        if line is None:
            return {"line": "none"}
        sign = "+" if self.lines and line.net_cny >= 0 else ""
        self.lines.append(line)
        return {
            "line": f"{sign}{line.net_cny}",
            "line gross": str(line.gross_cny),
            "line subsidy": str(line.subsidy_cny),
        }


def _amounts(made: Charge) -> dict[str, str]:
    return {
        "minutes": str(made.minutes),
        "charged as": ", ".join(
            f"{run.minutes} {run.kind}" + (f" at {run.band_percent}%" if run.band_percent != 100 else "")
            for run in made.parts
        ),
        "gross": str(made.line.gross_cny),
        "allowance": str(made.line.allowance_cny),
        "free used": str(made.line.allowance_min),
        "subsidy": str(made.line.subsidy_cny),
        "net": str(made.line.net_cny),
    }
