"""The answer to a request for an instrument: each check and how it came out, and what would change a refusal.

Codes and their numbers are part of the wire contract: they are never renamed. Times are milliseconds since the epoch,
UTC, and None where nobody knows; money is in CNY.
"""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

import msgspec

from twin.parties import DowntimeCause, Level
from twin.state import LinkState


class AccessCode(StrEnum):
    """Why somebody is refused, in the order in which the checks are made."""

    OUT_OF_SERVICE = "OUT_OF_SERVICE"
    CONTROLLER_OFFLINE = "CONTROLLER_OFFLINE"
    USER_INACTIVE = "USER_INACTIVE"
    SUSPENDED = "SUSPENDED"
    NO_PROJECT = "NO_PROJECT"
    NOT_QUALIFIED = "NOT_QUALIFIED"
    QUALIFICATION_EXPIRED = "QUALIFICATION_EXPIRED"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    CLOSED_HOURS = "CLOSED_HOURS"
    IN_USE = "IN_USE"
    NO_BOOKING = "NO_BOOKING"
    TOO_EARLY = "TOO_EARLY"
    SLOT_OVER = "SLOT_OVER"
    BOOKED_BY_OTHER = "BOOKED_BY_OTHER"


class _Value(msgspec.Struct, frozen=True, gc=False):
    """Immutable and compact."""


class BackInService(_Value, frozen=True):
    """The instrument must be in service again."""

    cause: DowntimeCause
    at_ms: int | None


class LinkOnline(_Value, frozen=True):
    """The controller must be heard again, or be asked itself: by a card."""

    link: LinkState


class AccountRenewed(_Value, frozen=True):
    """The account must be enabled, its validity extended, or both."""

    disabled: bool
    expired_ms: int | None
    """When it ran out; None: it has not."""


class SuspensionOver(_Value, frozen=True):
    """Credit must be regained, a ban must end, or both."""

    credit_missing: int
    """Points; 0: credit is not the matter."""
    banned: bool
    until_ms: int | None
    """When the last of the bans in force ends; None: no ban, or one without an end."""


class Unpayable(StrEnum):
    """Why a project cannot pay."""

    NOT_A_PAYER = "not_a_payer"
    OTHER_INSTRUMENTS = "other_instruments"
    NOT_YET = "not_yet"
    EXPIRED = "expired"


class ProjectThatPays(_Value, frozen=True):
    """A project must be opened to this, or another one be chosen."""

    refused: tuple[tuple[str, Unpayable], ...]
    """The projects asked for, and why each of them cannot pay."""
    instead: tuple[str, ...]
    """Projects that could."""
    from_ms: int | None
    """When the first of those that are not valid yet will be."""


class QualificationHeld(_Value, frozen=True):
    """A qualification of this level, or above, must be gained or renewed."""

    instrument: str
    level: Level
    expired_ms: int | None
    """When the last one held ran out; None: there never was one."""
    from_ms: int | None
    """When one that is granted already begins."""


class FundsAdded(_Value, frozen=True):
    """The project needs more money."""

    project: str | None
    """None: there is no project that may pay, so nothing is available."""
    needed_cny: Decimal
    available_cny: Decimal

    @property
    def missing_cny(self) -> Decimal:
        """The amount that would be enough."""
        return self.needed_cny - self.available_cny


class Opened(_Value, frozen=True):
    """The opening hours must begin."""

    at_ms: int | None


class SessionEnded(_Value, frozen=True):
    """Somebody else's session must end."""

    due_ms: int | None


class SlotHeld(_Value, frozen=True):
    """An own slot must come, or be booked."""

    opens_ms: int | None
    """When the next own booking lets its people in."""
    over_ms: int | None
    """When the last own booking of today ended."""
    free_from_ms: int
    """From when nobody else has booked it for long enough."""
    free_until_ms: int | None
    """When the next booking of somebody else begins; None: none is known."""
    walk_in: bool
    """Is no booking needed then?"""


Remedy: TypeAlias = (
    BackInService
    | LinkOnline
    | AccountRenewed
    | SuspensionOver
    | ProjectThatPays
    | QualificationHeld
    | FundsAdded
    | Opened
    | SessionEnded
    | SlotHeld
)
"""What would make it allowed."""


class Refusal(_Value, frozen=True):
    """What a check says when it fails."""

    code: AccessCode
    remedy: Remedy


class Standing(StrEnum):
    """How a check came out."""

    PASSED = "passed"
    FAILED = "failed"
    OVERRIDDEN = "overridden"
    """It fails, and staff go ahead for a recorded reason."""
    WAIVED = "waived"
    """It fails, and does not matter to what is wished for."""


class Check(_Value, frozen=True):
    """One of the ten checks."""

    number: int
    standing: Standing
    refusal: Refusal | None
    """None: passed."""


class AccessDecision(_Value, frozen=True):
    """The answer, with all ten checks in their order."""

    checks: tuple[Check, ...]
    booking: str | None
    """The own booking that covers the moment; None: there is none."""
    project: str | None
    """The project that pays; None: none may."""
    override_reason: str | None
    """To be recorded; None: nothing was overridden."""

    @property
    def refusal(self) -> Refusal | None:
        """The first check that fails and is not overridden or waived; None: granted."""
        return next((check.refusal for check in self.checks if check.standing is Standing.FAILED), None)

    @property
    def granted(self) -> bool:
        """May they?"""
        return self.refusal is None

    @property
    def reason(self) -> AccessCode | None:
        """Why they may not; None: granted."""
        return self.refusal.code if self.refusal else None
