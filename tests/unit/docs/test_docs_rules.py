"""What docs/rules.md says is what the rules do."""

from enum import StrEnum
from typing import get_args

import msgspec
import pytest

from tests.unit.docs import documents as docs
from twin.alerts import RULES, AlertKind, AlertState, Step, Withheld
from twin.decisions import Verdict
from twin.permission import AccessCode
from twin.policy import AtSlotEnd, Cut, Policy
from twin.rules.billing import LineCause
from twin.rules.credit import CreditCause
from twin.rules.outcome import BookingState
from twin.sessions import CloseReason, CooldownEnd, Failure, Ignorance, OverrunReason, SessionState, VoidReason
from twin.state import Category, LinkState, OccupancyState, PowerClass
from twin.tariffs import Allowance, Band, Fund, Kind, Payer, Rates, Tariff


def test_every_policy_value_is_described_with_default_and_unit() -> None:
    units = {"ms": "ms", "w": "W", "cny": "CNY", "points": "points"}
    expected = [
        [f"`{field.name}`", _plain(field.default), units.get(field.name.rpartition("_")[2], "")]
        for field in msgspec.structs.fields(Policy)
    ]
    assert [row[:3] for row in docs.rows(docs.section("rules.md", "## Policy"))] == expected


def _plain(default: object) -> str:
    return f"{default:.0f}" if isinstance(default, float) else str(msgspec.to_builtins(default)).lower()


def test_every_code_of_access_is_described_in_the_order_of_the_checks() -> None:
    assert docs.named(docs.section("rules.md", "## Access")) == [code.value for code in AccessCode]


@pytest.mark.parametrize("value", [Tariff, Rates, Band, Allowance, Fund])
def test_everything_that_a_tariff_can_set_is_described(value: type[msgspec.Struct]) -> None:
    names = {field.name for field in msgspec.structs.fields(value)} - {"instrument"}
    assert names <= docs.marked(docs.section("rules.md", "## Billing"))


@pytest.mark.parametrize(
    ("words", "section"),
    [(Kind, "Billing"), (Payer, "Billing"), (LineCause, "Billing"), (CreditCause, "Credit")],
)
def test_every_word_of_a_bill_is_described(words: type[StrEnum], section: str) -> None:
    assert set(words) <= docs.marked(docs.section("rules.md", f"## {section}"))


@pytest.mark.parametrize("words", [CloseReason, VoidReason, OverrunReason, CooldownEnd])
def test_every_reason_of_a_session_has_its_line(words: type[StrEnum]) -> None:
    assert set(words) <= set(docs.named(docs.section("rules.md", "## Sessions")))


def test_every_state_of_a_session_and_every_word_about_one_is_described() -> None:
    section = docs.section("rules.md", "## Sessions")
    states = {state.__name__.lower() for state in get_args(SessionState)}
    assert states <= set(docs.named(section))
    assert {*Ignorance, *Failure, *Cut, *AtSlotEnd, *BookingState} - {AtSlotEnd.END} <= docs.marked(section)


def test_every_kind_of_alert_is_described_as_its_rule_has_it() -> None:
    section = docs.section("rules.md", "## Alerts")
    named = {field.name for field in msgspec.structs.fields(Policy)}
    described = {row[0].strip("`"): row for row in docs.rows(section) if row[0].strip("`") in set(AlertKind)}
    assert list(described) == [kind.value for kind in AlertKind]
    for kind, rule in RULES.items():
        _, severity, _, hold, to, _ = described[kind]
        assert (severity, to) == (rule.severity, ", ".join(rule.to)), kind
        if rule.hold_ms is None:
            assert hold == "single event", kind
        else:
            assert hold.strip("`") in named, kind
            changed = msgspec.structs.replace(Policy(), **{hold.strip("`"): 12_345})
            assert rule.hold_ms(changed) == 12_345, kind


def test_it_is_said_which_alerts_stand_still() -> None:
    section = docs.section("rules.md", "## Alerts")
    still = section[section.index("**Standing still.**") : section.index("**Telling.**")]
    assert docs.marked(still) & set(AlertKind) == {kind.value for kind, rule in RULES.items() if rule.stands_still}


@pytest.mark.parametrize("words", [AlertState, Step, Withheld])
def test_every_word_of_an_alert_is_described(words: type[StrEnum]) -> None:
    assert set(words) <= set(docs.named(docs.section("rules.md", "## Alerts")))


def test_every_verdict_is_described() -> None:
    assert docs.named(docs.section("rules.md", "## When something happened")) == [verdict.value for verdict in Verdict]


def test_every_category_is_described_in_the_order_of_the_rules() -> None:
    assert docs.named(docs.section("rules.md", "## The ledger")) == [category.value for category in Category]


@pytest.mark.parametrize("states", [LinkState, OccupancyState, PowerClass])
def test_every_state_of_a_part_is_described(states: type[LinkState | OccupancyState | PowerClass]) -> None:
    names = {state.name.lower() for state in states}
    assert names <= docs.marked(docs.section("rules.md", "## The twin"))
    assert names <= docs.marked(docs.section("wire.md", "### A twin"))
