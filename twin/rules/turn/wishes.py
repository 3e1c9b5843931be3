"""What people ask for in a turn, by card and by screen."""

from msgspec.structs import replace

from twin.directory import UserFact
from twin.events import Arrival, Card
from twin.instrument import link_at
from twin.parties import RunningSession, is_theirs
from twin.permission import AccessDecision
from twin.requests import Lock, Unlock
from twin.rules import access, sessions
from twin.rules.outcome import (
    Answer,
)
from twin.rules.turn import moves
from twin.rules.turn.state import Turn
from twin.rules.words import refused_words
from twin.sessions import (
    CloseReason,
    Cooldown,
    Free,
    Open,
    Opening,
    TapMeaning,
    Use,
)
from twin.station import Terms
from twin.tariffs import NOTHING

BEGIN_MS = 0
"""No session ends before it began, so this is the moment at which it did."""


def tap(turn: Turn, card: Card, arrival: Arrival) -> None:
    """Somebody holds a card to the reader."""
    holder = turn.scene.directory.holder(card.card)
    at_ms = arrival.received_ms
    if holder is None:
        _deny(turn, None, at_ms)
        return
    user = turn.scene.accounts.user(holder)
    means_end = sessions.tap_means(turn.station.control, user) is TapMeaning.END
    if means_end and card.action != "in":
        moves.end(turn, CloseReason.USER, at_ms)
        turn.put(grants_ms=_lately(turn.station.grants_ms, turn.policy.door_grant_ms, at_ms))
    elif card.action != "out":
        wish = Unlock(number=arrival.number, at_ms=at_ms, instrument=turn.code, user=user.id)
        decision, _ = _ask(turn, wish, holder, access.Origin.CARD)
        if not decision.granted:
            _deny(turn, decision, at_ms)


def unlock(turn: Turn, wish: Unlock) -> None:
    """Somebody asks at a screen."""
    holder = turn.scene.directory.users.get(wish.user)
    if holder is None:
        turn.follows.answers.append(Answer(wish.number))
        return
    decision, session = _ask(turn, wish, holder, access.Origin.SCREEN)
    turn.follows.answers.append(Answer(wish.number, decision, session))


def lock(turn: Turn, wish: Lock) -> None:
    """Somebody ends a session; as one's own only whose it is."""
    state = turn.station.control.state
    running = state.use.id if isinstance(state, Open | Opening) else None
    is_another = wish.withdraws is not None and running != str(wish.withdraws)
    if is_another or (wish.reason is CloseReason.USER and not _may_end(turn, wish.user)):
        turn.follows.answers.append(Answer(wish.number))
        return
    if wish.withdraws is None:
        moves.end(turn, wish.reason, wish.at_ms)
    else:
        _take_back(turn, wish)
    turn.follows.answers.append(Answer(wish.number, session=running))


def _take_back(turn: Turn, wish: Lock) -> None:
    """The session is over as it began; that the instrument may come to rest, and its relay go off, begins now."""
    turn.put(terms=_for_nothing(turn.station.terms))
    moves.end(turn, wish.reason, wish.at_ms, ended_ms=BEGIN_MS)
    control = turn.station.control
    if isinstance(control.state, Cooldown):
        turn.put(control=replace(control, state=replace(control.state, ended_ms=wish.at_ms)))


def _for_nothing(terms: Terms | None) -> Terms | None:
    """Terms by which a session of no time costs nothing."""
    if terms is None or terms.tariff is None:
        return terms
    return replace(terms, tariff=replace(terms.tariff, startup_fee_cny=NOTHING, min_minutes=0))


def _ask(turn: Turn, wish: Unlock, holder: UserFact, origin: access.Origin) -> tuple[AccessDecision, str | None]:
    """The answer of the rules; where it is yes, the session that it leads to, or is part of."""
    decision = access.decide(question(turn, wish, holder, origin))
    if not decision.granted:
        return decision, None
    turn.put(grants_ms=_lately(turn.station.grants_ms, turn.policy.door_grant_ms, wish.at_ms))
    use = use_of(turn, wish, decision, holder)
    moves.decide(turn, sessions.open_(turn.station.control, use, decision, turn.bookings, turn.policy), wish.at_ms)
    state = turn.station.control.state
    return decision, None if isinstance(state, Free) else state.use.id


def question(turn: Turn, wish: Unlock, holder: UserFact, origin: access.Origin) -> access.Question:
    """All that access depends on."""
    directory, accounts = turn.scene.directory, turn.scene.accounts
    user, own = accounts.user(holder), wish.booking
    bookings = turn.bookings
    if own is not None:
        bookings = tuple(each for each in bookings if each.id == own or not is_theirs(user, each))
    projects = (each for each in directory.projects.values())
    return access.Question(
        at_ms=wish.at_ms,
        user=user,
        instrument=turn.code,
        policy=turn.policy,
        opening=turn.scene.fact.opening,
        link=link_at(turn.station.twin.link, wish.at_ms, turn.policy)[0],
        origin=origin,
        downtimes=turn.scene.fact.downtimes,
        session=_running(turn),
        bookings=tuple(bookings),
        qualifications=holder.qualifications,
        projects=tuple(
            accounts.project(each)
            for each in projects
            if user.id in each.project.payers or each.project.id == wish.project
        ),
        project=wish.project,
        override_reason=wish.override_reason,
    )


def _running(turn: Turn) -> RunningSession | None:
    """Whose session it is; also of somebody whom the controller let in, until it is known whether they are there."""
    card_in = turn.station.card_in
    running = sessions.running(turn.station.control, turn.bookings, turn.policy)
    if running is not None or card_in is None:
        return running
    return RunningSession(card_in.use.user.id, card_in.use.booking.group if card_in.use.booking else None)


def use_of(turn: Turn, wish: Unlock, decision: AccessDecision, holder: UserFact) -> Use:
    """The use of an instrument that a decision leads to."""
    return Use(
        id=str(wish.number),
        user=turn.scene.accounts.user(holder),
        requested_ms=wish.at_ms,
        booking=next((each for each in turn.bookings if each.id == decision.booking), None),
        project=decision.project,
        override_reason=decision.override_reason,
        maintenance=wish.maintenance and turn.code in holder.user.operates,
    )


def _may_end(turn: Turn, user: str) -> bool:
    """Is the session theirs, or that of their group?"""
    holder = turn.scene.directory.users.get(user)
    running = sessions.running(turn.station.control, turn.bookings, turn.policy)
    return holder is not None and running is not None and is_theirs(holder.user, running)


def _deny(turn: Turn, decision: AccessDecision | None, at_ms: int) -> None:
    turn.put(denials_ms=_lately(turn.station.denials_ms, turn.policy.denials_within_ms, at_ms))
    moves.say(turn, refused_words(decision.reason if decision else None), at_ms)


def _lately(moments_ms: tuple[int, ...], within_ms: int, at_ms: int) -> tuple[int, ...]:
    return (*(each for each in moments_ms if each > at_ms - 2 * within_ms), at_ms)
