"""A service in miniature: one twin in a fleet, with a store of its own in memory."""

from bisect import insort
from operator import itemgetter

import msgspec

from twin.decisions import Mark, Verdict
from twin.events import Arrival, Event, Tick
from twin.fleet import Fleet
from twin.instrument import order_key
from twin.policy import Policy
from twin.rules.ledger import comes_after
from twin.rules.outcome import Outcome, Refold
from twin.state import NEW_BOOK, NEW_TWIN, Book, Category, OrderKey, Span, Twin

CONTROLLER = "c"
_TWIN = msgspec.msgpack.Decoder(Twin)


class Service:
    """Applies events and stores what follows: messages in the order of their time, marks, and the ledger."""

    def __init__(self, policy: Policy) -> None:
        self.fleet = Fleet()
        self.policy = policy
        self.fleet.register(CONTROLLER, policy)
        self.told: list[tuple[OrderKey, int, Arrival]] = []
        self.marks: list[Mark] = []
        self.ledger: tuple[Span, ...] = NEW_BOOK.spans
        self.verdicts: list[Verdict] = []
        self._refold: Refold | None = None
        self._new_marks: list[Mark] = []

    @property
    def twin(self) -> Twin:
        return self.fleet.twin(CONTROLLER)

    def handle(self, event: Event) -> Outcome:
        """Apply an event. A late message's refold waits for `commit`, as it does in a batch."""
        outcome = self.fleet.handle(event)
        if isinstance(event, Arrival):
            self.verdicts.append(outcome.verdict)
            if outcome.verdict in {Verdict.LIVE, Verdict.LATE}:
                item = (order_key(outcome.at_ms, event), outcome.at_ms, event)
                insort(self.told, item, key=itemgetter(0))
        for refold in outcome.refolds:
            self._refold = refold.joined(self._refold)
        self._write(outcome)
        return outcome

    def commit(self, now_ms: int) -> None:
        """Let time come to now, compute anew what late messages ask for, and keep the marks."""
        self.handle(Tick(now_ms))
        if self._refold is not None:
            self.refold(self._refold.base or self._mark_before(self._refold.at_ms), now_ms)
        self.marks += self._new_marks
        self._new_marks = []

    def refold(self, base: Book, now_ms: int) -> None:
        """Compute the ledger anew from a book on."""
        told = [(at_ms, arrival) for key, at_ms, arrival in self.told if comes_after(base, key, arrival)]
        outcome, _ = self.fleet.refold(CONTROLLER, base, told, now_ms)
        self._refold, self._new_marks = None, []
        self.marks = [mark for mark in self.marks if mark.at_ms <= base.physics.newest[0]]
        self._write(outcome)

    def restart(self) -> None:
        """Begin again with what a checkpoint keeps."""
        twin = _TWIN.decode(msgspec.msgpack.encode(self.twin))
        assert twin == self.twin
        self.fleet = Fleet()
        self.fleet.register(CONTROLLER, self.policy, twin)

    def forget(self) -> None:
        """Begin again with nothing but what was stored of the past."""
        self.fleet.register(CONTROLLER, self.policy, msgspec.structs.replace(self.twin, book=NEW_TWIN.book))
        self.ledger, self.marks = NEW_BOOK.spans, []

    def category(self, t_ms: int) -> Category:
        """What the ledger says of a moment."""
        return [span.category for span in self.ledger if span.start_ms <= t_ms][-1]

    def _mark_before(self, at_ms: int) -> Book:
        return next((mark.book for mark in reversed(self.marks) if mark.at_ms < at_ms), NEW_BOOK)

    def _write(self, outcome: Outcome) -> None:
        self._new_marks += outcome.marks
        for rewrite in outcome.rewrites:
            start_ms = rewrite.spans[0].start_ms
            self.ledger = (*(span for span in self.ledger if span.start_ms < start_ms), *rewrite.spans)
