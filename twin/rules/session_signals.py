"""What a twin says to the session of its instrument, with how that goes on by itself if nothing more is heard."""

from twin.policy import Policy
from twin.sessions import Signals
from twin.state import FOREVER_MS, Link, Twin


def signals_of(twin: Twin, policy: Policy, *, has_relay: bool, has_meter: bool) -> Signals:
    """The signals of a twin as last heard; what its controller has is known from elsewhere."""
    power, occupancy, relay = twin.physics.power, twin.physics.occupancy, twin.physics.relay
    online_from_ms, online_until_ms = _online(twin.link, policy)
    return Signals(
        has_relay=has_relay,
        relay_on=None if relay is None else relay.on,
        active_until_ms=_held(0 if power is None else power.active_end_ms, policy.power_hold_ms) if has_meter else None,
        occupied_until_ms=_held(0 if occupancy is None else occupancy.occupied_end_ms, policy.vacancy_hold_ms),
        boot=twin.boot,
        online_from_ms=online_from_ms,
        online_until_ms=online_until_ms,
    )


def _held(end_ms: int, hold_ms: int) -> int:
    """Until when something lasts that was last so at a moment: for ever while it is, 0 when it never was."""
    return end_ms + hold_ms if 0 < end_ms < FOREVER_MS else end_ms


def _online(link: Link | None, policy: Policy) -> tuple[int, int]:
    if link is None or link.dead_since_ms is not None:
        return FOREVER_MS, 0
    return link.online_since_ms, link.heard_ms + policy.stale_after_ms
