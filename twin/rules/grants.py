"""What a controller may allow while it is cut off: the answers of `access`, worked out ahead.

For each booking that stands and begins within `grants_ahead`, and for each of its people, access is decided at every
moment of `[start - early, end)` at which the answer may change; where it is yes they are let in. Nothing else is known
of those times than is known now: people, projects and instruments as they are. What the rules leave open is decided
here:

- Nobody walks in. To walk in is to find nobody's booking in the way, and a controller that is cut off does not hear of
  bookings.
- Staff are let in by their bookings, as everybody is: an override needs a reason on record, and a card gives none.
- Whether somebody else is still there (check 9) only the controller can see by then.
- Two own bookings that overlap with `early` are two windows that do not: the one that began first is what access names.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from twin.alerts import Conflict
from twin.directory import Directory, GrantsFact, InstrumentFact, UserFact
from twin.grants import Former, Holder, Window
from twin.hours import hours_between
from twin.parties import Ban, Booking, Downtime, Project, Qualification, User
from twin.policy import Cut, Policy
from twin.rules import access
from twin.rules.accounts import Accounts
from twin.state import LinkState

RENEWALS = 5
"""How often what does not change is issued anew while it is valid: with five days ahead, every day."""
NAME_LENGTH = 24


class Scene(NamedTuple):
    """What the answers depend on."""

    fact: InstrumentFact
    bookings: Sequence[Booking]
    """Of the instrument, those that stand."""
    directory: Directory
    accounts: Accounts


def windows(scene: Scene, now_ms: int) -> tuple[Window, ...]:
    """Whom the controller of an instrument may let in from a moment on, and when."""
    policy = scene.fact.policy
    begin_ms = now_ms + policy.grants_ahead_ms + policy.early_ms
    near = (each for each in scene.bookings if each.start_ms < begin_ms and now_ms < each.end_ms)
    found = (window for booking in near for window in _of_booking(scene, booking))
    return tuple(each for each in found if now_ms < each.to_ms)


def issued(
    last: GrantsFact | None, fact: InstrumentFact, present: tuple[Window, ...], now_ms: int
) -> GrantsFact | None:
    """What the controller is to be told at a moment; None: what it was last told will do."""
    policy = fact.policy
    terms = (policy.cut, math.ceil(policy.active_w))
    if last is not None and not _is_news(last, present, terms, now_ms):
        return None
    if last is None and not present:
        return None
    former = () if last is None else _former(last, present, now_ms)
    return GrantsFact(
        controller=fact.controller,
        version=max(0 if last is None else last.version + 1, now_ms // 1000),
        issued_ms=now_ms,
        expires_ms=now_ms + policy.grants_ahead_ms,
        cut=policy.cut,
        active_w=math.ceil(policy.active_w),
        windows=present,
        former=tuple(each for each in former if now_ms < each.to_ms + policy.grants_ahead_ms),
    )


def _is_news(last: GrantsFact, present: tuple[Window, ...], terms: tuple[Cut, int], now_ms: int) -> bool:
    """Is it other than what the controller knows, or is that to be renewed before it expires?"""
    standing = tuple(each for each in last.windows if now_ms < each.to_ms)
    renewal_ms = last.issued_ms + (last.expires_ms - last.issued_ms) // RENEWALS
    is_renewed = bool(present) and ((last.cut, last.active_w) != terms or now_ms >= renewal_ms)
    return present != standing or is_renewed


def misuse(fact: GrantsFact | None, grant: str | None, user: str, at_ms: int, policy: Policy) -> Conflict | None:
    """What is wrong with the grant by which a controller let somebody in at a moment; None: nothing.

    Its clock may be off by `clock_tolerance`.
    """
    if fact is None or grant is None:
        return Conflict.NOT_ISSUED
    early_ms, late_ms = at_ms + policy.clock_tolerance_ms, at_ms - policy.clock_tolerance_ms
    own = [each for each in fact.windows if each.grant == grant and user in _users(each)]
    past = [each for each in fact.former if each.grant == grant and user in each.users]
    if not own and not past:
        return Conflict.NOT_ISSUED
    over = [each for each in past if each.from_ms <= early_ms and late_ms < each.to_ms]
    holds = any(each.from_ms <= early_ms and late_ms < each.to_ms for each in own)
    if holds or any(late_ms < each.ended_ms for each in over):
        return None
    return Conflict.REVOKED if over else Conflict.OUTSIDE


def _of_booking(scene: Scene, booking: Booking) -> Iterator[Window]:
    """People who are let in at the same times share a window."""
    holders: defaultdict[tuple[int, int], list[Holder]] = defaultdict(list)
    for person in scene.directory.people_of(booking):
        for times_ms in _times(scene, booking, person) if person.cards else ():
            holders[times_ms].append(Holder(person.user.id, person.cards))
    for (from_ms, to_ms), together in sorted(holders.items()):
        yield Window(_name(scene.fact, booking, from_ms, to_ms), booking.id, from_ms, to_ms, tuple(together))


def _times(scene: Scene, booking: Booking, person: UserFact) -> list[tuple[int, int]]:
    """When access is granted to somebody by a booking, as stretches that do not touch."""
    user = scene.accounts.user(person)
    known = scene.directory.projects.values()
    projects = tuple(scene.accounts.project(each) for each in known if user.id in each.project.payers)
    times: list[tuple[int, int]] = []
    for from_ms, to_ms in pairwise(_moments(scene, booking, user, person, projects)):
        decision = access.decide(_question(scene, from_ms, user, person, projects))
        if not decision.granted or decision.booking != booking.id:
            continue
        if times and times[-1][1] == from_ms:
            from_ms, _ = times.pop()  # noqa: PLW2901 - they touch: it is one stretch
        times.append((from_ms, to_ms))
    return times


def _question(scene: Scene, at_ms: int, user: User, person: UserFact, projects: tuple[Project, ...]) -> access.Question:
    return access.Question(
        at_ms=at_ms,
        user=user,
        instrument=scene.fact.code,
        policy=scene.fact.policy,
        opening=scene.fact.opening,
        link=LinkState.OFFLINE,
        origin=access.Origin.GRANT,
        downtimes=scene.fact.downtimes,
        bookings=tuple(scene.bookings),
        qualifications=person.qualifications,
        projects=projects,
    )


def _moments(scene: Scene, booking: Booking, user: User, person: UserFact, projects: tuple[Project, ...]) -> list[int]:
    """All moments of a booking at which a check may change its mind, in order, its beginning and end included."""
    early_ms = scene.fact.policy.early_ms
    from_ms, until_ms = booking.start_ms - early_ms, booking.end_ms
    edges = {user.valid_until_ms, *hours_between(scene.fact.opening, user.category, from_ms, until_ms)}
    stretches: tuple[Downtime | Ban | Qualification | Project, ...]
    stretches = (*scene.fact.downtimes, *user.bans, *person.qualifications, *projects)
    for stretch in stretches:
        edges |= {stretch.from_ms, stretch.until_ms}
    for other in scene.bookings:
        edges |= {other.start_ms - early_ms, other.end_ms}
    return sorted({from_ms, until_ms, *(edge for edge in edges if from_ms < edge < until_ms)})


def _name(fact: InstrumentFact, booking: Booking, from_ms: int, to_ms: int) -> str:
    """Nobody can tell from it whose it is; it is the same again where booking and times are."""
    told = f"{fact.controller}/{booking.id}/{from_ms}/{to_ms}"
    return hashlib.sha256(told.encode()).hexdigest()[:NAME_LENGTH]


def _former(last: GrantsFact, present: tuple[Window, ...], now_ms: int) -> Iterator[Former]:
    """What was issued and does not stand any more, the cards left out."""
    yield from last.former
    standing = {each.grant: _users(each) for each in present}
    for window in last.windows:
        lost = tuple(sorted(_users(window) - standing.get(window.grant, frozenset())))
        if lost:
            ended_ms = min(now_ms, window.to_ms)
            yield Former(window.grant, window.booking, lost, window.from_ms, window.to_ms, ended_ms)


def _users(window: Window) -> frozenset[str]:
    return frozenset(each.user for each in window.holders)
