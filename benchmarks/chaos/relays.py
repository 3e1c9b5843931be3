"""Relays: on only with a session, or for a reason on record, or for no longer than it takes to tell them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.chaos.book import Switched
from benchmarks.chaos.books import Books, Session
from benchmarks.chaos.site import COOLDOWN_MAX_MS, Site

SLACK_MS = 15_000
"""How long a relay may stay on without need while nothing is wrong: a command, its time-out, and another."""
RECOVERY_MS = 15_000
"""For how long after an outage things may not be as they should be: reconnecting, catching up, telling anew."""
CUT_WITHIN_MS = 90_000
"""How long after somebody wanted it power may go off without a record: the way there may have been cut."""
_REASONS = frozenset({"UNSAFE_TO_CUT", "COMMAND_FAILED", "RELAY_MISMATCH"})
Stretch = tuple[int, int]


class Relay:
    """What one relay really did."""

    def __init__(self, moves: Sequence[Switched]) -> None:
        self.moves = moves

    def was_on(self, at_ms: int) -> bool:
        """At a moment, a move of this moment included."""
        last = self._last(at_ms)
        return last is not None and last.on

    def was_told_off(self, at_ms: int) -> bool:
        """Off at a moment, and not by what its controller decided by itself."""
        last = self._last(at_ms)
        return last is None or not (last.on or last.command is None)

    def _last(self, at_ms: int) -> Switched | None:
        return next((each for each in reversed(self.moves) if each.at_ms <= at_ms), None)

    def on(self, until_ms: int) -> Iterator[Stretch]:
        """From when until when it was on."""
        since_ms: int | None = None
        for move in self.moves:
            if move.on and since_ms is None:
                since_ms = move.at_ms
            elif not move.on and since_ms is not None:
                yield since_ms, move.at_ms
                since_ms = None
        if since_ms is not None:
            yield since_ms, until_ms


def judge_relays(
    books: Books,
    relays: Mapping[str, Relay],
    site: Site,
    *,
    outages: Sequence[Stretch],
    endings: Mapping[str, Sequence[int]],
    until_ms: int,
) -> Iterator[str]:
    """What is wrong, in words.

    `outages`: when something was, whatever it was. `endings`: when somebody wanted to end a session of an instrument.
    """
    rough = [(start_ms, end_ms + RECOVERY_MS) for start_ms, end_ms in outages]
    for controller, code in site.instruments.items():
        sessions = [each for each in books.sessions if each.instrument == code]
        yield from _orders(books, relays[code].moves, controller, sessions, endings.get(code, ()))
        yield from _allowed(books, relays[code].moves, code)
        excused = [*rough, *(_span(each) for each in sessions), *_reasons(books, code, until_ms)]
        for stretch in relays[code].on(until_ms):
            bare_ms = max((end_ms - start_ms for start_ms, end_ms in _without(stretch, excused)), default=0)
            if bare_ms > SLACK_MS:
                yield f"{code}: the relay was on {stretch[0]} to {stretch[1]}, {bare_ms} ms of it for no reason"


def _orders(
    books: Books, moves: Iterable[Switched], controller: str, sessions: Sequence[Session], endings: Sequence[int]
) -> Iterator[str]:
    """No relay moves without a command on record, and none goes on without a session that pays.

    But power goes off for whoever wants to end a session, though nothing can be recorded at the moment.
    """
    for move in moves:
        if move.command is None:
            continue  # by a grant, or the end of what one allowed
        at_ms = books.commands.get((controller, move.command))
        if at_ms is None:
            if not move.on and any(wanted_ms <= move.at_ms <= wanted_ms + CUT_WITHIN_MS for wanted_ms in endings):
                continue
            yield f"{controller}: the relay obeyed {move}, which is not on record"
        elif move.on and not any(_pays(each, at_ms) for each in sessions):
            yield f"{controller}: the relay went on by {move}, for which there was no session"


def _allowed(books: Books, moves: Iterable[Switched], code: str) -> Iterator[str]:
    """A controller that is cut off switches power on for whoever has booked, and for nobody else."""
    for move in moves:
        if move.on and move.command is None:
            own = (each for each in books.bookings if each.instrument == code)
            if not any(each.start_ms <= move.at_ms < each.end_ms for each in own):
                yield f"{code}: the relay went on by {move}, and nobody had booked"


def _pays(session: Session, at_ms: int) -> bool:
    return session.requested_ms <= at_ms and (session.ended_ms is None or at_ms <= session.ended_ms)


def _span(session: Session) -> Stretch:
    """With the time that an instrument may take to come to rest."""
    return session.requested_ms, (session.ended_ms or 1 << 62) + (COOLDOWN_MAX_MS if session.opened_ms else 0)


def _reasons(books: Books, code: str, until_ms: int) -> Iterator[Stretch]:
    for alert in books.alerts:
        if alert.instrument == code and alert.kind in _REASONS:
            yield alert.from_ms, until_ms  # people have been told: it is theirs now


def _without(stretch: Stretch, others: Iterable[Stretch]) -> Iterator[Stretch]:
    """What is left of a stretch."""
    at_ms, end_ms = stretch
    for start_ms, until_ms in sorted(others):
        if start_ms >= end_ms:
            break
        if start_ms > at_ms:
            yield at_ms, start_ms
        at_ms = max(at_ms, until_ms)
    if at_ms < end_ms:
        yield at_ms, end_ms


def unsettled(twins: Mapping[str, Any], relays: Mapping[str, Relay], now_ms: int) -> Iterator[str]:
    """Relays that are not as they were commanded to be; or are not as the service believes."""
    for code, relay in relays.items():
        shown = twins.get(code)
        if shown is None:
            yield f"{code} is not shown"
            continue
        desired, reported = shown["relay"]["desired"], shown["relay"]["reported"]
        really = "on" if relay.was_on(now_ms) else "off"
        if desired not in {None, reported} or reported != really:
            yield f"{code}: the relay was told {desired}, is said to be {reported} and is {really}"
