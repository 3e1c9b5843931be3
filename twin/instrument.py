"""The twin of one instrument: `apply(twin, arrival, policy)`, and what it shows at a moment.

    arrival --- heard before? ------------------------------------> DUPLICATE: nothing changes
       |
       +------- buffered, or older than the newest applied? ------> LATE: contact, identity; the rest is the ledger's
       |
       +------- otherwise ----------------------------------------> LIVE: contact, identity, power, presence, ...

A message's time is the controller's own stamp where that is within the tolerance of the time of receipt, else the time
of receipt; buffered messages go by their stamp, corrected by the skew that the controller was last seen to have.
"""

from typing import assert_never

import msgspec

from twin.decisions import Verdict
from twin.events import Ack, Arrival, Birth, Card, Death, Message, Reading
from twin.identity import remember
from twin.physics import free_since, occupancy_after, power_after, power_changes
from twin.policy import Policy
from twin.state import Link, LinkState, OrderKey, Physics, Reported, Twin, Visit

HISTORY_MS = 400 * 24 * 3_600_000
"""Buffered messages older than this are not believed: no controller keeps so much."""


def event_time(twin: Twin, arrival: Arrival, policy: Policy) -> int:
    """When what the message tells of took place, in ms since the epoch."""
    message = arrival.message
    if isinstance(message, Death):
        # A clock that is ahead has told of moments after its own death.
        return max(arrival.received_ms, twin.book.physics.newest[0] + 1)
    if is_history(message):
        return message.ts - twin.skew_ms
    return message.ts if abs(message.ts - arrival.received_ms) <= policy.clock_tolerance_ms else arrival.received_ms


def is_history(message: Message) -> bool:
    """Was the message kept back by the controller during an outage?"""
    return isinstance(message, (Reading, Card)) and message.hist


def order_key(at_ms: int, arrival: Arrival) -> OrderKey:
    """Where a message stands in time. A death, which has no number, comes before what else the boot said then."""
    message = arrival.message
    return at_ms, message.boot, -1 if isinstance(message, Death) else message.seq


def apply(twin: Twin, arrival: Arrival, policy: Policy) -> tuple[Verdict, int, Twin]:
    """What the message is to this twin, the event's time, and the twin after it (its book is the ledger's business)."""
    message, at_ms, received_ms = arrival.message, event_time(twin, arrival, policy), arrival.received_ms
    if isinstance(message, Death):
        after = _die(twin, message, received_ms, policy)
        return Verdict.DUPLICATE if after is twin else Verdict.LIVE, at_ms, after
    seen, buffered = remember(twin.seen, message.boot, message.seq), is_history(message)
    if seen is None:
        return Verdict.DUPLICATE, at_ms, twin
    if buffered and not -HISTORY_MS < at_ms - received_ms <= policy.clock_tolerance_ms:
        return Verdict.UNBELIEVABLE, at_ms, twin
    link, key = _hear(twin.link, received_ms, policy), (at_ms, message.boot, message.seq)
    skew_ms = twin.skew_ms if buffered else _skew(message, arrival, policy)
    if buffered or key < twin.physics.newest:
        return Verdict.LATE, at_ms, Twin(link, twin.boot, skew_ms, seen, twin.physics, twin.book)
    physics = observe(twin.physics, message, key, policy, twin.book.visits)
    return Verdict.LIVE, at_ms, Twin(link, message.boot, skew_ms, seen, physics, twin.book)


def _skew(message: Reading | Birth | Card | Ack, arrival: Arrival, policy: Policy) -> int:
    skew_ms = message.ts - arrival.received_ms
    return skew_ms if abs(skew_ms) > policy.clock_tolerance_ms else 0


def _die(twin: Twin, message: Death, received_ms: int, policy: Policy) -> Twin:
    if (
        twin.link is None
        or message.boot != twin.boot
        or link_at(twin.link, received_ms, policy)[0] is LinkState.OFFLINE
    ):
        return twin
    return msgspec.structs.replace(twin, link=Link(twin.link.online_since_ms, twin.link.heard_ms, received_ms))


def _hear(link: Link | None, received_ms: int, policy: Policy) -> Link:
    unbroken = link is not None and link.dead_since_ms is None and received_ms <= link.heard_ms + policy.stale_after_ms
    return Link(link.online_since_ms if link is not None and unbroken else received_ms, received_ms)


def observe(
    physics: Physics,
    message: Reading | Birth | Card | Ack,
    key: OrderKey,
    policy: Policy,
    visits: tuple[Visit, ...] = (),
) -> Physics:
    """What is known of the instrument after a message that is newer than all before it."""
    at_ms = key[0]
    match message:
        case Reading():
            door = None if message.door is None else message.door == "open"
            occupancy = physics.occupancy
            if message.occupied is not None:
                occupancy = occupancy_after(occupancy, message.occupied, at_ms, policy)
            return Physics(
                key,
                power_after(physics.power, message.power_w, at_ms, policy, free_since(visits, at_ms)),
                occupancy,
                _report(physics.relay, message.relay, at_ms),
                _report(physics.door_open, door, at_ms),
                physics.has_relay,
                physics.has_meter,
            )
        case Birth():
            relay = _report(physics.relay, message.relay, at_ms)
            return msgspec.structs.replace(physics, newest=key, relay=relay, **_equipment(message))
        case Ack():
            return msgspec.structs.replace(physics, newest=key, relay=_report(physics.relay, message.relay, at_ms))
        case Card():
            return msgspec.structs.replace(physics, newest=key)
        case _:
            assert_never(message)


def _equipment(birth: Birth) -> dict[str, bool]:
    """What a controller has, if it says so."""
    return {"has_relay": "relay" in birth.caps, "has_meter": "power" in birth.caps} if birth.caps else {}


def _report(before: Reported | None, on: bool | None, at_ms: int) -> Reported | None:  # noqa: FBT001
    if on is None or (before is not None and before.on == on):
        return before
    return Reported(on, at_ms)


def link_at(link: Link | None, now_ms: int, policy: Policy) -> tuple[LinkState, int | None]:
    """The link at a moment by the service's clock, and since when."""
    if link is None:
        return LinkState.NEVER, None
    if link.dead_since_ms is not None:
        return LinkState.OFFLINE, link.dead_since_ms
    if now_ms >= link.heard_ms + policy.offline_after_ms:
        return LinkState.OFFLINE, link.heard_ms + policy.offline_after_ms
    if now_ms >= link.heard_ms + policy.stale_after_ms:
        return LinkState.STALE, link.heard_ms + policy.stale_after_ms
    return LinkState.ONLINE, link.online_since_ms


def next_change(twin: Twin, now_ms: int, policy: Policy) -> int:
    """When the twin may next look different, or its ledger must go on, though nobody says anything."""
    link, physics = twin.link, twin.physics
    due_ms = twin.book.due_ms  # what the ledger has to catch up with is due at once
    if link is not None and link.dead_since_ms is None:
        link_ms = link.heard_ms + policy.stale_after_ms
        if link_ms <= now_ms:
            link_ms = link.heard_ms + policy.offline_after_ms
        if now_ms < link_ms < due_ms:
            due_ms = link_ms
    if physics.occupancy is not None:
        vacant_ms = physics.occupancy.occupied_end_ms + policy.vacancy_hold_ms
        due_ms = vacant_ms if now_ms < vacant_ms < due_ms else due_ms
    if physics is twin.book.physics or physics.power is None:
        return due_ms
    changes_ms = power_changes(physics.power, policy, twin.book.visits)  # else they are the book's
    return min([due_ms, *(each_ms for each_ms in changes_ms if each_ms > now_ms)])
