"""Each scenario table about an instrument as a whole is played to a fleet and seen to come true; none is missing."""

import re
from pathlib import Path

import pytest

from tests.rules.engine_tables import EnginePlayer, written
from tests.rules.engine_words import clock_ms
from tests.rules.tables import Scenario, scenarios
from twin.alerts import AlertKind
from twin.permission import AccessCode
from twin.rules.credit import CreditCause
from twin.rules.outcome import BookingState, SessionStatus
from twin.sessions import CloseReason, VoidReason
from twin.state import Category

FOLDER = Path(__file__).parent / "engine"
ALL = list(scenarios(FOLDER))
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.txt")))

BILLING_CLAUSES = {
    "min_minutes": "min_minutes",
    "startup_fee": "startup_fee",
    "session_cap": "session_cap",
    "band": "band",
    "idle": "idle 50%",
    "no_show": "no_show 25%",
    "free minutes": "free: ",
    "fund": "fund: ",
    "version": ", from 2026",
    "correction": "| correction +",
}
"""What a bill may depend on, and how tables say it."""


def _title(scenario: Scenario) -> str:
    return scenario.title


@pytest.mark.parametrize("scenario", ALL, ids=_title)
def test_scenario(scenario: Scenario) -> None:
    player = EnginePlayer(scenario)
    for row in scenario.rows:
        shown = player.play(row)
        assert {name: shown[name] for name in row.expected} == row.expected, f"at {row.time}"
    if scenario.ledger:
        assert written(player) == scenario.ledger


@pytest.mark.parametrize("scenario", ALL, ids=_title)
def test_looking_more_often_changes_nothing(scenario: Scenario) -> None:
    plain, watched = EnginePlayer(scenario), EnginePlayer(scenario)
    now_ms = clock_ms(scenario.rows[0].time)
    for row in scenario.rows:
        at_ms = clock_ms(row.time)
        plain.play(row)
        for moment_ms in range(now_ms, at_ms, max(1, (at_ms - now_ms) // 40)):
            watched.look(moment_ms)
        watched.play(row)
        now_ms = at_ms
    assert written(watched) == written(plain)
    assert watched.lab.sessions == plain.lab.sessions
    assert watched.lab.charges == plain.lab.charges
    assert watched.lab.credit == plain.lab.credit
    assert watched.lab.alerts == plain.lab.alerts
    assert watched.lab.notices == plain.lab.notices
    assert watched.lab.commands == plain.lab.commands


@pytest.mark.parametrize("code", AccessCode)
def test_every_refusal_is_in_some_scenario(code: AccessCode) -> None:
    assert re.search(rf"\| .*[Rr]efused:? {code}\b", TEXT)


@pytest.mark.parametrize("reason", [*(each for each in CloseReason if each is not CloseReason.RECONCILED), *VoidReason])
def test_every_end_of_a_session_is_in_some_scenario(reason: CloseReason | VoidReason) -> None:
    status = SessionStatus.VOID if isinstance(reason, VoidReason) else SessionStatus.CLOSED
    assert re.search(rf"\| .*{status} {reason}\b", TEXT)


@pytest.mark.parametrize("kind", AlertKind)
def test_every_kind_of_alert_fires_in_some_scenario_and_ends(kind: AlertKind) -> None:
    assert re.search(rf"\| .*{kind} fired to ", TEXT)
    assert re.search(rf"\| .*{kind} resolved to ", TEXT)


@pytest.mark.parametrize("category", Category)
def test_every_category_is_in_some_ledger(category: Category) -> None:
    assert any(re.search(rf"\d {category}\b", scenario.ledger) for scenario in ALL)


@pytest.mark.parametrize("clause", BILLING_CLAUSES)
def test_every_clause_of_a_bill_is_in_some_scenario(clause: str) -> None:
    assert BILLING_CLAUSES[clause] in TEXT


def test_every_change_of_a_booking_and_every_offence_of_a_session_is_in_some_scenario() -> None:
    assert {state for state in BookingState if f" {state} " in TEXT} == set(BookingState)
    offences = {CreditCause.NO_SHOW, CreditCause.IDLE, CreditCause.OVERRUN}
    assert {cause for cause in offences if re.search(rf"credit of \w+ -\d+ {cause}\b", TEXT)} == offences


def test_every_scenario_names_its_rule() -> None:
    assert len(ALL) > 80
    assert [scenario.title for scenario in ALL if not scenario.rules] == []
    assert len({scenario.title for scenario in ALL}) == len(ALL)
