"""Sessions and charges: each was asked for, opened where the relay really was on, ended by somebody, and paid once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from benchmarks.chaos.bills import Story, bounds
from benchmarks.chaos.books import Booking, Books, Session
from benchmarks.chaos.people import Attempt, Deed, Outcome
from benchmarks.chaos.relays import Relay
from benchmarks.chaos.site import COMMAND_TIMEOUT_MS, GRACE_MS, STAFF, Site
from twin.state import FOREVER_MS
from twin.stream.native import card_digest

TICK_MS = 1
"""Times on record are whole milliseconds."""


class Visit(msgspec.Struct, frozen=True):
    """A card by which a controller that was cut off let somebody in, or out."""

    instrument: str
    user: str
    at_ms: int


class Evidence(msgspec.Struct, frozen=True):
    """What really happened, as far as the referee knows."""

    site: Site
    attempts: Sequence[Attempt]
    relays: Mapping[str, Relay]
    """By instrument."""
    stories: Mapping[str, Story]
    reported_ms: Mapping[str, frozenset[int]]
    """When each controller said that its relay was on, by instrument."""
    let_in: frozenset[Visit] = frozenset()
    let_out: frozenset[Visit] = frozenset()
    """By controllers that were cut off."""


def judge_sessions(books: Books, evidence: Evidence) -> Iterator[str]:
    """What is wrong, in words."""
    by_id = {each.id: each for each in books.sessions}
    yield from _promises(by_id, books, evidence.attempts)
    yield from _causes(books, evidence)
    for session in books.sessions:
        for complaint in (
            *_course(session, books, evidence),
            *_end(session, books, evidence),
            *_charge(session, books, evidence),
        ):
            yield f"session {session.id} of {session.user} at {session.instrument}: {complaint}"
    yield from _unseen(books, evidence.let_in)
    yield from _overlaps(books.sessions, evidence)
    if books.foreign_lines:
        yield f"{books.foreign_lines} charge lines belong to no session"
    yield from (f"the ledger is broken at {each}" for each in books.broken_segments)


def _promises(by_id: Mapping[str, Session], books: Books, attempts: Iterable[Attempt]) -> Iterator[str]:
    """What people were told is so."""
    bookings = {each.id: each for each in books.bookings}
    for attempt in attempts:
        if attempt.outcome is not Outcome.DONE:
            continue
        if attempt.deed is Deed.BOOK:
            booking = bookings.get(attempt.id or "")
            if booking is None or (booking.user, booking.instrument) != (attempt.user, attempt.instrument):
                yield f"{attempt} was made, and is not on record: {booking}"
            continue
        session = by_id.get(attempt.id or "")
        if session is None or session.instrument != attempt.instrument:
            yield f"{attempt} was answered, and there is no such session: {session}"
        elif attempt.deed is Deed.UNLOCK and not _held(session, attempt):
            yield f"{attempt} was granted, and there was no session at this time: {session}"
        elif attempt.deed is Deed.LOCK and not _within(session.ended_ms, attempt):
            yield f"{attempt} ended a session that ended at another time: {session}"


def _held(session: Session, attempt: Attempt) -> bool:
    """Did the person have it at some moment between asking and being told?"""
    is_theirs = session.user == attempt.user and session.requested_ms <= attempt.told_ms + TICK_MS
    return is_theirs and (session.ended_ms is None or session.ended_ms >= attempt.sent_ms - TICK_MS)


def _within(at_ms: int | None, attempt: Attempt) -> bool:
    """Between asking and being told; who was not told does not know until when."""
    if at_ms is None:
        return False
    is_later = attempt.deed is Deed.LOCK and attempt.outcome is Outcome.NOT_RECORDED
    is_open = attempt.outcome is Outcome.UNKNOWN or is_later
    return attempt.sent_ms - TICK_MS <= at_ms and (is_open or at_ms <= attempt.told_ms + TICK_MS)


def _causes(books: Books, evidence: Evidence) -> Iterator[str]:
    """Each session was asked for, by a wish of its own."""
    wishes: defaultdict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in evidence.attempts:
        if attempt.deed is Deed.UNLOCK and attempt.outcome is not Outcome.REFUSED:
            wishes[attempt.user, attempt.instrument].append(attempt)
    cards = _tapped(books, evidence.site)
    for session in books.sessions:
        if (session.user, session.instrument, session.requested_ms) in cards or _began_cut_off(session, evidence):
            continue
        own = wishes[session.user, session.instrument]
        asked = next((each for each in own if _may_lead_to(session, each)), None)
        if asked is None:
            yield f"nobody asked for {session}"
        else:
            own.remove(asked)


def _began_cut_off(session: Session, evidence: Evidence) -> bool:
    return Visit(session.instrument, session.user, session.requested_ms) in evidence.let_in


def _unseen(books: Books, let_in: Iterable[Visit]) -> Iterator[str]:
    """Whoever was let in while the controller was cut off has a session from then on, unless another was running.

    If that was somebody else's, people are told of the conflict.
    """
    conflicts = {each.instrument for each in books.alerts if each.kind == "OFFLINE_CONFLICT"}
    for visit in let_in:
        own = [each for each in books.sessions if each.instrument == visit.instrument]
        if any((each.user, each.opened_ms) == (visit.user, visit.at_ms) for each in own):
            continue
        running = next((each for each in own if _runs_at(each, visit.at_ms)), None)
        if running is None:
            yield f"{visit} was let in by the controller, and there is no session"
        elif running.user != visit.user and visit.instrument not in conflicts:
            yield f"{visit} was let in by the controller during {running}, and nobody was told of the conflict"


def _runs_at(session: Session, at_ms: int) -> bool:
    return session.opened_ms is not None and session.opened_ms <= at_ms < (session.ended_ms or FOREVER_MS)


def _may_lead_to(session: Session, attempt: Attempt) -> bool:
    """Where the answer was that it could not be recorded, nothing may come of it but a session that never was."""
    is_closed = attempt.outcome is not Outcome.NOT_RECORDED or session.state == "void" or _was_never(session)
    return is_closed and _within(session.requested_ms, attempt)


def _was_never(session: Session) -> bool:
    """It had opened at once, and was taken back."""
    return session.ended_ms is not None and session.requested_ms == session.opened_ms == session.ended_ms


def _withdrawn(session: Session, evidence: Evidence) -> bool:
    """Whoever asked was told that it could not be recorded, so it is over as it began."""
    refused = (
        each
        for each in evidence.attempts
        if each.deed is Deed.UNLOCK and each.outcome in {Outcome.NOT_RECORDED, Outcome.UNKNOWN}
    )
    return _was_never(session) and any(
        (each.user, each.instrument) == (session.user, session.instrument) and _within(session.requested_ms, each)
        for each in refused
    )


def _tapped(books: Books, site: Site) -> set[tuple[str, str, int]]:
    """Who held a card to which reader, and when the service heard of it."""
    holders = {card_digest(each.card): each.username for each in site.people}
    return {(holders[each.digest], each.instrument, each.received_ms) for each in books.cards}


def _course(session: Session, books: Books, evidence: Evidence) -> Iterator[str]:
    """It is over, and had opened when the relay was said to be on, and was; at once only where that was known."""
    if session.state not in {"closed", "void"}:
        yield f"is still {session.state}"
    if session.opened_ms is None:
        if session.state != "void":
            yield f"has never opened and is {session.state}"
        return
    relay = evidence.relays[session.instrument]
    if session.opened_ms == session.requested_ms and not _began_cut_off(session, evidence):
        if session.id in books.unfounded:
            yield f"opened at {session.opened_ms}, when the service had no reason to think that the relay was on"
        elif relay.was_told_off(session.opened_ms):
            yield f"opened at once at {session.opened_ms}, when the relay was off as it had been told"
        return
    if not (relay.was_on(session.opened_ms) or relay.was_on(session.opened_ms - TICK_MS)):
        yield f"opened at {session.opened_ms}, when the relay was off"
    if session.opened_ms not in evidence.reported_ms[session.instrument] and not _began_cut_off(session, evidence):
        yield f"opened at {session.opened_ms}, when its controller said nothing of the kind"


def _end(session: Session, books: Books, evidence: Evidence) -> Iterator[str]:
    """By whom it was ended, or by what."""
    if session.state != "closed" or session.ended_ms is None:
        return
    wishes = [each for each in evidence.attempts if each.deed is Deed.LOCK and each.instrument == session.instrument]
    match session.reason:
        case "USER":
            tapped = (session.user, session.instrument, session.ended_ms) in _tapped(books, evidence.site)
            went = Visit(session.instrument, session.user, session.ended_ms) in evidence.let_out
            by = session.user
            is_so = tapped or went or any(each.user == by and _within(session.ended_ms, each) for each in wishes)
            is_so = is_so or _withdrawn(session, evidence)
        case "STAFF":
            is_so = any(each.user == STAFF and _within(session.ended_ms, each) for each in wishes)
        case "SLOT_END":
            is_so = any(_ends(session, each) for each in books.bookings)
        case "RECONCILED":
            is_so = _began_cut_off(session, evidence) and _ended_with_use(session, books, evidence)
        case _:
            is_so = False
    if not is_so:
        yield f"ended at {session.ended_ms} as {session.reason}, which nobody knows of"


def _ended_with_use(session: Session, books: Books, evidence: Evidence) -> bool:
    """Did it end when the instrument had stopped to work, or as it began? The next session may have cut it off."""
    at_once = session.ended_ms == session.opened_ms
    others = {each.opened_ms for each in books.sessions if each.instrument == session.instrument}
    return at_once or session.ended_ms in evidence.stories[session.instrument].work_ends | others


def _ends(session: Session, booking: Booking) -> bool:
    """Does the session end as somebody's slot begins, or its own is over?

    It does so when it is first heard of, if that is later: of a booking that was made while the database was away, or a
    relay that went on before, and was reported after.
    """
    if booking.instrument != session.instrument or session.ended_ms is None:
        return False
    due_ms = booking.end_ms + GRACE_MS if booking.user == session.user else max(booking.start_ms, booking.told_ms)
    return due_ms <= session.ended_ms <= due_ms + COMMAND_TIMEOUT_MS


def _charge(session: Session, books: Books, evidence: Evidence) -> Iterator[str]:
    """One line, and corrections; together what it costs by what really was."""
    lines = books.charges.get(session.id, [])
    if session.opened_ms is None or session.ended_ms is None:
        if lines:
            yield f"never opened, and is charged {lines}"
        return
    if [cause for cause, _ in lines].count("session") != 1:
        yield f"has the charges {lines}, and should have one"
    tariff, story = evidence.site.tariffs[session.instrument], evidence.stories[session.instrument]
    overrun_ms = FOREVER_MS if session.slot_end_ms is None else session.slot_end_ms + GRACE_MS
    least, most = bounds(story, session.opened_ms, session.ended_ms, tariff, overrun_ms=overrun_ms)
    charged = sum(gross for _, gross in lines)
    if not least <= charged <= most:
        yield f"{session.opened_ms} to {session.ended_ms} is charged {charged}, and should be {least} to {most}"


def _overlaps(sessions: Iterable[Session], evidence: Evidence) -> Iterator[str]:
    """At most one session an instrument at a time."""
    by_instrument: defaultdict[str, list[Session]] = defaultdict(list)
    for each in sessions:
        by_instrument[each.instrument].append(each)
    for own in by_instrument.values():
        for before, after in pairwise(sorted(own, key=lambda each: (each.requested_ms, int(each.id)))):
            if _clash(before, after, evidence):
                yield f"two sessions at once: {before} and {after}"


def _clash(before: Session, after: Session, evidence: Evidence) -> bool:
    """Did one run though the other did, or was about to open?

    A controller that is cut off and the service do not know of each other's visitors until one of them has opened.
    """
    if not (_began_cut_off(before, evidence) or _began_cut_off(after, evidence)):
        return before.ended_ms is None or before.ended_ms > after.requested_ms
    if before.opened_ms is None or after.opened_ms is None:
        return False
    over_ms = min(each.ended_ms or FOREVER_MS for each in (before, after))
    return max(before.opened_ms, after.opened_ms) < over_ms
