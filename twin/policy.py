"""What can be set for an instrument, a platform or the site: durations and thresholds with their defaults."""

from typing import Annotated

import msgspec
from msgspec import Meta

DurationMs = Annotated[int, Meta(ge=0, le=7 * 24 * 3_600_000)]
PowerW = Annotated[float, Meta(gt=0, le=10_000_000)]


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The policy in force for one twin; durations in milliseconds, power in watts.

    The defaults are those of the rules (docs/rules.md, section 1).
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
    active_w: PowerW = 40.0
    """At or above: the instrument works."""
    standby_w: PowerW = 5.0
    """At or above: the instrument is on."""

    def __post_init__(self) -> None:
        if self.standby_w > self.active_w:
            raise ValueError(f"standby_w ({self.standby_w}) must not be above active_w ({self.active_w})")
        if self.stale_after_ms > self.offline_after_ms:
            raise ValueError("stale_after_ms must not be longer than offline_after_ms")


def layered(*overrides: dict[str, object]) -> Policy:
    """The defaults overlaid with the overrides of site, platform and instrument, the most specific last.

    Raises:
        msgspec.ValidationError: an override is unknown, of the wrong type or out of bounds.

    """
    merged: dict[str, object] = {}
    for override in overrides:
        merged.update(override)
    return msgspec.convert(merged, Policy)
