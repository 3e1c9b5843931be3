"""Each scenario table about an instrument as a whole is played to a fleet and seen to come true."""

from pathlib import Path

import pytest

from tests.rules.engine_tables import EnginePlayer, clock_ms, written
from tests.rules.tables import Scenario, scenarios

FOLDER = Path(__file__).parent / "engine"
ALL = list(scenarios(FOLDER))


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
