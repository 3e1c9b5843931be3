"""The minute ledger: every moment of an instrument falls in exactly one category.

The ledger follows from *what happened*, not from the order in which it was heard of: `advance` takes messages in the
order of their time, `settle` lets time pass, and `refold` computes anew from a kept mark when a message comes late.
Each returns the new book and, where what is written must change, the spans that make the ledger agree with it.

Two things with two clocks are laid over each other: what the instrument did, by the controller's clock, and when the
controller was known to be there, also by receipt. Nothing is written beyond the time of either.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

import msgspec

from twin.decisions import Mark, Rewrite
from twin.events import Arrival, Death, Message
from twin.instrument import is_history, observe
from twin.physics import cools_until, intruded_since, power_changes, power_class_at, visit_at
from twin.policy import Policy
from twin.rules.coverage import cut, is_known, recent, vouched
from twin.state import (
    FOREVER_MS,
    Book,
    Category,
    Coverage,
    OrderKey,
    Outage,
    Physics,
    PowerClass,
    Span,
    Visit,
)

MARK_EVERY_MS = 2 * 3_600_000
"""How much of the past a late message can make us read again, at most."""
DEATHS_BACK_MS = 7 * 24 * 3_600_000
"""How long before its newest message a death may have been received that a book does not know: a clock's tolerance."""


def category_at(book: Book, at_ms: int, policy: Policy) -> Category:
    """The category of a moment that is not before what the book reaches back to. First match wins."""
    if at_ms >= book.physics.newest[0]:
        activity = _activity_at(book, book.physics, at_ms, policy)
    else:
        activity = _in_force(book.activity, at_ms).category
    return _covered(activity, book, at_ms)


def _covered(activity: Category, book: Book, at_ms: int) -> Category:
    """The activity, as far as somebody knows of it. That an instrument is in maintenance is known without it."""
    if activity is Category.MAINTENANCE or is_known(book.coverage, at_ms):
        return activity
    return Category.UNKNOWN


def _activity_at(book: Book, physics: Physics, at_ms: int, policy: Policy) -> Category:
    """What goes on at a moment not before the newest message, by all that is known of it."""
    visit = visit_at(book.visits, at_ms) if book.visits else None
    is_open = visit is not None and at_ms < visit.end_ms
    if any(each.from_ms <= at_ms < each.until_ms for each in book.outages):
        return Category.MAINTENANCE
    if visit is not None and is_open:
        return _session_at(visit, physics, at_ms, policy)
    power = physics.power
    if power is None:
        return Category.OFF
    if visit is not None and cools_until(power, at_ms, policy, book.visits) is not None:
        return Category.COOLDOWN
    if intruded_since(power, at_ms, policy, book.visits) is not None:
        return Category.UNAUTHORISED
    return Category.OFF if power_class_at(power, at_ms, policy)[0] is PowerClass.OFF else Category.STANDBY


def _session_at(visit: Visit, physics: Physics, at_ms: int, policy: Policy) -> Category:
    """What a moment of an open session is. Without a power meter all of it is use."""
    if visit.maintenance:
        return Category.MAINTENANCE
    if at_ms >= visit.overrun_ms:
        return Category.OVERRUN
    if not physics.has_meter:
        return Category.USE
    is_active = physics.power is not None and power_class_at(physics.power, at_ms, policy)[0] is PowerClass.ACTIVE
    return Category.USE if is_active else Category.IDLE


def _in_force(spans: tuple[Span, ...], at_ms: int) -> Span:
    return spans[max(0, bisect_right(spans, at_ms, key=_start) - 1)]


def _start(span: Span) -> int:
    return span.start_ms


def advance(
    book: Book,
    arrival: Arrival,
    at_ms: int,
    policy: Policy,
    *,
    physics: Physics | None = None,
    dead_ms: int = FOREVER_MS,
) -> tuple[Book, tuple[Span, ...] | None]:
    """The book after a message that is newer than all in it, and the spans to write if they change.

    `physics`: the state after the message where the caller has worked it out already. `dead_ms`: when the controller
    was next reported dead after the message was received.
    """
    message, received_ms = arrival.message, arrival.received_ms
    if isinstance(message, Death):
        return settle(msgspec.structs.replace(book, coverage=cut(book.coverage, received_ms)), received_ms, policy)
    newest_ms, newest_boot, _ = book.physics.newest
    buffered = is_history(message)
    bridges = buffered and message.boot == newest_boot and at_ms - newest_ms <= policy.stale_after_ms
    told_ms = min(at_ms, received_ms)
    told = (min(newest_ms, told_ms) if bridges else told_ms, told_ms)
    coverage = vouched(book.coverage, told, received_ms, policy.stale_after_ms, dead_ms)
    after = physics or observe(book.physics, message, (at_ms, message.boot, message.seq), policy, book.visits)
    goes_on, known = _goes_on(book, coverage, at_ms), book.activity[-1].category
    category = known if goes_on and _works_as(book.physics, after) else _activity_at(book, after, at_ms, policy)
    if goes_on and category is known:
        due_ms = _next_due(book, after, coverage.ranges, told_ms, policy)
        return Book(after, coverage, book.activity, book.spans, due_ms, book.visits, book.outages), None
    activity = _joined(_expected(book, at_ms, policy), Span(at_ms, category))
    until_ms = told_ms if buffered else received_ms
    new = Book(after, coverage, activity, book.spans, 0, book.visits, book.outages)
    return _written(new, newest_ms, until_ms, policy)


def _goes_on(book: Book, coverage: Coverage, at_ms: int) -> bool:
    """Is all as before, if that is what a message tells? Almost every one does."""
    return (
        at_ms < book.due_ms
        and book.spans[-1].category is book.activity[-1].category
        and book.spans[-1].start_ms <= book.physics.newest[0]  # else time alone has led away from it and back
        and coverage.ranges[:-1] == book.coverage.ranges[:-1]
    )


def _works_as(before: Physics, after: Physics) -> bool:
    """Does the instrument go on as it was? Then only time can change what it does."""
    was, power = before.power, after.power
    return was is not None and power is not None and was.raw is power.raw and before.has_meter is after.has_meter


def settle(book: Book, now_ms: int, policy: Policy) -> tuple[Book, tuple[Span, ...] | None]:
    """The book when time has come to `now_ms` without a message, and the spans to write if they change."""
    return _written(book, book.physics.newest[0], now_ms, policy)


def amended(
    book: Book, visits: tuple[Visit, ...], outages: tuple[Outage, ...], now_ms: int, policy: Policy
) -> tuple[Book, tuple[Span, ...] | None]:
    """The book when sessions or outages change, none of them before its newest message, and the spans to write."""
    return settle(_standing(book, visits, outages, policy), now_ms, policy)


def _standing(book: Book, visits: tuple[Visit, ...], outages: tuple[Outage, ...], policy: Policy) -> Book:
    """The book with other sessions or outages; its newest message may be the very one that one of them ended with."""
    newest_ms = book.physics.newest[0]
    new = msgspec.structs.replace(book, visits=visits, outages=outages)
    now = Span(newest_ms, _activity_at(new, book.physics, newest_ms, policy))
    return msgspec.structs.replace(new, activity=_joined(book.activity, now))


def refold(
    controller: str,
    base: Book,
    told: Iterable[tuple[int, Arrival]],
    now_ms: int,
    policy: Policy,
    *,
    visits: tuple[Visit, ...] = (),
    outages: tuple[Outage, ...] = (),
) -> tuple[Book, Rewrite, tuple[Mark, ...]]:
    """The ledger computed anew: `told` are (event time, message), what comes after the base, in the order of time.

    `visits` and `outages` are those that stand, from before `base` on.
    """
    observed = list(told)
    # When it was due by other sessions says nothing: the first message looks at everything.
    base = msgspec.structs.replace(_standing(base, visits, outages, policy), due_ms=base.physics.newest[0])
    horizon_ms = base.physics.newest[0] - policy.clock_tolerance_ms
    deaths = {each.received_ms for _, each in observed if isinstance(each.message, Death)}
    book = _bereaved(base, {each for each in deaths if each >= horizon_ms})
    deaths_ms, written, marks = book.coverage.deaths_ms, base.spans, []
    for at_ms, arrival in observed:
        if isinstance(arrival.message, Death):
            continue
        before = book
        # A death ends what was received before it, whatever time that tells of.
        dead_ms = next(iter(deaths_ms[bisect_left(deaths_ms, arrival.received_ms) :]), FOREVER_MS)
        book, spans = advance(before, arrival, at_ms, policy, dead_ms=dead_ms)
        written = overlaid(written, spans)
        if crosses_mark(before, book):
            marks.append(Mark(controller, at_ms, book))
    book, spans = settle(book, now_ms, policy)
    return book, Rewrite(controller, overlaid(written, spans)), tuple(marks)


def comes_after(base: Book, key: OrderKey, arrival: Arrival) -> bool:
    """Does a message come after a book? A death may that is older than the newest: all it has is a time of receipt."""
    return key > base.physics.newest or isinstance(arrival.message, Death)


def _bereaved(book: Book, deaths_ms: set[int]) -> Book:
    """The book once all these deaths are known."""
    coverage = book.coverage
    for dead_ms in sorted(deaths_ms):
        coverage = cut(coverage, dead_ms)
    return msgspec.structs.replace(book, coverage=Coverage(coverage.ranges, tuple(sorted(coverage.deaths_ms))))


def crosses_mark(before: Book, after: Book) -> bool:
    """Is a mark due after the message that made one book of the other?"""
    return before.physics.newest[0] // MARK_EVERY_MS != after.physics.newest[0] // MARK_EVERY_MS


def overlaid(written: tuple[Span, ...], spans: tuple[Span, ...] | None) -> tuple[Span, ...]:
    """What is written once `spans` have replaced everything from their start on."""
    if spans is None:
        return written
    return written[: bisect_left(written, spans[0].start_ms, key=_start)] + spans


def changed_spans(old: tuple[Span, ...], new: tuple[Span, ...]) -> tuple[Span, ...] | None:
    """The spans from the first difference on; None where nothing differs. `old` and `new` begin with the same span."""
    if old == new:
        return None
    same = 0
    while same < min(len(old), len(new)) and old[same] == new[same]:
        same += 1
    # An old span that starts before the first new one must go as well: begin with the last that both have.
    starts_later = same == len(new) or (same < len(old) and old[same].start_ms < new[same].start_ms)
    return new[same - 1 :] if starts_later else new[same:]


def reached_ms(message: Message, at_ms: int, policy: Policy) -> int:
    """From when on a message may change the ledger: one that was kept vouches for the time since the one before it."""
    return at_ms - policy.stale_after_ms if is_history(message) else at_ms


def disturbed_ms(visits: tuple[Visit, ...], spans: tuple[Span, ...] | None) -> int | None:
    """From when on new spans change what a session was that is over, and charged by the old ones; None: none."""
    if spans is None or all(each.end_ms <= spans[0].start_ms for each in visits if each.end_ms < FOREVER_MS):
        return None
    return spans[0].start_ms


def _written(book: Book, since_ms: int, until_ms: int, policy: Policy) -> tuple[Book, tuple[Span, ...] | None]:
    """The book with its spans written anew, and what of them changes. `since_ms`: the newest message until now."""
    spans = _spans(book, since_ms - policy.clock_tolerance_ms, until_ms, policy)
    moments = (*book.coverage.ranges, *map(_start, book.activity))
    due_ms = _next_due(book, book.physics, moments, until_ms, policy)
    horizon_ms = book.physics.newest[0] - policy.clock_tolerance_ms
    visits = book.visits and _unforgotten(book.visits, horizon_ms)
    kept_ms = min([horizon_ms, *(each.start_ms for each in visits if each.end_ms >= horizon_ms)])
    coverage, activity = recent(book.coverage, horizon_ms), _recent(book.activity, horizon_ms)
    outages = tuple(each for each in book.outages if each.until_ms >= horizon_ms)
    new = Book(book.physics, coverage, activity, _recent(spans, kept_ms), due_ms, visits, outages)
    return new, changed_spans(book.spans, spans)


def _unforgotten(visits: tuple[Visit, ...], horizon_ms: int) -> tuple[Visit, ...]:
    """The last session that was over at a moment, and all after it."""
    over = sum(visit.end_ms < horizon_ms for visit in visits)
    return visits[max(0, over - 1) :]


def _spans(book: Book, final_ms: int, until_ms: int, policy: Policy) -> tuple[Span, ...]:
    """The spans that start before `final_ms` stay; from there on activity and coverage are laid over each other."""
    activity = _expected(book, until_ms + 1, policy)
    spans = book.spans[: max(1, bisect_left(book.spans, final_ms, key=_start))]
    moments = {*map(_start, activity), *book.coverage.ranges}
    for at_ms in sorted(moment for moment in moments if final_ms <= moment <= until_ms):
        spans = _joined(spans, Span(at_ms, _covered(_in_force(activity, at_ms).category, book, at_ms)))
    return spans


def _expected(book: Book, end_ms: int, policy: Policy) -> tuple[Span, ...]:
    """The activity, and how it goes on after the newest message by the passing of time alone, before `end_ms`."""
    newest_ms, activity = book.physics.newest[0], book.activity
    for at_ms in sorted(change for change in _changes(book, book.physics, policy) if newest_ms < change < end_ms):
        activity = _joined(activity, Span(at_ms, _activity_at(book, book.physics, at_ms, policy)))
    return activity


def _changes(book: Book, physics: Physics, policy: Policy) -> tuple[int, ...]:
    """The moments at which the activity may change by the passing of time alone."""
    power = () if physics.power is None else power_changes(physics.power, policy, book.visits)
    if not (book.visits or book.outages):
        return power
    changes = [*power]
    for visit in book.visits:
        changes += (visit.start_ms, visit.overrun_ms, visit.end_ms)
    for outage in book.outages:
        changes += (outage.from_ms, outage.until_ms)
    return tuple(changes)


def _joined(spans: tuple[Span, ...], span: Span) -> tuple[Span, ...]:
    """One more span at the end: none of length zero, no two neighbours of one category."""
    if spans[-1].category is span.category:
        return spans
    if spans[-1].start_ms < span.start_ms:
        return (*spans, span)
    return _joined(spans[:-1], span) if len(spans) > 1 else (span,)


def _recent(spans: tuple[Span, ...], horizon_ms: int) -> tuple[Span, ...]:
    """The spans from the one on that is in force just before a moment."""
    return spans[max(0, bisect_left(spans, horizon_ms, key=_start) - 1) :]


def _next_due(book: Book, physics: Physics, moments: tuple[int, ...], at_ms: int, policy: Policy) -> int:
    """The first moment after `at_ms` at which the category may change by itself; `FOREVER_MS` if none."""
    due_ms = FOREVER_MS
    for each_ms in (*moments, *_changes(book, physics, policy)):
        if at_ms < each_ms < due_ms:
            due_ms = each_ms
    return due_ms
