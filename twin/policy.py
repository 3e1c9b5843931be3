"""What can be set for an instrument, a platform or the site: durations and thresholds with their defaults."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

from twin.parties import Level

MAX_CNY = Decimal(10_000_000)

DurationMs = Annotated[int, Meta(ge=0, le=7 * 24 * 3_600_000)]
ClearMs = Annotated[int, Meta(ge=1_000, le=7 * 24 * 3_600_000)]
RepeatMs = Annotated[int, Meta(ge=60_000, le=7 * 24 * 3_600_000)]
Count = Annotated[int, Meta(ge=1, le=100)]
PowerW = Annotated[float, Meta(gt=0, le=10_000_000)]
CreditPoints = Annotated[int, Meta(ge=0, le=100)]
BanMs = Annotated[int, Meta(ge=0, le=366 * 24 * 3_600_000)]


class AtSlotEnd(StrEnum):
    """What the clock does to a session whose slot and grace are over."""

    END = "end"
    ALERT = "alert"
    """Nothing: people are told, and somebody ends it."""


class OnUnauthorised(StrEnum):
    """What follows from an intrusion."""

    ALERT = "alert"
    CUT = "cut"
    """People are told, and the relay is commanded off."""


class Cut(StrEnum):
    """When the relay is commanded off after a session."""

    AT_ONCE = "at_once"
    WHEN_IDLE = "when_idle"
    """Once the instrument does not work any more; not at all if that takes too long."""
    NEVER = "never"


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy in force for one twin; durations in milliseconds, power in watts, money in CNY.

    The defaults are those of the rules (docs/rules.md).
    """

    stale_after_ms: DurationMs = 90_000
    """No message for this long: the link is stale."""
    offline_after_ms: DurationMs = 300_000
    """No message for this long: the link is offline."""
    clock_tolerance_ms: DurationMs = 300_000
    """A controller's time stamp counts while it is this close to the time of receipt."""
    power_hold_ms: DurationMs = 60_000
    """The power class falls this much later than the power itself."""
    vacancy_hold_ms: DurationMs = 120_000
    """An instrument counts as occupied this much longer than its sensor says so."""
    confirm_ms: DurationMs = 30_000
    """Active power without a session is an intrusion after this long in total."""
    command_timeout_ms: DurationMs = 10_000
    """A relay that does not follow for this long is a mismatch."""
    intrusion_for_ms: DurationMs = 0
    """An intrusion lasts this long: alert POWER_WITHOUT_SESSION."""
    on_unauthorised: OnUnauthorised = OnUnauthorised.ALERT
    """What follows from that."""
    relay_off_for_ms: DurationMs = 30_000
    """Power in spite of a relay that is off lasts this long: alert POWER_WITH_RELAY_OFF."""
    presence_for_ms: DurationMs = 600_000
    """Presence outside the opening hours lasts this long: alert PRESENCE_WITHOUT_SESSION."""
    denial_count: Count = 3
    """Refused cards that are too many."""
    denials_within_ms: DurationMs = 300_000
    """They are refused within this long."""
    denials_for_ms: DurationMs = 0
    """They are too many for this long: alert REPEATED_DENIALS."""
    door_grant_ms: DurationMs = 60_000
    """A door may be open this long after somebody was granted access."""
    door_for_ms: DurationMs = 5_000
    """A door is open without a grant for this long: alert FORCED_DOOR."""
    unsafe_for_ms: DurationMs = 0
    """Power that cannot safely be cut stays on for this long: alert UNSAFE_TO_CUT."""
    idle_for_ms: DurationMs = 900_000
    """A session is idle and nobody there for this long: alert IDLE_SESSION."""
    overrun_for_ms: DurationMs = 0
    """A session goes on into another person's slot for this long: alert OVERRUN."""
    offline_for_ms: DurationMs = 0
    """A link is offline for this long: alert CONTROLLER_OFFLINE."""
    skew_for_ms: DurationMs = 60_000
    """A controller's clock is off for this long: alert CLOCK_SKEW."""
    site_within_ms: DurationMs = 60_000
    """More than half of a site's controllers gone within this long: the site is offline."""
    site_for_ms: DurationMs = 0
    """The site is offline for this long: alert SITE_OFFLINE."""
    clear_ms: ClearMs = 30_000
    """An alert is resolved when its condition has been clear for this long."""
    repeat_ms: RepeatMs = 14_400_000
    """An alert that nobody has acknowledged is told again this often."""
    escalate_ms: DurationMs = 900_000
    """An alert that nobody has acknowledged is told to the next group after this long."""
    active_w: PowerW = 40.0
    """At or above: the instrument works."""
    standby_w: PowerW = 5.0
    """At or above: the instrument is on."""
    early_ms: DurationMs = 600_000
    """A booking lets its people in this long before it begins."""
    walk_in: bool = False
    """May the instrument be used without a booking?"""
    walk_in_free_ms: DurationMs = 1_800_000
    """Not by walking in, if somebody else's booking begins within this time."""
    min_balance_cny: Decimal = Decimal(0)
    """What a project must have left, its credit line included."""
    warn_before_end_ms: DurationMs = 600_000
    """The user is warned this long before the end of the booking."""
    grace_ms: DurationMs = 300_000
    """A session may go on this long after its slot."""
    overrun: bool = False
    """May a session go on after that, while nobody else has booked?"""
    overrun_free_ms: DurationMs = 1_800_000
    """Not if somebody else's booking begins within this time of the slot's end."""
    at_slot_end: AtSlotEnd = AtSlotEnd.END
    """What the clock does to a session whose slot and grace are over."""
    no_show_ms: DurationMs = 1_800_000
    """Nobody has come this long after a booking began: it is freed."""
    idle_release_ms: DurationMs = 1_800_000
    """A session that is idle, with nobody there, for this long is ended."""
    heal_ms: DurationMs = 30_000
    """A relay that is not as it should be is commanded again after this long, twice as long every further time."""
    heal_most_ms: DurationMs = 900_000
    """But never less often than this."""
    reconcile_after_ms: DurationMs = 60_000
    """A card that went in while the controller was cut off waits this long for the one that came out."""
    grants_ahead_ms: DurationMs = 432_000_000
    """How far ahead controllers are told whom they may let in while they are cut off; 0: nobody."""
    cooldown_max_ms: DurationMs = 7_200_000
    """The twin is in cooldown after a session at most this long."""
    cut: Cut = Cut.WHEN_IDLE
    """When the relay is commanded off after a session."""
    credit_limit_points: CreditPoints = 60
    """Below: the person is suspended."""
    no_show_points: CreditPoints = 10
    """Credit lost by a booking that nobody came to."""
    late_cancellation_points: CreditPoints = 5
    """Credit lost by cancelling inside `cancel_notice`."""
    overrun_points: CreditPoints = 5
    """Credit lost by overrunning into another person's slot."""
    idle_points: CreditPoints = 3
    """Credit lost by a session that was ended because nobody used it."""
    good_month_points: CreditPoints = 5
    """Credit won by a month without any of these."""
    credit_full_points: CreditPoints = 100
    """What everybody starts with; nobody has more."""
    booking_ban_ms: BanMs = 604_800_000
    """No new bookings for this long, below `credit_limit`."""
    cancel_notice_ms: DurationMs = 7_200_000
    """A booking is cancelled late if it begins within this time."""
    required_level: Level | None = Level.INDEPENDENT
    """The qualification that the instrument asks for; None: none."""

    def __post_init__(self) -> None:
        if self.standby_w > self.active_w:
            raise ValueError(f"standby_w ({self.standby_w}) must not be above active_w ({self.active_w})")
        if self.stale_after_ms > self.offline_after_ms:
            raise ValueError("stale_after_ms must not be longer than offline_after_ms")
        if self.credit_limit_points > self.credit_full_points:
            raise ValueError("credit_limit_points must not be above credit_full_points")
        if not (self.min_balance_cny.is_finite() and 0 <= self.min_balance_cny <= MAX_CNY):
            raise ValueError(f"min_balance_cny ({self.min_balance_cny}) must be from 0 to {MAX_CNY}")


def layered(*overrides: dict[str, object]) -> Policy:
    """The defaults overlaid with the overrides of site, platform and instrument, the most specific last.

    Raises:
        msgspec.ValidationError: an override is unknown, of the wrong type or out of bounds.

    """
    merged: dict[str, object] = {}
    for override in overrides:
        merged.update(override)
    return msgspec.convert(merged, Policy)
