"""Each scenario table about alerts is played to a twin and seen to come true."""

from pathlib import Path

import pytest

from tests.rules.alert_tables import AlertPlayer
from tests.rules.tables import START_MS, Scenario, scenarios
from twin.alerts import RULES, AlertKind, Step, Withheld

ALL = list(scenarios(Path(__file__).parent / "alerts"))


def _named(scenario: Scenario) -> str:
    return scenario.title


@pytest.mark.parametrize("scenario", ALL, ids=_named)
def test_scenario(scenario: Scenario) -> None:
    player = AlertPlayer(scenario)
    for row in scenario.rows:
        assert player.play(row) == row.expected, f"at {row.time}"


@pytest.mark.parametrize("scenario", ALL, ids=_named)
def test_asking_more_often_changes_nothing(scenario: Scenario) -> None:
    plain, watched = AlertPlayer(scenario), AlertPlayer(scenario)
    now_ms = START_MS
    for row in scenario.rows:
        plain.play(row)
        for moment_ms in range(now_ms, row.at_ms, max(500, (row.at_ms - now_ms) // 40)):
            watched.ask(moment_ms)
        watched.play(row)
        now_ms = row.at_ms
    assert watched.notices == plain.notices
    assert watched.watch == plain.watch


def test_every_kind_fires_in_some_scenario_and_every_notice_is_given() -> None:
    fired: set[AlertKind] = set()
    given: set[Step | Withheld | None] = set()
    for scenario in ALL:
        player = AlertPlayer(scenario)
        for row in scenario.rows:
            player.play(row)
        fired |= player.fired
        given |= {word for notice in player.notices for word in (notice.step, notice.withheld)}
    assert fired == set(AlertKind)
    assert given == {*Step, *Withheld, None}


def test_every_scenario_names_its_rule() -> None:
    assert [scenario.title for scenario in ALL if not scenario.rules] == []
    assert len({scenario.title for scenario in ALL}) == len(ALL)


def test_every_kind_has_its_rule_in_order() -> None:
    assert list(RULES) == list(AlertKind)
