"""May this person use this instrument now? One answer for screens, card readers and grants.

All ten checks are made and listed, in the order of the rules; the first that fails is the reason. What the rules leave
open is decided here:

- *Held today* is: held at the moment asked about. Levels are a ladder; a higher one holds those below it.
  QUALIFICATION_EXPIRED if one that would do was held before; NOT_QUALIFIED otherwise.
- The project is the one asked for; else, of those that may pay, the one with the most available. Where none may pay,
  nothing is available to check 7.
- The estimate is that of the own booking that covers the moment. Who walks in needs `min_balance` only.
- A session of the same group is not somebody else's: each of them may end it.
- Staff who may override are people of the category *staff* with operate rights on this instrument. A blank reason is
  none. Check 3 is not among those that can be overridden.
- Ending one's own session and leaving through a door are wishes that no check may refuse. All are listed none the
  less. Only somebody else's session (check 9) is not one's own to end.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec

from twin.hours import OpeningHours, is_open, local_day, opens_ms
from twin.parties import (
    Booking,
    Downtime,
    Project,
    Qualification,
    RunningSession,
    User,
    UserCategory,
    is_theirs,
)
from twin.permission import (
    AccessCode,
    AccessDecision,
    AccountRenewed,
    BackInService,
    Check,
    FundsAdded,
    LinkOnline,
    Opened,
    ProjectThatPays,
    QualificationHeld,
    Refusal,
    SessionEnded,
    Standing,
    SuspensionOver,
    Unpayable,
)
from twin.policy import Policy
from twin.rules.slots import Slots, covering, slot_refusal, slots_of
from twin.state import FOREVER_MS, LinkState


class Wish(StrEnum):
    """What somebody wants."""

    USE = "use"
    END = "end"
    """To end their own session."""
    LEAVE = "leave"
    """To leave through a door."""


class Origin(StrEnum):
    """By which way somebody asks."""

    SCREEN = "screen"
    """A page, or a phone."""
    CARD = "card"
    """The controller's card reader."""
    GRANT = "grant"
    """A grant, by which the controller will decide alone."""


class Question(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """All that the answer depends on, as it is at `at_ms`."""

    at_ms: int
    user: User
    instrument: str
    policy: Policy
    opening: OpeningHours
    link: LinkState
    origin: Origin
    wish: Wish = Wish.USE
    downtimes: tuple[Downtime, ...] = ()
    """Of this instrument."""
    session: RunningSession | None = None
    """On this instrument."""
    bookings: tuple[Booking, ...] = ()
    """Everybody's."""
    qualifications: tuple[Qualification, ...] = ()
    """Those of the user."""
    projects: tuple[Project, ...] = ()
    project: str | None = None
    """The project asked for; None: any."""
    override_reason: str | None = None


OVERRIDABLE = frozenset({4, 5, 6, 7, 8, 10})
_WAIVED = {Wish.USE: frozenset[int](), Wish.END: frozenset(range(1, 11)) - {9}, Wish.LEAVE: frozenset(range(1, 11))}


def decide(question: Question) -> AccessDecision:
    """The ten checks, in order, and what follows from them."""
    slots = slots_of(question.user, question.instrument, question.bookings)
    booking = covering(slots, question.at_ms, question.policy)
    payer = _payer(question)
    refusals = (
        _out_of_service(question),
        _controller_offline(question),
        _user_inactive(question),
        _suspended(question),
        _no_project(question, payer),
        _not_qualified(question),
        _insufficient_funds(question, payer, booking),
        _closed(question),
        _in_use(question),
        _no_slot(question, slots),
    )
    checks = tuple(Check(at, _standing(question, at, each), each) for at, each in enumerate(refusals, start=1))
    overridden = any(check.standing is Standing.OVERRIDDEN for check in checks)
    return AccessDecision(
        checks=checks,
        booking=booking.id if booking else None,
        project=payer.id if payer else None,
        override_reason=question.override_reason if overridden else None,
    )


def _standing(question: Question, number: int, refusal: Refusal | None) -> Standing:
    if refusal is None:
        return Standing.PASSED
    if number in _WAIVED[question.wish]:
        return Standing.WAIVED
    return Standing.OVERRIDDEN if number in OVERRIDABLE and _may_override(question) else Standing.FAILED


def _may_override(question: Question) -> bool:
    user = question.user
    operates = user.category is UserCategory.STAFF and question.instrument in user.operates
    return operates and bool((question.override_reason or "").strip())


def _out_of_service(question: Question) -> Refusal | None:
    down = [each for each in question.downtimes if each.from_ms <= question.at_ms < each.until_ms]
    if not down:
        return None
    longest = max(down, key=lambda each: each.until_ms)
    return Refusal(AccessCode.OUT_OF_SERVICE, BackInService(longest.cause, _known(longest.until_ms)))


def _controller_offline(question: Question) -> Refusal | None:
    if question.link is LinkState.ONLINE or question.origin is not Origin.SCREEN:
        return None
    return Refusal(AccessCode.CONTROLLER_OFFLINE, LinkOnline(question.link))


def _user_inactive(question: Question) -> Refusal | None:
    user = question.user
    expired = question.at_ms >= user.valid_until_ms
    if user.active and not expired:
        return None
    remedy = AccountRenewed(disabled=not user.active, expired_ms=user.valid_until_ms if expired else None)
    return Refusal(AccessCode.USER_INACTIVE, remedy)


def _suspended(question: Question) -> Refusal | None:
    user, here = question.user, (None, question.instrument)
    missing = max(0, question.policy.credit_limit_points - user.credit)
    ends_ms = [
        ban.until_ms for ban in user.bans if ban.instrument in here and ban.from_ms <= question.at_ms < ban.until_ms
    ]
    if not missing and not ends_ms:
        return None
    until_ms = _known(max(ends_ms, default=FOREVER_MS))
    return Refusal(AccessCode.SUSPENDED, SuspensionOver(missing, banned=bool(ends_ms), until_ms=until_ms))


def _payer(question: Question) -> Project | None:
    """The project that pays, if one may."""
    able = [each for each in _asked_for(question) if _unpayable(question, each) is None]
    return max(able, key=lambda each: each.available_cny, default=None)


def _asked_for(question: Question) -> list[Project]:
    return [each for each in question.projects if question.project in (None, each.id)]


def _unpayable(question: Question, project: Project) -> Unpayable | None:
    if question.user.id not in project.payers:
        return Unpayable.NOT_A_PAYER
    if project.instruments is not None and question.instrument not in project.instruments:
        return Unpayable.OTHER_INSTRUMENTS
    if question.at_ms < project.from_ms:
        return Unpayable.NOT_YET
    return Unpayable.EXPIRED if question.at_ms >= project.until_ms else None


def _no_project(question: Question, payer: Project | None) -> Refusal | None:
    if payer:
        return None
    why = [(each, _unpayable(question, each)) for each in question.projects]
    remedy = ProjectThatPays(
        refused=tuple((each.id, reason) for each, reason in why if reason and question.project in (None, each.id)),
        instead=tuple(each.id for each, reason in why if reason is None),
        from_ms=min((each.from_ms for each, reason in why if reason is Unpayable.NOT_YET), default=None),
    )
    return Refusal(AccessCode.NO_PROJECT, remedy)


def _not_qualified(question: Question) -> Refusal | None:
    required, at_ms = question.policy.required_level, question.at_ms
    if required is None:
        return None
    enough = [
        each
        for each in question.qualifications
        if each.instrument == question.instrument and each.level.reaches(required)
    ]
    if any(each.from_ms <= at_ms < each.until_ms for each in enough):
        return None
    expired_ms = max((each.until_ms for each in enough if each.until_ms <= at_ms), default=None)
    from_ms = min((each.from_ms for each in enough if each.from_ms > at_ms), default=None)
    code = AccessCode.NOT_QUALIFIED if expired_ms is None else AccessCode.QUALIFICATION_EXPIRED
    return Refusal(code, QualificationHeld(question.instrument, required, expired_ms, from_ms))


def _insufficient_funds(question: Question, payer: Project | None, booking: Booking | None) -> Refusal | None:
    needed = max(question.policy.min_balance_cny, booking.estimate_cny if booking else Decimal(0))
    available = payer.available_cny if payer else Decimal(0)
    if available >= needed:
        return None
    return Refusal(AccessCode.INSUFFICIENT_FUNDS, FundsAdded(payer.id if payer else None, needed, available))


def _closed(question: Question) -> Refusal | None:
    category, at_ms = question.user.category, question.at_ms
    if is_open(question.opening, category, at_ms):
        return None
    return Refusal(AccessCode.CLOSED_HOURS, Opened(opens_ms(question.opening, category, at_ms)))


def _in_use(question: Question) -> Refusal | None:
    session = question.session
    if session is None or is_theirs(question.user, session):
        return None
    return Refusal(AccessCode.IN_USE, SessionEnded(session.due_ms))


def _no_slot(question: Question, slots: Slots) -> Refusal | None:
    today = local_day(question.opening.zone, question.at_ms)
    return slot_refusal(slots, question.at_ms, today, question.policy)


def _known(until_ms: int) -> int | None:
    return None if until_ms == FOREVER_MS else until_ms
