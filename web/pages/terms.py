"""The names of what stands in sessions, bills and alerts, marked for translation where they stand."""

from collections.abc import Mapping
from typing import Any, Final

from twin.alerts import AlertKind, Conflict, Severity
from twin.parties import DowntimeCause, Level
from twin.permission import AccessCode, Unpayable
from twin.sessions import CloseReason, VoidReason
from twin.state import LinkState
from twin.tariffs import Kind
from web.pages.words import marked as _

REFUSALS: Final[dict[AccessCode, str]] = {
    AccessCode.OUT_OF_SERVICE: _("The instrument is out of service."),
    AccessCode.CONTROLLER_OFFLINE: _("The instrument's controller cannot be reached."),
    AccessCode.USER_INACTIVE: _("The account is not active."),
    AccessCode.SUSPENDED: _("The right to use it is suspended."),
    AccessCode.NO_PROJECT: _("No project may pay for this instrument."),
    AccessCode.NOT_QUALIFIED: _("The qualification for this instrument is missing."),
    AccessCode.QUALIFICATION_EXPIRED: _("The qualification for this instrument has expired."),
    AccessCode.INSUFFICIENT_FUNDS: _("The project has not enough money."),
    AccessCode.CLOSED_HOURS: _("It is outside the opening hours."),
    AccessCode.IN_USE: _("Somebody else is using it."),
    AccessCode.NO_BOOKING: _("There is no booking for now."),
    AccessCode.TOO_EARLY: _("The booking has not begun yet."),
    AccessCode.SLOT_OVER: _("The booking is over."),
    AccessCode.BOOKED_BY_OTHER: _("Somebody else has booked it."),
}
CAUSES: Final[dict[DowntimeCause, str]] = {
    DowntimeCause.FAULT: _("It has a fault."),
    DowntimeCause.OUTAGE: _("It is out of service as planned."),
    DowntimeCause.RETIRED: _("It has been retired."),
}
LINKS: Final[dict[LinkState, str]] = {
    LinkState.NEVER: _("never connected"),
    LinkState.ONLINE: _("online"),
    LinkState.STALE: _("stale"),
    LinkState.OFFLINE: _("offline"),
}
LEVELS_HELD: Final[dict[Level, str]] = {
    Level.SUPERVISED: _("supervised"),
    Level.INDEPENDENT: _("independent"),
    Level.NIGHT: _("night"),
    Level.OPERATOR: _("operator"),
}
UNPAYABLE: Final[dict[Unpayable, str]] = {
    Unpayable.NOT_A_PAYER: _("you may not charge it"),
    Unpayable.OTHER_INSTRUMENTS: _("it pays for other instruments only"),
    Unpayable.NOT_YET: _("it is not valid yet"),
    Unpayable.EXPIRED: _("it has expired"),
}
SESSION_STATES: Final[dict[str, str]] = {
    "opening": _("starting"),
    "open": _("running"),
    "closed": _("over"),
    "void": _("never began"),
}
ENDINGS: Final[dict[str, str]] = {
    CloseReason.USER: _("ended by its user"),
    CloseReason.STAFF: _("ended by staff"),
    CloseReason.SLOT_END: _("its time was over"),
    CloseReason.IDLE: _("nobody used it"),
    CloseReason.EMERGENCY: _("emergency stop"),
    CloseReason.RECONCILED: _("end worked out from the readings"),
    VoidReason.NOT_CONFIRMED: _("the controller did not confirm that power is on"),
    VoidReason.REFUSED: _("the controller refused"),
    VoidReason.WITHDRAWN: _("withdrawn before it began"),
}
KINDS: Final[dict[Kind, str]] = {
    Kind.USE: _("use"),
    Kind.IDLE: _("idle"),
    Kind.OVERRUN: _("overrun"),
    Kind.FREE: _("free of charge"),
}
LINES: Final[dict[str, str]] = {
    "session": _("session"),
    "no_show": _("not used"),
    "correction": _("correction"),
}
ALERTS: Final[dict[AlertKind, str]] = {
    AlertKind.POWER_WITHOUT_SESSION: _("Power without a session"),
    AlertKind.POWER_WITH_RELAY_OFF: _("Power though the relay is off"),
    AlertKind.PRESENCE_WITHOUT_SESSION: _("Somebody there without a session"),
    AlertKind.REPEATED_DENIALS: _("Cards refused again and again"),
    AlertKind.FORCED_DOOR: _("Door forced open"),
    AlertKind.RELAY_MISMATCH: _("Relay is not as commanded"),
    AlertKind.COMMAND_FAILED: _("Command failed"),
    AlertKind.UNSAFE_TO_CUT: _("Not safe to cut the power"),
    AlertKind.IDLE_SESSION: _("Session without use"),
    AlertKind.NO_SHOW: _("Booked, and nobody came"),
    AlertKind.OVERRUN: _("Runs into somebody else's booking"),
    AlertKind.CONTROLLER_OFFLINE: _("Controller offline"),
    AlertKind.OFFLINE_CONFLICT: _("Use while offline conflicts with the records"),
    AlertKind.CLOCK_SKEW: _("Controller's clock is wrong"),
    AlertKind.SITE_OFFLINE: _("Site offline"),
}
CONFLICTS: Final[dict[Conflict, str]] = {
    Conflict.NOT_ISSUED: _("let in without permission"),
    Conflict.REVOKED: _("let in by a permission that had been withdrawn"),
    Conflict.OUTSIDE: _("let in outside the permitted time"),
    Conflict.UNKNOWN_CARD: _("let in an unknown card"),
    Conflict.OVERLAP: _("another session was going on"),
}
SEVERITIES: Final[dict[Severity, str]] = {
    Severity.CRITICAL: _("critical"),
    Severity.WARNING: _("warning"),
    Severity.INFO: _("notice"),
}
TERMS: Final[dict[str, Mapping[Any, str]]] = {
    "refusals": REFUSALS,
    "session_states": SESSION_STATES,
    "endings": ENDINGS,
    "kinds": KINDS,
    "lines": LINES,
    "alerts": ALERTS,
    "severities": SEVERITIES,
    "conflicts": CONFLICTS,
}
"""All that templates name."""
