"""Each table about access is asked and seen to be answered so."""

from pathlib import Path
from typing import get_args

import pytest

from tests.rules.access_tables import Scenario, question, scenarios, shown
from twin.permission import AccessCode, Check, Remedy, Standing, Unpayable
from twin.rules.access import Origin, Wish, decide

ALL = list(scenarios(Path(__file__).parent / "access"))
QUESTIONS = [question(scenario, row) for scenario in ALL for row in scenario.rows]
CHECKS = [check for each in QUESTIONS for check in decide(each).checks]


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.title)
def test_scenario(scenario: Scenario) -> None:
    for row in scenario.rows:
        asked = question(scenario, row)
        answer = shown(decide(asked), asked.opening.zone)
        assert {name: answer[name] for name in row.expected} == row.expected, f"at {row.time} {row.facts}"


def test_every_scenario_names_its_rule() -> None:
    assert [scenario.title for scenario in ALL if not scenario.rules] == []
    assert len({scenario.title for scenario in ALL}) == len(ALL) > 30


def test_every_code_is_the_answer_of_some_scenario() -> None:
    assert {row.expected["answer"] for scenario in ALL for row in scenario.rows} == {"granted", *AccessCode}


def test_everything_that_would_make_it_allowed_is_said_in_some_scenario() -> None:
    said = [row.expected.get("said", "-") for scenario in ALL for row in scenario.rows]
    remedies = {type(check.refusal.remedy) for check in CHECKS if check.refusal}
    assert remedies == set(get_args(Remedy))
    assert [why for why in Unpayable if not any(why in each for each in said)] == []


def test_every_wish_and_origin_has_a_scenario() -> None:
    assert {each.wish for each in QUESTIONS} == set(Wish)
    assert {each.origin for each in QUESTIONS} == set(Origin)


def test_every_check_comes_out_in_every_way_that_it_can() -> None:
    assert _numbers(Standing.PASSED) == set(range(1, 11))
    assert _numbers(Standing.FAILED) == set(range(1, 11))
    assert _numbers(Standing.OVERRIDDEN) == {4, 5, 6, 7, 8, 10}
    assert _numbers(Standing.WAIVED) == set(range(1, 11))


def _numbers(standing: Standing) -> set[int]:
    return {check.number for check in CHECKS if check.standing is standing}


def test_every_code_belongs_to_one_check_in_the_order_of_the_codes() -> None:
    told: list[Check] = sorted((check for check in CHECKS if check.refusal), key=lambda check: check.number)
    numbers = {check.refusal.code: check.number for check in told if check.refusal}
    assert all(check.refusal and numbers[check.refusal.code] == check.number for check in told)
    assert [numbers[code] for code in AccessCode] == [1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 10, 10, 10]
