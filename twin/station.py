"""A station: an instrument, its controller, its session and its alerts, as one value and the content of a checkpoint.

The twin says what is believed of the instrument; the rest says what people do there and what they are told of it.
"""

from decimal import Decimal

import msgspec

from twin.alerts import Watch
from twin.sessions import Control, Use
from twin.state import FOREVER_MS, NEW_TWIN, Twin
from twin.tariffs import Allowance, Fund, Payer, Tariff


class _Value(msgspec.Struct, frozen=True, gc=False):
    """Immutable and compact."""


class Terms(_Value, frozen=True):
    """By what a session is charged: fixed when it opens; allowance and fund as they were when it was first charged."""

    payer: Payer
    tariff: Tariff | None
    """None: none was in force, it costs nothing."""
    allowance: Allowance | None = None
    fund: Fund | None = None
    left_cny: Decimal | None = None
    """What its project could spend when it opened; None: it has none."""


class CardIn(_Value, frozen=True):
    """Somebody whom the controller let in by itself while it was cut off, and who has not been heard to leave."""

    use: Use
    at_ms: int
    due_ms: int
    """Until when a card that came out is waited for."""


class Lapsed(_Value, frozen=True):
    """The last session that the clock ended: where the controller was cut off, a card may tell that it ended before."""

    use: Use
    opened_ms: int
    ended_ms: int
    terms: Terms | None


class Station(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Everything the service believes about one instrument and what goes on there."""

    twin: Twin = NEW_TWIN
    control: Control = Control()
    watch: Watch = Watch(0)
    alerts_due_ms: int = 0
    """When the alerts must be looked at again if nothing changes."""
    terms: Terms | None = None
    """Of the session that is open."""
    grants_ms: tuple[int, ...] = ()
    """When somebody was lately let in, or out."""
    denials_ms: tuple[int, ...] = ()
    """When cards were lately refused."""
    attended: tuple[str, ...] = ()
    """Bookings whose people have come, of those that are not over."""
    freed: tuple[str, ...] = ()
    """Bookings that nobody came to, or that were given back, of those that are not over."""
    unsafe_ms: int | None = None
    """Since when it has been working on after a cooldown that ran out; None: it does not."""
    card_in: CardIn | None = None
    funds_told_percent: int = 0
    """The highest warning about money that was given in the session that is open."""
    funds_due_ms: int = FOREVER_MS
    """When its cost may reach the next one."""
    lapsed: Lapsed | None = None
    held_off_ms: int = FOREVER_MS
    """Until when the relay is not commanded off, because somebody may have been let in by the controller itself."""


NEW_STATION = Station()


class SiteState(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What is believed of the site as a whole, its controllers aside."""

    watch: Watch = Watch(0)
    broker_gone_ms: int | None = None


NEW_SITE = SiteState()
