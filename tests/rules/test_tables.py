"""Each scenario table is played to a fleet and seen to come true."""

from pathlib import Path

import pytest

from tests.rules.tables import START_MS, Player, Scenario, duration_ms, scenarios, written

FOLDER = Path(__file__).parent
ALL = list(scenarios(FOLDER))


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.title)
def test_scenario(scenario: Scenario) -> None:
    player = Player(scenario)
    for row in scenario.rows:
        shown = player.play(row)
        assert {name: shown[name] for name in row.expected} == row.expected, f"at {row.time}"
    if scenario.ledger:
        assert written(player.service.ledger) == scenario.ledger


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.title)
def test_looking_twice_a_second_changes_nothing(scenario: Scenario) -> None:
    """The same scenario with time passing in small steps ends in the same ledger."""
    plain, watched = Player(scenario), Player(scenario)
    now_ms = START_MS
    for row in scenario.rows:
        plain.play(row)
        for moment_ms in range(now_ms, min(row.at_ms, now_ms + 600_000), 500):
            watched.service.commit(moment_ms)
        watched.play(row)
        now_ms = row.at_ms
    assert written(watched.service.ledger) == written(plain.service.ledger)


def test_every_scenario_names_its_rule() -> None:
    assert len(ALL) > 50
    assert [scenario.title for scenario in ALL if not scenario.rules] == []
    assert len({scenario.title for scenario in ALL}) == len(ALL)


@pytest.mark.parametrize(
    ("text", "expected_ms"), [("+0s", 0), ("+1m30s", 90_000), ("-0.001s", -1), ("89.999s", 89_999), ("2h5m", 7_500_000)]
)
def test_durations(text: str, expected_ms: int) -> None:
    assert duration_ms(text) == expected_ms
