"""All twins and their timers: `Fleet.handle(event) -> Outcome`.

The only owner of state. It knows no clock, waits for nothing and does no input or output.
"""

import heapq
from collections.abc import Iterable, Iterator

import msgspec

from twin.decisions import Mark, Outcome, Rewrite, Verdict
from twin.events import Arrival, Event, Tick
from twin.instrument import apply, next_change, order_key
from twin.policy import Policy
from twin.rules import ledger
from twin.state import FOREVER_MS, NEW_TWIN, Book, OrderKey, Span, Twin

TRAIL_EVERY_MS = 60_000
TRAIL_LENGTH = 3
"""Messages overtaken by a few minutes are common; with a few books of that time no mark need be read for them."""


class _Seat:
    """One twin in the fleet, the policy that it lives by, its last books, and when its timer is set."""

    __slots__ = ("policy", "timer_ms", "trail", "twin")

    def __init__(self, twin: Twin, policy: Policy) -> None:
        self.twin = twin
        self.policy = policy
        self.timer_ms = FOREVER_MS
        self.trail: tuple[Book, ...] = ()

    def leave_trail(self, book: Book) -> None:
        if not self.trail or book.physics.newest[0] - self.trail[-1].physics.newest[0] >= TRAIL_EVERY_MS:
            self.trail = (*self.trail, book)[-TRAIL_LENGTH:]

    def trail_before(self, key: OrderKey) -> Book | None:
        return next((book for book in reversed(self.trail) if book.physics.newest < key), None)


class Fleet:
    """The twins of all registered controllers."""

    def __init__(self) -> None:
        self._seats: dict[str, _Seat] = {}
        self._timers: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._seats)

    def __iter__(self) -> Iterator[str]:
        return iter(self._seats)

    def __contains__(self, controller: str) -> bool:
        return controller in self._seats

    def register(self, controller: str, policy: Policy, twin: Twin = NEW_TWIN) -> None:
        """Take a controller in: new, or with the state of its checkpoint."""
        seat = self._seats[controller] = _Seat(_shared(twin), policy)
        self._set_timer(controller, seat, 0)

    def remove(self, controller: str) -> None:
        """Let a controller go; what it says from now on is unknown."""
        del self._seats[controller]

    def twin(self, controller: str) -> Twin:
        """The present state of a controller's twin. Raises KeyError."""
        return self._seats[controller].twin

    def policy(self, controller: str) -> Policy:
        """The policy in force for a controller's twin. Raises KeyError."""
        return self._seats[controller].policy

    def handle(self, event: Event) -> Outcome:
        """Apply one event: the twins it concerns change, and what follows is returned."""
        return self._arrive(event) if isinstance(event, Arrival) else self._pass_time(event)

    def refold(self, controller: str, base: Book, told: Iterable[tuple[int, Arrival]], now_ms: int) -> Outcome:
        """Compute a ledger anew from a mark and the messages after it, and take the result as the twin's book."""
        seat = self._seats[controller]
        seat.trail = tuple(book for book in seat.trail if book.physics.newest <= base.physics.newest)
        book, rewrite, marks = ledger.refold(controller, base, told, now_ms, seat.policy)
        self._put(controller, seat, msgspec.structs.replace(seat.twin, book=book), now_ms)
        return Outcome(changed=(controller,), rewrites=(rewrite,), marks=marks)

    def next_due_ms(self) -> int:
        """When the next timer may be due; never later than it is."""
        return self._timers[0][0] if self._timers else FOREVER_MS

    def _arrive(self, arrival: Arrival) -> Outcome:
        controller = arrival.controller
        seat = self._seats.get(controller)
        if seat is None:
            return Outcome(Verdict.UNKNOWN_CONTROLLER, arrival.received_ms)
        before = seat.twin
        verdict, at_ms, after = apply(before, arrival, seat.policy)
        if verdict is not Verdict.LIVE and verdict is not Verdict.LATE:
            return Outcome(verdict, at_ms)
        key = order_key(at_ms, arrival)
        if key < before.book.physics.newest:
            self._put(controller, seat, after, arrival.received_ms)
            return Outcome(verdict, at_ms, (controller,), refold=controller, base=seat.trail_before(key))
        shared = before.book.physics is before.physics and after.physics is not before.physics
        physics = after.physics if shared else None
        book, spans = ledger.advance(before.book, arrival, at_ms, seat.policy, physics=physics)
        twin = Twin(after.link, after.boot, after.skew_ms, after.seen, after.physics, book)
        self._put(controller, seat, twin, arrival.received_ms)
        seat.leave_trail(book)
        marks = (Mark(controller, at_ms, book),) if ledger.crosses_mark(before.book, book) else ()
        return Outcome(verdict, at_ms, (controller,), _rewrites(controller, spans), marks)

    def _pass_time(self, tick: Tick) -> Outcome:
        changed: list[str] = []
        rewrites: list[Rewrite] = []
        while self._timers and self._timers[0][0] <= tick.now_ms:
            due_ms, controller = heapq.heappop(self._timers)
            seat = self._seats.get(controller)
            if seat is None or seat.timer_ms != due_ms:
                continue
            seat.timer_ms = FOREVER_MS
            book, spans = ledger.settle(seat.twin.book, tick.now_ms, seat.policy)
            self._put(controller, seat, msgspec.structs.replace(seat.twin, book=book), tick.now_ms)
            changed.append(controller)
            rewrites += _rewrites(controller, spans)
        return Outcome(at_ms=tick.now_ms, changed=tuple(changed), rewrites=tuple(rewrites))

    def _put(self, controller: str, seat: _Seat, twin: Twin, now_ms: int) -> None:
        seat.twin = _shared(twin)
        self._set_timer(controller, seat, now_ms)

    def _set_timer(self, controller: str, seat: _Seat, now_ms: int) -> None:
        """Let the timer ring when the twin may change. One that rings too early is set again; too late, never."""
        due_ms = next_change(seat.twin, now_ms, seat.policy)
        if due_ms < seat.timer_ms:
            seat.timer_ms = due_ms
            heapq.heappush(self._timers, (due_ms, controller))


def _shared(twin: Twin) -> Twin:
    """Let live state and book be one value while they agree, so that a message is worked out once for both."""
    live, book = twin.physics, twin.book
    if book.physics is live or book.physics != live:
        return twin
    return msgspec.structs.replace(twin, book=msgspec.structs.replace(book, physics=live))


def _rewrites(controller: str, spans: tuple[Span, ...] | None) -> tuple[Rewrite, ...]:
    return () if spans is None else (Rewrite(controller, spans),)
