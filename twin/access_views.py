"""A decision about access as the outside sees it.

Times are RFC 3339 with offset, money is decimal strings in CNY, a remedy names its shape by `type`.
"""

from decimal import Decimal
from typing import assert_never

from twin.interface import AccessView, CheckView
from twin.permission import (
    AccessDecision,
    AccountRenewed,
    BackInService,
    Check,
    FundsAdded,
    LinkOnline,
    Opened,
    ProjectThatPays,
    QualificationHeld,
    Remedy,
    SessionEnded,
    SlotHeld,
    SuspensionOver,
)
from twin.views import rfc3339


def access_view_of(decision: AccessDecision, instrument: str, user: str, at_ms: int) -> AccessView:
    """The view of a decision about a person and an instrument at a moment."""
    return AccessView(
        instrument=instrument,
        user=user,
        at=rfc3339(at_ms),
        decision="granted" if decision.granted else "denied",
        reason=None if decision.reason is None else decision.reason.value,
        booking=decision.booking,
        project=decision.project,
        override_reason=decision.override_reason,
        checks=tuple(_check_view(check) for check in decision.checks),
    )


def _check_view(check: Check) -> CheckView:
    refusal = check.refusal
    if refusal is None:
        return CheckView(check.number, None, check.standing.value, None)
    return CheckView(check.number, refusal.code.value, check.standing.value, remedy_view_of(refusal.remedy))


def remedy_view_of(remedy: Remedy) -> dict[str, object]:  # noqa: C901, PLR0911 - one answer for each shape
    """A remedy as data; `type` names its shape."""
    match remedy:
        case BackInService(cause, at_ms):
            return {"type": "back_in_service", "cause": cause.value, "at": _time(at_ms)}
        case LinkOnline(link):
            return {"type": "link_online", "link": link.value}
        case AccountRenewed(disabled, expired_ms):
            return {"type": "account_renewed", "disabled": disabled, "expired": _time(expired_ms)}
        case SuspensionOver(missing, banned, until_ms):
            return {"type": "suspension_over", "credit_missing": missing, "banned": banned, "until": _time(until_ms)}
        case ProjectThatPays():
            return _project(remedy)
        case QualificationHeld():
            return _qualification(remedy)
        case FundsAdded():
            return _funds(remedy)
        case Opened(at_ms):
            return {"type": "opened", "at": _time(at_ms)}
        case SessionEnded(due_ms):
            return {"type": "session_ended", "due": _time(due_ms)}
        case SlotHeld():
            return _slot(remedy)
        case _:
            assert_never(remedy)


def _project(remedy: ProjectThatPays) -> dict[str, object]:
    refused = [{"project": project, "why": why.value} for project, why in remedy.refused]
    return {
        "type": "project_that_pays",
        "refused": refused,
        "instead": list(remedy.instead),
        "from": _time(remedy.from_ms),
    }


def _qualification(remedy: QualificationHeld) -> dict[str, object]:
    return {
        "type": "qualification_held",
        "instrument": remedy.instrument,
        "level": remedy.level.value,
        "expired": _time(remedy.expired_ms),
        "from": _time(remedy.from_ms),
    }


def _funds(remedy: FundsAdded) -> dict[str, object]:
    return {
        "type": "funds_added",
        "project": remedy.project,
        "needed": _money(remedy.needed_cny),
        "available": _money(remedy.available_cny),
        "missing": _money(remedy.missing_cny),
    }


def _slot(remedy: SlotHeld) -> dict[str, object]:
    return {
        "type": "slot_held",
        "opens": _time(remedy.opens_ms),
        "over": _time(remedy.over_ms),
        "free_from": rfc3339(remedy.free_from_ms),
        "free_until": _time(remedy.free_until_ms),
        "walk_in": remedy.walk_in,
    }


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)


def _money(amount_cny: Decimal) -> str:
    return f"{amount_cny:.2f}"
