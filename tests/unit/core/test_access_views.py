"""A decision about access, as it goes over the wire."""

import json
from decimal import Decimal
from typing import get_args

import msgspec
import pytest

from twin.access_views import access_view_of, remedy_view_of
from twin.parties import DowntimeCause, Level
from twin.permission import (
    AccessCode,
    AccessDecision,
    AccountRenewed,
    BackInService,
    Check,
    FundsAdded,
    LinkOnline,
    Opened,
    ProjectThatPays,
    QualificationHeld,
    Refusal,
    Remedy,
    SessionEnded,
    SlotHeld,
    Standing,
    SuspensionOver,
    Unpayable,
)
from twin.state import LinkState

NOW = 1_700_000_000_000
AT = "2023-11-14T22:13:20.000+00:00"
REMEDIES: list[tuple[Remedy, dict[str, object]]] = [
    (BackInService(DowntimeCause.FAULT, None), {"type": "back_in_service", "cause": "fault", "at": None}),
    (BackInService(DowntimeCause.OUTAGE, NOW), {"type": "back_in_service", "cause": "outage", "at": AT}),
    (LinkOnline(LinkState.STALE), {"type": "link_online", "link": "stale"}),
    (AccountRenewed(disabled=True, expired_ms=NOW), {"type": "account_renewed", "disabled": True, "expired": AT}),
    (
        SuspensionOver(12, banned=True, until_ms=NOW),
        {"type": "suspension_over", "credit_missing": 12, "banned": True, "until": AT},
    ),
    (
        ProjectThatPays((("P1", Unpayable.EXPIRED),), ("P2",), NOW),
        {
            "type": "project_that_pays",
            "refused": [{"project": "P1", "why": "expired"}],
            "instead": ["P2"],
            "from": AT,
        },
    ),
    (
        QualificationHeld("SEM", Level.NIGHT, NOW, None),
        {"type": "qualification_held", "instrument": "SEM", "level": "night", "expired": AT, "from": None},
    ),
    (
        FundsAdded("P1", Decimal("120.00"), Decimal("19.5")),
        {"type": "funds_added", "project": "P1", "needed": "120.00", "available": "19.50", "missing": "100.50"},
    ),
    (
        FundsAdded(None, Decimal(0), Decimal("-3.25")),
        {"type": "funds_added", "project": None, "needed": "0.00", "available": "-3.25", "missing": "3.25"},
    ),
    (Opened(NOW), {"type": "opened", "at": AT}),
    (SessionEnded(None), {"type": "session_ended", "due": None}),
    (
        SlotHeld(NOW, None, NOW, None, walk_in=True),
        {"type": "slot_held", "opens": AT, "over": None, "free_from": AT, "free_until": None, "walk_in": True},
    ),
]


@pytest.mark.parametrize(("remedy", "shown"), REMEDIES)
def test_a_remedy_is_told_with_its_data(remedy: Remedy, shown: dict[str, object]) -> None:
    assert remedy_view_of(remedy) == shown


def test_every_remedy_is_told_and_no_two_alike() -> None:
    assert {type(remedy) for remedy, _ in REMEDIES} == set(get_args(Remedy))
    assert len({shown["type"] for _, shown in REMEDIES}) == len(get_args(Remedy))


def test_a_refusal_names_its_reason_and_lists_every_check() -> None:
    refused = Refusal(AccessCode.CLOSED_HOURS, Opened(NOW))
    overridden = Refusal(AccessCode.NOT_QUALIFIED, QualificationHeld("SEM", Level.NIGHT, None, None))
    checks = (
        Check(1, Standing.PASSED, None),
        Check(6, Standing.OVERRIDDEN, overridden),
        Check(8, Standing.FAILED, refused),
    )
    decision = AccessDecision(checks, "B1", "P1", "to show it")
    view = json.loads(msgspec.json.encode(access_view_of(decision, "SEM", "li", NOW)))
    assert (view["instrument"], view["user"], view["at"]) == ("SEM", "li", AT)
    assert (view["decision"], view["reason"]) == ("denied", "CLOSED_HOURS")
    assert (view["booking"], view["project"], view["override_reason"]) == ("B1", "P1", "to show it")
    assert [(each["number"], each["code"], each["standing"]) for each in view["checks"]] == [
        (1, None, "passed"),
        (6, "NOT_QUALIFIED", "overridden"),
        (8, "CLOSED_HOURS", "failed"),
    ]
    assert view["checks"][0]["remedy"] is None
    assert view["checks"][2]["remedy"] == {"type": "opened", "at": AT}


def test_what_is_granted_has_no_reason() -> None:
    view = access_view_of(AccessDecision((Check(1, Standing.PASSED, None),), None, "P1", None), "SEM", "li", NOW)
    assert (view.decision, view.reason) == ("granted", None)
