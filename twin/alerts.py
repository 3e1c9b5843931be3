"""Alerts as values: their kinds as a table, where one stands in its life, and what keeps people from being told.

condition holds           held for `for`          clear for `clear`
---------------> PENDING -----------------> FIRING -----------------> RESOLVED
                    |                         ^  |
                    +--> nothing: it cleared  +--+ repeat, escalate, acknowledge
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from twin.policy import Policy
from twin.state import FOREVER_MS


class AlertKind(StrEnum):
    """What an alert is about. All but the last concern one instrument; that one concerns the site."""

    POWER_WITHOUT_SESSION = "POWER_WITHOUT_SESSION"
    POWER_WITH_RELAY_OFF = "POWER_WITH_RELAY_OFF"
    PRESENCE_WITHOUT_SESSION = "PRESENCE_WITHOUT_SESSION"
    REPEATED_DENIALS = "REPEATED_DENIALS"
    FORCED_DOOR = "FORCED_DOOR"
    RELAY_MISMATCH = "RELAY_MISMATCH"
    COMMAND_FAILED = "COMMAND_FAILED"
    UNSAFE_TO_CUT = "UNSAFE_TO_CUT"
    IDLE_SESSION = "IDLE_SESSION"
    NO_SHOW = "NO_SHOW"
    OVERRUN = "OVERRUN"
    CONTROLLER_OFFLINE = "CONTROLLER_OFFLINE"
    OFFLINE_CONFLICT = "OFFLINE_CONFLICT"
    CLOCK_SKEW = "CLOCK_SKEW"
    SITE_OFFLINE = "SITE_OFFLINE"


class Conflict(StrEnum):
    """Why what a controller did by itself, while it was cut off, cannot stand beside the books."""

    NOT_ISSUED = "not_issued"
    """It let somebody in by a grant that it was never given for them."""
    REVOKED = "revoked"
    """The grant had been withdrawn by then."""
    OUTSIDE = "outside"
    """The grant was given for another time."""
    UNKNOWN_CARD = "unknown_card"
    """Nobody has the card."""
    OVERLAP = "overlap"
    """Another session was going on."""


class Severity(StrEnum):
    """How bad it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Role(StrEnum):
    """Who is told."""

    SECURITY = "security"
    MANAGER = "manager"
    USER = "user"
    BOTH_USERS = "both users"
    """The one whose session goes on and the one whose slot has begun."""


class AlertState(StrEnum):
    """Where an alert stands in its life. One that is pending or firing is active."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Step(StrEnum):
    """What people are told about a firing alert."""

    FIRED = "fired"
    ESCALATED = "escalated"
    REPEATED = "repeated"
    RESOLVED = "resolved"


class Withheld(StrEnum):
    """Why people were not told."""

    INHIBITED = "inhibited"
    """An alert that explains this one is firing; they are told when it ends, if this one still fires then."""
    SILENCED = "silenced"
    """A silence matches; they are told when it ends, if the alert still fires then."""
    ACKNOWLEDGED = "acknowledged"
    """Somebody sees to it."""
    CLEARED_UNTOLD = "cleared_untold"
    """It is over, and nobody had been told that it began."""


class Standing(StrEnum):
    """Does the condition of an alert hold?"""

    HOLDS = "holds"
    CLEAR = "clear"
    FROZEN = "frozen"
    """Nobody can say: it stands still."""


class _Value(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Immutable and compact, in memory and in a checkpoint."""


class Condition(_Value, frozen=True):
    """A condition at a moment: since when it stands as it does, and when that may next change by time alone."""

    standing: Standing
    since_ms: int
    next_ms: int = FOREVER_MS
    link_ms: int = FOREVER_MS
    """When the link may change it, if nothing is heard until then: whoever follows the link asks anew at that time."""


class AlertRule(msgspec.Struct, frozen=True):
    """What all alerts of a kind have in common."""

    severity: Severity
    to: tuple[Role, ...]
    """Who is told, in the order of escalation."""
    hold_ms: Callable[[Policy], int] | None
    """How long the condition must hold. None: the alert is about a single event and fires at once."""
    stands_still: bool = False
    """About power or presence: it stands still while the link is not online."""
    inhibited_by: AlertKind | None = AlertKind.CONTROLLER_OFFLINE
    """While an alert of that kind is firing nobody is told of this one."""


RULES: dict[AlertKind, AlertRule] = {
    AlertKind.POWER_WITHOUT_SESSION: AlertRule(
        Severity.CRITICAL, (Role.SECURITY, Role.MANAGER), lambda policy: policy.intrusion_for_ms, stands_still=True
    ),
    AlertKind.POWER_WITH_RELAY_OFF: AlertRule(
        Severity.CRITICAL, (Role.SECURITY,), lambda policy: policy.relay_off_for_ms, stands_still=True
    ),
    AlertKind.PRESENCE_WITHOUT_SESSION: AlertRule(
        Severity.WARNING, (Role.SECURITY,), lambda policy: policy.presence_for_ms, stands_still=True
    ),
    AlertKind.REPEATED_DENIALS: AlertRule(Severity.WARNING, (Role.SECURITY,), lambda policy: policy.denials_for_ms),
    AlertKind.FORCED_DOOR: AlertRule(Severity.CRITICAL, (Role.SECURITY,), lambda policy: policy.door_for_ms),
    AlertKind.RELAY_MISMATCH: AlertRule(Severity.WARNING, (Role.MANAGER,), lambda policy: policy.command_timeout_ms),
    AlertKind.COMMAND_FAILED: AlertRule(Severity.WARNING, (Role.MANAGER,), None),
    AlertKind.UNSAFE_TO_CUT: AlertRule(
        Severity.WARNING, (Role.MANAGER, Role.USER), lambda policy: policy.unsafe_for_ms, stands_still=True
    ),
    AlertKind.IDLE_SESSION: AlertRule(
        Severity.INFO, (Role.USER, Role.MANAGER), lambda policy: policy.idle_for_ms, stands_still=True
    ),
    AlertKind.NO_SHOW: AlertRule(Severity.INFO, (Role.USER,), None),
    AlertKind.OVERRUN: AlertRule(
        Severity.WARNING, (Role.BOTH_USERS, Role.MANAGER), lambda policy: policy.overrun_for_ms
    ),
    AlertKind.CONTROLLER_OFFLINE: AlertRule(
        Severity.WARNING,
        (Role.MANAGER,),
        lambda policy: policy.offline_for_ms,
        inhibited_by=AlertKind.SITE_OFFLINE,
    ),
    # It happens as the controller comes back, when CONTROLLER_OFFLINE is firing still.
    AlertKind.OFFLINE_CONFLICT: AlertRule(Severity.WARNING, (Role.MANAGER, Role.SECURITY), None, inhibited_by=None),
    AlertKind.CLOCK_SKEW: AlertRule(Severity.WARNING, (Role.MANAGER,), lambda policy: policy.skew_for_ms),
    AlertKind.SITE_OFFLINE: AlertRule(
        Severity.CRITICAL, (Role.MANAGER,), lambda policy: policy.site_for_ms, inhibited_by=None
    ),
}
"""Every kind and its rule, in the order of the rules (docs/rules.md)."""


class Acknowledgement(_Value, frozen=True):
    """Who has taken an alert upon themselves, and when."""

    by: str
    at_ms: int


class Clash(_Value, frozen=True):
    """A conflict: at which moment, and with whom; None: with somebody unknown."""

    conflict: Conflict
    at_ms: int
    user: str | None = None


class Alert(_Value, frozen=True):
    """One alert at a moment of its life. `FOREVER_MS` stands for a moment that will not come by itself."""

    kind: AlertKind
    state: AlertState
    since_ms: int
    """Since when it has been in this state; a pending one since its condition has held."""
    due_ms: int
    """Pending: when it fires. Firing: when it is resolved."""
    left_ms: int | None = None
    """Standing still: how long before `due_ms` it stopped."""
    told: int = 0
    """How many groups have been told that it fires: the level of escalation."""
    tell_ms: int = FOREVER_MS
    """When the first group is to be told."""
    escalate_ms: int = FOREVER_MS
    """When the next group is to be told."""
    repeat_ms: int = FOREVER_MS
    """When those who know are to be told again."""
    owed: tuple[Step, ...] = ()
    """What was due and is made up for when nothing inhibits or silences the alert any more."""
    acknowledged: Acknowledgement | None = None
    fired_ms: int = 0
    """When it fired; 0: it has not."""
    clashes: tuple[Clash, ...] = ()
    """Of an OFFLINE_CONFLICT: the last ones."""


class Notice(_Value, frozen=True):
    """At a moment people are told of an alert, or it is said why they are not."""

    kind: AlertKind
    at_ms: int
    step: Step
    to: tuple[Role, ...] = ()
    withheld: Withheld | None = None


class Silence(_Value, frozen=True):
    """Nobody is told of the alerts that match, until a moment. What is None matches everything."""

    until_ms: int
    author: str
    reason: str
    instrument: str | None = None
    platform: str | None = None
    kind: AlertKind | None = None

    def matches(self, instrument: str, platform: str, kind: AlertKind, at_ms: int) -> bool:
        """Is the alert of that kind, at that instrument of that platform, silenced at this moment?"""
        return (
            at_ms < self.until_ms
            and self.instrument in {None, instrument}
            and self.platform in {None, platform}
            and self.kind in {None, kind}
        )


class Watch(_Value, frozen=True):
    """All active alerts of an instrument, at most one of each kind, as they stood when last asked about."""

    asked_ms: int
    active: tuple[Alert, ...] = ()


class Watched(_Value, frozen=True):
    """What a stretch of time has made of a watch."""

    watch: Watch
    ended: tuple[Alert, ...] = ()
    """Resolved meanwhile."""
    notices: tuple[Notice, ...] = ()
    due_ms: int = FOREVER_MS
    """When to ask again, if nothing happens before."""
