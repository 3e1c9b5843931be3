"""Each scenario table about sessions is played to an instrument and seen to come true."""

from pathlib import Path

import pytest

from tests.rules.session_tables import SessionPlayer, said_of
from tests.rules.tables import START_MS, Scenario, scenarios
from twin.sessions import CloseReason, CooldownEnd, Decision, Failure, Ignorance, OverrunReason, VoidReason

ALL = list(scenarios(Path(__file__).parent / "sessions"))


def _title(scenario: Scenario) -> str:
    return scenario.title


def _played(scenario: Scenario) -> list[Decision]:
    player = SessionPlayer(scenario)
    for row in scenario.rows:
        player.play(row)
    return player.decisions


@pytest.mark.parametrize("scenario", ALL, ids=_title)
def test_scenario(scenario: Scenario) -> None:
    player = SessionPlayer(scenario)
    for row in scenario.rows:
        assert player.play(row) == row.expected, f"at {row.time}"


@pytest.mark.parametrize("scenario", ALL, ids=_title)
def test_asking_more_often_changes_nothing(scenario: Scenario) -> None:
    plain, asked = SessionPlayer(scenario), SessionPlayer(scenario)
    now_ms = START_MS
    for row in scenario.rows:
        plain.play(row)
        for moment_ms in range(now_ms, row.at_ms, max(1, (row.at_ms - now_ms) // 40)):
            asked.ask(moment_ms)
            assert asked.due_ms > moment_ms
        asked.play(row)
        now_ms = row.at_ms
    assert asked.decisions == plain.decisions
    assert asked.control == plain.control


def test_every_reason_and_decision_is_in_some_scenario() -> None:
    decisions = [decision for scenario in ALL for decision in _played(scenario)]
    words = (CloseReason, VoidReason, CooldownEnd, OverrunReason, Failure, Ignorance)
    given = {(type(reason), reason) for each in decisions if (reason := getattr(each, "reason", None)) is not None}
    assert given == {(each, reason) for each in words for reason in each}
    assert {type(each) for each in decisions} == set(Decision.__args__)
    assert all(said_of(each, each.at_ms) for each in decisions)


def test_every_scenario_names_its_rule() -> None:
    assert [scenario.title for scenario in ALL if not scenario.rules] == []
    assert len({scenario.title for scenario in ALL}) == len(ALL)
