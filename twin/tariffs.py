"""What an instrument's time costs, for whom, from when; and who pays part of it. Frozen values.

Money is `Decimal`, in CNY, in whole fen (0.01 CNY). A tariff is never edited: a new version starts at a date, and a
session is charged by the version that was in force when it started.
"""

from bisect import bisect_right
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise

import msgspec

from twin.local_time import DAY_MIN

FEN = Decimal("0.01")
NOTHING = Decimal("0.00")
MAX_AMOUNT = Decimal(1_000_000_000)
MAX_PERCENT = 1000
MAX_FREE_MIN = 366 * DAY_MIN


class Payer(StrEnum):
    """Whose rate applies: 校内, 协作, 校外."""

    INTERNAL = "internal"
    PARTNER = "partner"
    EXTERNAL = "external"


class Kind(StrEnum):
    """What a minute of a session is charged as."""

    USE = "use"
    IDLE = "idle"
    OVERRUN = "overrun"
    FREE = "free"


def _check_amount(name: str, amount: Decimal) -> None:
    """Is this an amount of money?

    Raises:
        ValueError: it is negative, beyond a thousand million, not a number, or not in whole fen.

    """
    if not amount.is_finite() or not 0 <= amount <= MAX_AMOUNT:
        raise ValueError(f"`{name}`: {amount} is not an amount from 0 to {MAX_AMOUNT} CNY")
    if amount != amount.quantize(FEN):
        raise ValueError(f"`{name}`: {amount} is not in whole fen (0.01 CNY)")


def _check_whole(name: str, value: int, low: int, high: int) -> None:
    """Is this number within its bounds?

    Raises:
        ValueError: it is not.

    """
    if not low <= value <= high:
        raise ValueError(f"`{name}`: {value} is not from {low} to {high}")


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Immutable, and nothing in it that nobody knows."""


class Rates(_Value, frozen=True):
    """CNY for an hour, by the payer's category; external may not be below internal."""

    internal: Decimal
    partner: Decimal
    external: Decimal

    def __post_init__(self) -> None:
        for payer in Payer:
            _check_amount(payer, self.of(payer))
        if self.external < self.internal:
            raise ValueError(f"`external` ({self.external}) may not be below `internal` ({self.internal})")

    def of(self, payer: Payer) -> Decimal:
        """The rate for a payer of this category."""
        match payer:
            case Payer.INTERNAL:
                return self.internal
            case Payer.PARTNER:
                return self.partner
            case Payer.EXTERNAL:
                return self.external


class Band(_Value, frozen=True):
    """Hours that cost another percentage, by local time.

    A band begins at `from_minute` of each of its weekdays and lasts until `until_minute`, of the following day where
    that is not later: Friday's band from 22:00 until 06:00 holds on Saturday morning.
    """

    percent: int
    from_minute: int = 0
    """Minutes after local midnight, 0 to 1439."""
    until_minute: int = DAY_MIN
    """Minutes after local midnight, 1 to 1440; exclusive."""
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    """1 is Monday, 7 is Sunday, as ISO 8601 has it."""

    def __post_init__(self) -> None:
        _check_whole("percent", self.percent, 0, MAX_PERCENT)
        _check_whole("from_minute", self.from_minute, 0, DAY_MIN - 1)
        _check_whole("until_minute", self.until_minute, 1, DAY_MIN)
        if self.from_minute == self.until_minute:
            raise ValueError(f"`from_minute` and `until_minute` are both {self.from_minute}: a band has a length")
        if not self.weekdays or not set(self.weekdays) <= set(range(1, 8)):
            raise ValueError(f"`weekdays`: {self.weekdays} is not a choice of 1 (Monday) to 7 (Sunday)")


class Tariff(_Value, frozen=True):
    """One version of an instrument's tariff. What is not set is off."""

    instrument: str
    from_ms: int
    """In force from this moment on."""
    rates: Rates
    use_percent: int = 100
    idle_percent: int = 100
    overrun_percent: int = 150
    bands: tuple[Band, ...] = ()
    """The first that holds at a minute's start wins; 100 percent where none does."""
    startup_fee_cny: Decimal = NOTHING
    min_minutes: int = 0
    """A session costs at least so many minutes, at the plain rate."""
    session_cap_cny: Decimal | None = None
    no_show_percent: int = 0
    """Of its estimate, for a booking neither used nor cancelled in time."""

    def __post_init__(self) -> None:
        for name in ("use_percent", "idle_percent", "overrun_percent"):
            _check_whole(name, getattr(self, name), 0, MAX_PERCENT)
        _check_whole("no_show_percent", self.no_show_percent, 0, 100)
        _check_whole("min_minutes", self.min_minutes, 0, 7 * DAY_MIN)
        _check_amount("startup_fee_cny", self.startup_fee_cny)
        if self.session_cap_cny is not None:
            _check_amount("session_cap_cny", self.session_cap_cny)

    def percents(self) -> dict[Kind, int]:
        """What each kind of minute costs, in percent of a minute of plain use."""
        return {
            Kind.USE: self.use_percent,
            Kind.IDLE: self.idle_percent,
            Kind.OVERRUN: self.overrun_percent,
            Kind.FREE: 0,
        }


class PriceList(_Value, frozen=True):
    """All versions of one instrument's tariff, in the order in which they come into force."""

    versions: tuple[Tariff, ...]

    def __post_init__(self) -> None:
        for earlier, later in pairwise(self.versions):
            if later.instrument != earlier.instrument:
                raise ValueError(f"`versions`: of two instruments, {earlier.instrument} and {later.instrument}")
            if later.from_ms <= earlier.from_ms:
                raise ValueError(f"`versions`: {later.from_ms} does not come after {earlier.from_ms}")

    def in_force(self, at_ms: int) -> Tariff | None:
        """The version for a session that starts at this moment; None before the first one."""
        index = bisect_right(self.versions, at_ms, key=lambda version: version.from_ms)
        return self.versions[index - 1] if index else None


class Allowance(_Value, frozen=True):
    """What is left of a payer's free hours, in minutes."""

    left_min: int = 0

    def __post_init__(self) -> None:
        _check_whole("left_min", self.left_min, 0, MAX_FREE_MIN)


class Fund(_Value, frozen=True):
    """Pays a share of what a session costs, as long as something is left of its cap."""

    share_percent: int
    left_cny: Decimal

    def __post_init__(self) -> None:
        _check_whole("share_percent", self.share_percent, 0, 100)
        _check_amount("left_cny", self.left_cny)


NO_ALLOWANCE = Allowance()
NO_FUND = Fund(share_percent=0, left_cny=NOTHING)
