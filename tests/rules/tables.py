"""Scenario tables: text that a lab manager can read, and what it takes to play them.

    == What the scenario shows
    rule: the sentence of the rules that it is about
    policy: power_hold 10s, active_w 20
    time   | what happens          | class   | ledger
    +0s    | 100 W, occupied       | active  | standby
    +30s   |                       |         | unauthorised
    ledger: +0s standby, +30s unauthorised

An empty row of events only lets time pass; an empty expectation is that of the row above. Several events of one
moment are separated by semicolons:

    100 W, occupied, relay on      a reading; also vacant, relay off, door open, door closed
    ... stamped -2m                by a clock that is 2 min behind the time of receipt
    tells of +10s: 100 W           a buffered reading (hist) of that moment
    birth; reboot; card; ack relay on
    dies; old boot dies            the broker's word about the present connection, or one of the boot before
    repeat                         the last message once more
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tests.property.service import CONTROLLER, Service
from twin.events import Ack, Arrival, Birth, Card, Death, Message, Reading
from twin.policy import Policy, layered
from twin.state import Span
from twin.views import TwinView, view_of

START_MS = 1_700_000_000_000
HEADINGS = frozenset({"tariff", "fund", "free", "open", "instruments", "controller"})
"""What only some tables have above them: how an instrument and its site are."""
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_ms(text: str) -> int:
    """`+1m30s`, `-0.001s`, `90s`: milliseconds."""
    parts = re.findall(r"([\d.]+)(ms|s|m|h|d)", text)
    assert "".join(map("".join, parts)) == text.lstrip("+-"), f"not a duration: {text!r}"
    total_ms = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return round(-total_ms if text.startswith("-") else total_ms)


@dataclass(frozen=True)
class Row:
    """A moment, what happens then, and what is expected after it."""

    time: str
    events: str
    expected: dict[str, str]

    @property
    def at_ms(self) -> int:
        return START_MS + duration_ms(self.time)


@dataclass
class Scenario:
    """A table with its heading."""

    title: str
    rules: list[str] = field(default_factory=list)
    overrides: dict[str, object] = field(default_factory=dict)
    headings: dict[str, list[str]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    ledger: str = ""


def scenarios(folder: Path) -> Iterator[Scenario]:
    """All scenarios of twins of a folder; those of bills and credit have a language of their own."""
    for path in sorted(each for each in folder.glob("*.txt") if not each.name.startswith(("billing", "credit"))):
        for text in re.split(r"^== ", path.read_text(), flags=re.MULTILINE)[1:]:
            title, *lines = text.splitlines()
            yield _parsed(Scenario(title), lines)


def _parsed(scenario: Scenario, lines: list[str]) -> Scenario:
    columns: list[str] = []
    for line in filter(str.strip, lines):
        keyword, _, rest = line.partition(":")
        if "|" in line:
            cells = [cell.strip() for cell in line.split("|")]
            if columns:
                scenario.rows.append(_row(columns, cells, scenario.rows))
            else:
                columns = cells
        elif keyword == "rule":
            scenario.rules.append(rest.strip())
        elif keyword == "policy":
            scenario.overrides = dict(map(_setting, rest.split(",")))
        elif keyword == "ledger":
            scenario.ledger = rest.strip()
        else:
            assert keyword in HEADINGS, line
            scenario.headings.setdefault(keyword, []).append(rest.strip())
    return scenario


def _row(columns: list[str], cells: list[str], before: list[Row]) -> Row:
    time, events, *expected = cells
    known = before[-1].expected if before else {}
    return Row(time, events, {name: cell or known[name] for name, cell in zip(columns[2:], expected, strict=True)})


def _setting(text: str) -> tuple[str, object]:
    name, value = text.split()
    if name in {"at_slot_end", "cut", "on_unauthorised", "overrun", "walk_in"}:
        return name, True if value == "yes" else value
    return (name, float(value)) if name.endswith("_w") else (f"{name}_ms", duration_ms(value))


class Player:
    """Plays a scenario to a fleet of one twin."""

    def __init__(self, scenario: Scenario) -> None:
        self._policy: Policy = layered(scenario.overrides)
        self.service = Service(self._policy)
        self._boots = ["boot-1"]
        self._seq = -1
        self._watts = 0.0
        self._sent: list[Message] = []

    def play(self, row: Row) -> dict[str, str]:
        """Let a row happen; what can be seen after it."""
        for event in filter(None, map(str.strip, row.events.split(";"))):
            message = self._message(event, row.at_ms)
            self._sent.append(message)
            self.service.handle(Arrival(CONTROLLER, row.at_ms, message))
        self.service.commit(row.at_ms)
        view = view_of("i", CONTROLLER, self.service.twin, self._policy, now_ms=row.at_ms, rev=0)
        assert view.state is self.service.category(row.at_ms)
        return seen(view)

    def _message(self, event: str, now_ms: int) -> Message:
        match event.split():
            case ["repeat"]:
                return self._sent[-1]
            case ["dies"]:
                return Death(self._boots[-1])
            case ["old", "boot", "dies"]:
                return Death(self._boots[-2])
            case ["reboot"]:
                self._boots.append(f"boot-{len(self._boots) + 1}")
                self._seq = -1
                return self._message("birth", now_ms)
            case _:
                return self._said(event, now_ms)

    def _said(self, event: str, now_ms: int) -> Message:
        match event.split():
            case ["birth"]:
                return Birth(*self._next(now_ms))
            case ["card"]:
                return Card(*self._next(now_ms), "5e" * 32, "tap")
            case ["ack", "relay", relay]:
                return Ack(*self._next(now_ms), "command", ok=True, relay=relay == "on")
            case _:
                return self._told(event, now_ms)

    def _told(self, event: str, now_ms: int) -> Reading:
        told, tells_of, saying = event.partition(":")
        if tells_of:
            ts = START_MS + duration_ms(told.removeprefix("tells of "))
            return msgspec.structs.replace(self._reading(saying, ts), hist=True)
        saying, _, stamp = event.partition(" stamped ")
        return self._reading(saying, now_ms + duration_ms(stamp))

    def _reading(self, text: str, ts: int) -> Reading:
        said = {"power_w": self._watts} | said_in(text)
        self._watts = said["power_w"]
        return Reading(*self._next(ts), **said)

    def _next(self, ts: int) -> tuple[str, int, int]:
        self._seq += 1
        return self._boots[-1], self._seq, ts


def said_in(text: str) -> dict[str, Any]:
    """What a reading says, as tables write it: `100 W, occupied, relay on, door open`."""
    said: dict[str, Any] = {}
    for word in map(str.strip, text.split(",")):
        match word.split():
            case [watts, "W"]:
                said["power_w"] = float(watts)
            case ["occupied" | "vacant"]:
                said["occupied"] = word == "occupied"
            case ["relay", "on" | "off" as relay]:
                said["relay"] = relay == "on"
            case ["door", "open" | "closed" as door]:
                said["door"] = door
            case _:
                raise ValueError(f"cannot read {word!r}")
    return said


def seen(view: TwinView) -> dict[str, str]:
    """What a table may have as columns."""
    return {
        "link": view.link,
        "stale": "yes" if view.stale else "no",
        "watts": "-" if view.power.watts is None else f"{view.power.watts:g}",
        "raw": view.power.raw or "-",
        "class": view.power.power_class or "-",
        "class since": _since(view.power.since),
        "occupancy": view.occupancy,
        "occupancy since": _since(view.occupancy_since),
        "link since": _since(view.link_since),
        "door": view.door,
        "relay": view.relay.reported,
        "intrusion": view.intrusion,
        "ledger": view.state,
        "ledger since": _since(view.since),
    }


def _since(time: str | None) -> str:
    if time is None:
        return "-"
    after_ms = round(datetime.fromisoformat(time).timestamp() * 1000) - START_MS
    return "the beginning" if after_ms == -START_MS else after(after_ms)


def after(after_ms: int) -> str:
    """A moment as tables write it, in seconds: `+90s`, `+89.999s`."""
    return f"{after_ms / 1000:+.3f}".rstrip("0").rstrip(".") + "s"


def written(ledger: tuple[Span, ...]) -> str:
    """A ledger as tables write it."""
    return ", ".join(f"{after(span.start_ms - START_MS)} {span.category}" for span in ledger[1:])
