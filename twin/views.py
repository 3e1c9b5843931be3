"""What the outside sees of a twin: the names and shapes of the wire contract (docs/wire.md).

Times are RFC 3339 with offset. Nothing personal stands in a view.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, TypeAlias, TypeVar

import msgspec

from twin.instrument import link_at
from twin.physics import intruded_since, occupancy_at, power_class_at
from twin.policy import Policy
from twin.rules.ledger import category_at
from twin.state import Book, Category, LinkState, OccupancyState, Power, PowerClass, Reported, Twin

ClassName: TypeAlias = Literal["off", "standby", "active"]
_CLASS: dict[PowerClass, ClassName] = {
    PowerClass.OFF: "off",
    PowerClass.STANDBY: "standby",
    PowerClass.ACTIVE: "active",
}
_A = TypeVar("_A")
_B = TypeVar("_B")


class PowerView(msgspec.Struct, frozen=True, rename={"power_class": "class"}):
    """Power in W as last read, its raw class, and the class with hold, since when."""

    watts: float | None
    power_class: ClassName | None
    raw: ClassName | None
    since: str | None


class RelayView(msgspec.Struct, frozen=True):
    """What the relay should be (None: nothing was ever asked of it) and what it is reported to be."""

    desired: Literal["on", "off"] | None
    reported: Literal["on", "off", "unknown"]


class SessionBrief(msgspec.Struct, frozen=True):
    """The session of a twin, without whose it is."""

    id: str
    state: Literal["opening", "open", "cooldown"]
    since: str
    due: str | None
    """When the clock will end it, or the cooldown; None: it will not."""


class BookingBrief(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """The booking in force, without whose it is."""

    start: str
    end: str


class AlertBrief(msgspec.Struct, frozen=True):
    """An alert that fires for an instrument."""

    id: str
    kind: str
    severity: Literal["info", "warning", "critical"]
    since: str


class TwinView(msgspec.Struct, frozen=True):
    """The public state of one twin."""

    instrument: str
    controller: str
    state: Category
    """The ledger's category now: what a tile shows by colour and sign."""
    since: str
    """Since when `state`."""
    link: LinkState
    link_since: str | None
    seen: str | None
    """When the controller was last heard."""
    stale: bool
    """The values are the last known ones: the controller is not online."""
    power: PowerView
    relay: RelayView
    occupancy: OccupancyState
    occupancy_since: str | None
    door: Literal["open", "closed", "unknown"]
    intrusion: Literal["no", "confirmed"]
    session: SessionBrief | None
    """None: nobody has it, and it does not cool down."""
    booking: BookingBrief | None
    """None: nobody has booked this moment."""
    alerts: tuple[AlertBrief, ...]
    """Those that fire."""
    rev: int
    """Counts up with every change of any twin; the same number never names two states."""


def rfc3339(time_ms: int) -> str:
    """A moment as text, in UTC with milliseconds."""
    seconds, ms = divmod(time_ms, 1000)
    return f"{_second(seconds)}.{ms:03}+00:00"


@lru_cache(maxsize=32_768)  # a board asks about thousands of twins within the same few seconds
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)


def view_of(
    instrument: str,
    controller: str,
    twin: Twin,
    policy: Policy,
    *,
    now_ms: int,
    rev: int,
    desired: Literal["on", "off"] | None = None,
    session: SessionBrief | None = None,
    booking: BookingBrief | None = None,
    alerts: tuple[AlertBrief, ...] = (),
) -> TwinView:
    """The view of a twin at a moment. `desired` is what its session's order wants of the relay."""
    physics = twin.physics
    link, link_since_ms = link_at(twin.link, now_ms, policy)
    occupancy, occupancy_since_ms = occupancy_at(physics.occupancy, max(now_ms, physics.newest[0]), policy)
    state, since_ms = _booked(twin.book, now_ms, policy)
    return TwinView(
        instrument=instrument,
        controller=controller,
        state=state,
        since=rfc3339(since_ms),
        link=link,
        link_since=_time(link_since_ms),
        seen=None if twin.link is None else rfc3339(twin.link.heard_ms),
        stale=link is not LinkState.ONLINE,
        power=_power(physics.power, now_ms, policy),
        relay=RelayView(desired, _word(physics.relay, "on", "off")),
        occupancy=occupancy,
        occupancy_since=_time(occupancy_since_ms),
        door=_word(physics.door_open, "open", "closed"),
        intrusion=_intrusion(twin, now_ms, policy),
        session=session,
        booking=booking,
        alerts=alerts,
        rev=rev,
    )


def _booked(book: Book, now_ms: int, policy: Policy) -> tuple[Category, int]:
    category, last = category_at(book, now_ms, policy), book.spans[-1]
    return category, last.start_ms if last.category is category else now_ms


def _power(power: Power | None, now_ms: int, policy: Policy) -> PowerView:
    if power is None:
        return PowerView(None, None, None, None)
    power_class, since_ms = power_class_at(power, max(now_ms, power.at_ms), policy)
    return PowerView(power.watts, _CLASS[power_class], _CLASS[power.raw], rfc3339(since_ms))


def _intrusion(twin: Twin, now_ms: int, policy: Policy) -> Literal["no", "confirmed"]:
    power = twin.physics.power
    if power is None or intruded_since(power, max(now_ms, power.at_ms), policy, twin.book.visits) is None:
        return "no"
    return "confirmed"


def _word(reported: Reported | None, on: _A, off: _B) -> _A | _B | Literal["unknown"]:
    if reported is None:
        return "unknown"
    return on if reported.on else off
