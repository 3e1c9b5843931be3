"""Policies: defaults of the rules, layers, and what is refused."""

from decimal import Decimal

import msgspec
import pytest

from twin.parties import Level
from twin.policy import Policy, layered


def test_the_defaults_are_those_of_the_rules() -> None:
    assert (
        layered()
        == Policy()
        == Policy(
            stale_after_ms=90_000,
            offline_after_ms=300_000,
            clock_tolerance_ms=300_000,
            power_hold_ms=60_000,
            vacancy_hold_ms=120_000,
            confirm_ms=30_000,
            command_timeout_ms=10_000,
            active_w=40.0,
            standby_w=5.0,
            early_ms=600_000,
            walk_in=False,
            walk_in_free_ms=1_800_000,
            min_balance_cny=Decimal(0),
            credit_limit_points=60,
            required_level=Level.INDEPENDENT,
        )
    )


def test_the_most_specific_layer_wins() -> None:
    site: dict[str, object] = {"confirm_ms": 60_000, "active_w": 100.0}
    platform: dict[str, object] = {"active_w": 20.0}
    instrument: dict[str, object] = {"standby_w": 1.0, "active_w": 8}
    assert layered(site, platform, instrument) == Policy(confirm_ms=60_000, active_w=8.0, standby_w=1.0)
    assert layered(site, {}, {}) == Policy(confirm_ms=60_000, active_w=100.0)


def test_layers_that_are_wrong_alone_may_be_right_together() -> None:
    assert layered({"standby_w": 50.0}, {"active_w": 60.0}).standby_w == 50.0


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"stale_after_s": 90}, "unknown field `stale_after_s`"),
        ({"stale_after_ms": "90"}, "Expected `int`, got `str`"),
        ({"stale_after_ms": 90.5}, "Expected `int`, got `float`"),
        ({"stale_after_ms": -1}, ">= 0"),
        ({"confirm_ms": 8 * 24 * 3_600_000}, "<= 604800000"),
        ({"active_w": 0}, "> 0"),
        ({"active_w": float("nan")}, "> 0"),
        ({"standby_w": -5.0}, "> 0"),
        ({"standby_w": 41.0}, "standby_w .* must not be above active_w"),
        ({"early_ms": -1}, ">= 0"),
        ({"walk_in": 1}, "Expected `bool`, got `int`"),
        ({"min_balance_cny": "-0.01"}, r"min_balance_cny \(-0.01\) must be from 0 to 10000000"),
        ({"min_balance_cny": "10000000.01"}, "min_balance_cny"),
        ({"min_balance_cny": "NaN"}, "min_balance_cny"),
        ({"credit_limit_points": 101}, "<= 100"),
        ({"credit_limit_points": -1}, ">= 0"),
        ({"required_level": "guru"}, "Invalid enum value 'guru'"),
        ({"stale_after_ms": 300_001}, "stale_after_ms must not be longer than offline_after_ms"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(overrides: dict[str, object], complaint: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=complaint):
        layered(overrides)


def test_money_is_exact_and_a_level_may_be_none() -> None:
    policy = layered({"min_balance_cny": "50.10", "required_level": None}, {"walk_in": True})
    assert (policy.min_balance_cny, policy.required_level, policy.walk_in) == (Decimal("50.10"), None, True)
    assert layered({"required_level": "night"}).required_level is Level.NIGHT


def test_equal_thresholds_are_allowed() -> None:
    assert layered({"standby_w": 40.0, "stale_after_ms": 300_000}).standby_w == 40.0
