"""The state of a twin: frozen values that say what was last known and since when.

No value here changes by the mere passing of time. What time does to them (a link that goes stale, a power class that
falls) is derived by `twin.instrument` for the moment asked about, so that a message that arrives a little late never
finds a state that has run ahead of it.
"""

from enum import IntEnum, StrEnum
from typing import TypeAlias

import msgspec

FOREVER_MS = 2**62
"""Later than any time: what is in force has no end yet."""


class LinkState(StrEnum):
    """Can the controller be heard?"""

    NEVER = "never"
    ONLINE = "online"
    STALE = "stale"
    OFFLINE = "offline"


class PowerClass(IntEnum):
    """How much the instrument draws, in the order of height."""

    OFF = 0
    STANDBY = 1
    ACTIVE = 2


class OccupancyState(StrEnum):
    """Is somebody at the instrument?"""

    OCCUPIED = "occupied"
    VACANT = "vacant"
    UNKNOWN = "unknown"


class Category(StrEnum):
    """What an instrument's minute is booked as in the ledger; in the order in which the rules ask."""

    MAINTENANCE = "maintenance"
    UNKNOWN = "unknown"
    OVERRUN = "overrun"
    USE = "use"
    IDLE = "idle"
    COOLDOWN = "cooldown"
    UNAUTHORISED = "unauthorised"
    STANDBY = "standby"
    OFF = "off"


class _Value(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Immutable and compact, in memory and in a checkpoint."""


class Link(_Value, frozen=True):
    """When the controller was heard, by the clock of the service."""

    online_since_ms: int
    heard_ms: int
    dead_since_ms: int | None = None


class Power(_Value, frozen=True):
    """Power by the readings so far; the time axis is that of the events.

    `power_class` and `class_since_ms` are those of the moment of the last reading. `active_end_ms` and `on_end_ms` say
    when active power, and any power, were last in force: `FOREVER_MS` while they are, 0 when they never were.
    """

    watts: float
    at_ms: int
    raw: PowerClass
    power_class: PowerClass
    class_since_ms: int
    active_end_ms: int
    on_end_ms: int
    active_ms: int
    """Raw active power in total since the class became active, up to `at_ms`."""
    confirmed_ms: int | None
    """When `active_ms` reached the policy's `confirm`."""


class Occupancy(_Value, frozen=True):
    """Presence by the readings so far; `occupied_end_ms` as `Power.active_end_ms`."""

    occupied: bool
    since_ms: int
    occupied_end_ms: int


class Reported(_Value, frozen=True):
    """A two-valued thing as the controller last reported it, and since when."""

    on: bool
    since_ms: int


OrderKey: TypeAlias = tuple[int, str, int]
"""Where a message stands in time: event time, boot, sequence. Total, and the same in whatever order it is heard."""


class Physics(_Value, frozen=True):
    """All that readings say about an instrument, up to the newest message applied."""

    newest: OrderKey
    power: Power | None = None
    occupancy: Occupancy | None = None
    relay: Reported | None = None
    door_open: Reported | None = None
    has_relay: bool = True
    """As the controller said at its birth; until then it is taken to have everything."""
    has_meter: bool = True


class Visit(_Value, frozen=True):
    """A session as the ledger sees it: somebody has the instrument from `start_ms` until `end_ms`."""

    start_ms: int
    end_ms: int = FOREVER_MS
    overrun_ms: int = FOREVER_MS
    """From when on it is overrun."""
    maintenance: bool = False
    session: str = ""


class Outage(_Value, frozen=True):
    """The instrument is kept out of service, from when until when."""

    from_ms: int
    until_ms: int


class Coverage(_Value, frozen=True):
    """For which time the instrument's controller is known to have been there (`twin.rules.coverage`)."""

    ranges: tuple[int, ...] = ()
    """Moments from which and until which it was, as sorted pairs: (10, 41, 43, 99)."""
    deaths_ms: tuple[int, ...] = ()
    """When it was reported dead."""


class Span(_Value, frozen=True):
    """A category from a moment on, until the next span begins."""

    start_ms: int
    category: Category


class Book(_Value, frozen=True):
    """The ledger's own view of the twin: all messages in the order of their time, however late they came.

    The tuples reach back as far as the next message can, `clock_tolerance` before the newest. `activity` is what the
    instrument did, up to the newest message, whether or not its controller could be heard. `spans` is the end of what
    has been written to the ledger; during a session it reaches back to its start, so that its cost can be told.
    """

    physics: Physics
    coverage: Coverage
    activity: tuple[Span, ...]
    spans: tuple[Span, ...]
    due_ms: int
    """When the ledger may go on by the passing of time alone."""
    visits: tuple[Visit, ...] = ()
    """The sessions as they stand, by their start: the last one that is over, and those after it."""
    outages: tuple[Outage, ...] = ()


class SeenBoot(_Value, frozen=True):
    """Sequence numbers already heard from one boot, as sorted pairs of first and last: (0, 41, 43, 99)."""

    boot: str
    ranges: tuple[int, ...]


class Twin(_Value, frozen=True):
    """Everything the service believes about one controller and its instrument; the content of a checkpoint."""

    link: Link | None
    boot: str
    skew_ms: int
    """How far the controller's clock is ahead, when it is beyond the tolerance; else 0."""
    seen: tuple[SeenBoot, ...]
    """The newest boots last."""
    physics: Physics
    book: Book


NEVER_HEARD = Physics(newest=(0, "", -1))
NEW_BOOK = Book(
    physics=NEVER_HEARD,
    coverage=Coverage(),
    activity=(Span(0, Category.OFF),),
    spans=(Span(0, Category.UNKNOWN),),
    due_ms=FOREVER_MS,
)
NEW_TWIN = Twin(link=None, boot="", skew_ms=0, seen=(), physics=NEVER_HEARD, book=NEW_BOOK)
