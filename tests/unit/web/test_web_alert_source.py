"""The alerts as a board's source: what is new, other than before, or over."""

import json
from typing import Any

from tests.unit.web.campus import Campus
from web.board import Board, Cursor
from web.scopes import AlertScope
from web.sources import REMEMBERED, Alerts

ALL = AlertScope()


class Console:
    """A client of the alerts, told at every change."""

    def __init__(self, campus: Campus, scope: AlertScope = ALL) -> None:
        source = Alerts(campus)
        self._board = Board(source)
        self._scope = scope
        self._cursor: Cursor | None = None
        self.told = 0
        source.listen(self._hear)

    def _hear(self, keys: Any) -> None:
        self.told += 1
        self._board.mark(keys)

    def read(self) -> dict[str, Any] | None:
        text, self._cursor = self._board.frame(self._scope, self._cursor)
        return None if text is None else json.loads(text)


def changes(frame: dict[str, Any] | None) -> list[tuple[str, str]]:
    assert frame is not None
    return [(alert["id"], alert["state"]) for alert in frame["changes"]]


def test_begins_with_what_fires_already_and_goes_on_with_changes() -> None:
    campus = Campus(5)
    campus.fire("SEM-000")
    console = Console(campus)
    first = console.read()
    assert first is not None
    assert [alert["id"] for alert in first["snapshot"]] == ["a1"]
    campus.fire("TEM-001", "CLOCK_SKEW", "warning")
    frame = console.read()
    assert frame is not None
    assert frame["since"] == first["rev"] < frame["rev"]
    assert changes(frame) == [("a2", "firing")]
    assert console.read() is None


async def test_an_alert_that_is_over_is_told_once_more() -> None:
    campus = Campus(5)
    console = Console(campus)
    campus.fire("SEM-000")
    console.read()
    campus.clear("a1")
    assert changes(console.read()) == [("a1", "resolved")]
    assert console.read() is None


def test_news_that_are_none_wake_nobody() -> None:
    campus = Campus(5)
    campus.fire("SEM-000")
    console = Console(campus)
    campus.tell_alerts()
    assert console.told == 0


def test_nobody_is_told_of_alerts_out_of_scope() -> None:
    campus = Campus(5)
    console = Console(campus, AlertScope(frozenset({"SEM-000"})))
    assert console.read() is not None
    for code in ("TEM-001", None):
        alert = campus.fire(code)
        assert console.read() is None
        campus.clear(alert.id)
        assert console.read() is None
    campus.fire("SEM-000")
    assert changes(console.read()) == [("a3", "firing")]


def test_too_many_that_are_over_at_once_are_told_by_a_snapshot() -> None:
    campus = Campus(5)
    for _ in range(REMEMBERED + 1):
        campus.fire("SEM-000")
    console = Console(campus)
    console.read()
    campus.firing.clear()
    campus.tell_alerts()
    frame = console.read()
    assert frame is not None
    assert frame["snapshot"] == []
