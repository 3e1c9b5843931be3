"""Causes that do not come from controllers: what people ask for, facts that change, and the broker coming and going.

`number` is the event's place in the log: higher than that of everything the fleet was told before. A session bears the
number of the event that asked for it.
"""

from decimal import Decimal
from typing import TypeAlias

import msgspec

from twin.alerts import AlertKind, Silence
from twin.directory import Fact
from twin.events import Arrival, Event, Tick
from twin.sessions import CloseReason


class _Request(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Immutable; the tag tells the members of the union apart."""

    number: int
    at_ms: int
    """When the service was told, ms since the epoch."""


class Unlock(_Request, frozen=True):
    """Somebody at a screen asks for an instrument."""

    instrument: str
    user: str
    project: str | None = None
    booking: str | None = None
    override_reason: str | None = None
    maintenance: bool = False
    """To repair or calibrate it: such time is booked as maintenance and costs nothing."""


class Lock(_Request, frozen=True):
    """Somebody ends the session of an instrument; an EMERGENCY cuts its power, session or not."""

    instrument: str
    user: str
    reason: CloseReason
    withdraws: int | None = None
    """The number of the wish whose session, if it runs, is to be as if it had never been: who asked was told no."""


class Acknowledge(_Request, frozen=True):
    """Somebody takes a firing alert upon themselves. `instrument` is None for the site's alert."""

    instrument: str | None
    kind: AlertKind
    user: str


class Resolve(_Request, frozen=True):
    """Somebody says that a firing alert is over."""

    instrument: str | None
    kind: AlertKind
    user: str


class Silenced(_Request, frozen=True):
    """Somebody does not want people to be told of some alerts for a while."""

    silence: Silence


class Learnt(_Request, frozen=True):
    """A fact has changed."""

    fact: Fact


class BrokerSeen(_Request, frozen=True):
    """The broker is in reach from now on, or is not."""

    up: bool


class Corrected(_Request, frozen=True):
    """Late data has changed what a project was charged by so much."""

    project: str
    net_cny: Decimal
    allowance_min: int
    subsidy_cny: Decimal


class Unsent(_Request, frozen=True):
    """A command to a relay had expired before it could be sent: it was on record too late, or the broker was away."""

    instrument: str
    command: str


Request: TypeAlias = Unlock | Lock | Acknowledge | Resolve | Silenced | Learnt | BrokerSeen | Corrected | Unsent


def moment(event: Event | Request) -> int:
    """When the service was told of an event."""
    match event:
        case Arrival():
            return event.received_ms
        case Tick():
            return event.now_ms
        case _:
            return event.at_ms
