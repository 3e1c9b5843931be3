"""The session of one instrument: who has it, until when, and what its relay is told.

| state    | what happens                                    | then     | decisions                                    |
| -------- | ----------------------------------------------- | -------- | -------------------------------------------- |
| free     | granted request                                 | opening  | recorded, relay on                           |
| cooldown | granted request                                 | opening  | cooldown ended, recorded, relay on           |
| opening  | relay reported on; at once if it is or has none | open     | opened                                       |
| opening  | no report in time, or the controller refuses    | free     | failed, voided, relay off                    |
| opening  | ended by somebody                               | free     | voided, relay off                            |
| open     | `warn_before_end` before the end of the slot    | open     | warned                                       |
| open     | slot and grace are over, and it may go on       | open     | overrun began                                |
| open     | slot and grace are over, and it may not         | cooldown | closed; relay off if cut `at_once`           |
| open     | another person's booking begins                 | cooldown | the same                                     |
| open     | idle for `idle_release`                         | cooldown | the same                                     |
| open     | ended by somebody                               | cooldown | the same; EMERGENCY cuts whatever the policy |
| cooldown | class not active                                | free     | cooldown ended; relay off if cut `when_idle` |
| cooldown | `cooldown_max` over                             | free     | cooldown ended; unsafe to cut if `when_idle` |
| any      | the relay has drifted, and healing that is safe | the same | the last command again, backed off           |

Theory. What is to come by the passing of time alone can always be told from the state, the bookings and the policy:
`next_due`. `advance` plays everything due up to a moment, each at its own time, so it makes no difference how often or
how late it is called. Each event first plays what was due *before* its moment, then happens; so an event wins over a
timer of the same moment; only a session in whose place another person's booking begins is over by then. Timers of one
moment play in the order in which they are written down. Bookings and policy are those in force since the last call:
before a change of either, `advance` with the old ones.

The books never wait for the controller: a session that cannot be commanded ends at its time, and the command waits
until the controller is heard again. What the rules leave open is decided here:

- Another person's booking is one that is not of the session's person or a group of theirs. It *begins* if that is after
  the request: who was let in during another's slot is not thrown out by the same slot.
- *Within* `overrun_free` includes its end. It is looked at when slot and grace are over.
- Who opens inside `warn_before_end` is warned at once.
- `at_slot_end: alert` is about slots: a walk-in still ends when another person's booking begins, and an idle session
  is ended.
- EMERGENCY commands the relay off at once whatever `cut` says, in cooldown and without a session too.
- Idle time counts while the link is online only. Where there is no power meter nothing is ever idle.
- An instrument that does not work when its session ends has a cooldown of no length.
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from twin.parties import Booking, RunningSession, User, is_theirs
from twin.permission import AccessDecision
from twin.policy import Cut, Policy
from twin.rules import orders
from twin.rules.session_timers import Due, Timer, ends_ms, goes_on, idle_total, next_timer, slot_end
from twin.sessions import (
    CloseReason,
    CommandFailed,
    Control,
    Cooldown,
    CooldownEnd,
    CooldownEnded,
    Decision,
    Failure,
    Free,
    Ignorance,
    Ignored,
    Open,
    Opening,
    Order,
    OrderState,
    OverrunBegan,
    SessionClosed,
    SessionOpened,
    SessionRecorded,
    SessionVoided,
    Signals,
    Step,
    TapMeaning,
    UnsafeToCut,
    Use,
    UserWarned,
    VoidReason,
    command_id,
)
from twin.state import FOREVER_MS

replace = msgspec.structs.replace


def next_due(control: Control, bookings: Sequence[Booking], policy: Policy) -> int:
    """When something happens by the passing of time alone, if nothing else does; `FOREVER_MS` if nothing will."""
    due = next_timer(control, bookings, policy)
    return FOREVER_MS if due is None else max(due.at_ms, control.settled_ms)


def advance(control: Control, now_ms: int, bookings: Sequence[Booking], policy: Policy) -> Step:
    """Everything that is due up to and including a moment, each thing at its own.

    `bookings`: those of this instrument that stand, by their start.
    """
    decisions: list[Decision] = []
    while (due := next_timer(control, bookings, policy)) is not None and due.at_ms <= now_ms:
        due = Due(max(due.at_ms, control.settled_ms), due.timer)
        step = _happened(control, due, bookings, policy)
        control = step.control
        decisions += step.decisions
    return Step(_settled(control, now_ms), tuple(decisions))


def _settled(control: Control, at_ms: int) -> Control:
    return control if at_ms <= control.settled_ms else replace(control, settled_ms=at_ms)


def hand_over(control: Control, at_ms: int, bookings: Sequence[Booking], policy: Policy) -> Step:
    """A session that ends as another person's booking begins has ended when that person can ask for the instrument."""
    due = next_timer(control, bookings, policy)
    if due is None or due.timer is not Timer.OTHERS_SLOT or due.at_ms != at_ms:
        return Step(control)
    return _happened(control, due, bookings, policy)


def open_(control: Control, use: Use, decision: AccessDecision, bookings: Sequence[Booking], policy: Policy) -> Step:
    """Somebody asks for the instrument at `use.requested_ms`, and access has decided."""
    at_ms = use.requested_ms
    before = _before(control, at_ms, bookings, policy)
    if not decision.granted:
        return _then(before, Step(before.control, (Ignored(at_ms, Ignorance.NOT_GRANTED),)))
    return _then(before, _begun(before.control, use, policy))


def observe(
    control: Control,
    signals: Signals,
    at_ms: int,
    bookings: Sequence[Booking],
    policy: Policy,
    *,
    event_ms: int | None = None,
    is_report: bool = True,
    answers: str = "",
) -> Step:
    """The twin says something new, received at `at_ms`; `event_ms` where the event's own time is another.

    `is_report`: it says how the relay is. `answers`: the command that it is the answer to.
    """
    before = _before(control, at_ms, bookings, policy)
    said_ms = at_ms if event_ms is None else event_ms
    heard = _heard(before.control, signals, at_ms)
    known = orders.assured(heard, said_ms, answers) if is_report else heard
    was_online = before.control.signals.is_online(at_ms)
    sent = orders.sent_again(known, at_ms, policy) if signals.is_online(at_ms) and not was_online else Step(known)
    return _then(before, _then(sent, _confirmed(sent.control, said_ms)))


def command_refused(
    control: Control, at_ms: int, bookings: Sequence[Booking], policy: Policy, command: str | None = None
) -> Step:
    """The controller answers that it will not do a command; None: the last one. Others are past already."""
    before = _before(control, at_ms, bookings, policy)
    order = before.control.order
    if order is None or not orders.may_be_refused(order, at_ms):
        return before
    if command not in {None, command_id(order.sent_ms, on=order.on)}:
        return before
    return _then(before, _failed(before.control, order, at_ms, Failure.REFUSED, policy))


def unsent(control: Control, command: str, at_ms: int, bookings: Sequence[Booking], policy: Policy) -> Step:
    """A command could not be sent in time: the controller never had it. It is given anew at once, if that is safe."""
    before = _before(control, at_ms, bookings, policy)
    return _then(before, Step(orders.unsent(before.control, command, at_ms)))


def close(
    control: Control,
    reason: CloseReason,
    at_ms: int,
    bookings: Sequence[Booking],
    policy: Policy,
    *,
    ended_ms: int | None = None,
) -> Step:
    """Somebody ends the session at `at_ms`; `ended_ms` where it turns out to have ended before."""
    before = _before(control, at_ms, bookings, policy)
    state = before.control.state
    match state:
        case Open():
            ended_ms = at_ms if ended_ms is None else min(ended_ms, at_ms)
            after = _closed(before.control, state, reason, at_ms, policy, ended_ms=ended_ms)
        case Opening():
            after = _voided(before.control, state, VoidReason.WITHDRAWN, at_ms, policy)
        case Free() | Cooldown():
            is_emergency = reason is CloseReason.EMERGENCY and before.control.signals.has_relay
            ignored = Step(before.control, (Ignored(at_ms, Ignorance.NO_SESSION),))
            after = orders.commanded(before.control, at_ms, policy, on=False, urgent=True) if is_emergency else ignored
        case _:
            assert_never(state)
    return _then(before, after)


def may_cut(control: Control, reason: CloseReason, at_ms: int, policy: Policy) -> bool:
    """May the relay go off as a session is ended, before anything of that is on record?"""
    if not control.signals.has_relay:
        return False
    if reason is CloseReason.EMERGENCY or policy.cut is Cut.AT_ONCE:
        return True
    return policy.cut is Cut.WHEN_IDLE and at_ms >= (control.signals.active_until_ms or 0)


def resumed(control: Control, use: Use, opened_ms: int, at_ms: int) -> Step:
    """A session that began while the controller was cut off, and goes on: known at `at_ms`."""
    state = Open(use, opened_ms, idle_told_ms=at_ms)
    order = Order(on=True, state=OrderState.CONFIRMED, expires_ms=at_ms) if control.signals.has_relay else None
    decisions: tuple[Decision, ...] = (SessionRecorded(opened_ms, use), SessionOpened(opened_ms, use.id))
    return Step(replace(control, state=state, order=order), decisions)


def taken_over(control: Control, at_ms: int) -> Step:
    """The controller has switched its relay by itself: what was still to come of the session before is past."""
    state = control.state
    if not isinstance(state, Cooldown):
        return Step(replace(control, order=None))
    ended = CooldownEnded(at_ms, state.use.id, CooldownEnd.NEXT_SESSION)
    return Step(replace(control, state=Free(), order=None), (ended,))


def left(control: Control, at_ms: int, policy: Policy) -> Step:
    """Nobody is in any more whom the controller had let in by itself: the relay as after any session."""
    signals = control.signals
    is_safe = signals.active_until_ms is None or signals.active_until_ms <= at_ms
    cuts = policy.cut is Cut.AT_ONCE or (policy.cut is Cut.WHEN_IDLE and is_safe)
    is_off = signals.relay_on is False or not signals.has_relay
    if is_off or not cuts or not isinstance(control.state, Free):
        return Step(control)
    return orders.commanded(control, at_ms, policy, on=False)


def tap_means(control: Control, user: User) -> TapMeaning:
    """What somebody wants who holds a card to the reader, once time has been let pass up to then."""
    if not isinstance(control.state, Open):
        return TapMeaning.ASK
    return TapMeaning.END if is_theirs(user, _running(control.state.use, None)) else TapMeaning.ASK


def running(control: Control, bookings: Sequence[Booking], policy: Policy) -> RunningSession | None:
    """The session as access sees it: open or opening."""
    state = control.state
    match state:
        case Free() | Cooldown():
            return None
        case Opening():
            would_be = Open(state.use, state.use.requested_ms)
            return _running(state.use, ends_ms(would_be, bookings, policy))
        case Open():
            return _running(state.use, ends_ms(state, bookings, policy))
        case _:
            assert_never(state)


def _running(use: Use, due_ms: int | None) -> RunningSession:
    return RunningSession(use.user.id, use.booking.group if use.booking else None, due_ms)


def _before(control: Control, at_ms: int, bookings: Sequence[Booking], policy: Policy) -> Step:
    """What was due before an event: timers of its own moment come after it, but for the begin of another's slot."""
    due = next_timer(control, bookings, policy)
    if due is None or due.at_ms > at_ms:
        return Step(_settled(control, at_ms - 1))
    passed = advance(control, at_ms - 1, bookings, policy)
    return _then(passed, hand_over(passed.control, at_ms, bookings, policy))


def _then(first: Step, second: Step) -> Step:
    return Step(second.control, first.decisions + second.decisions)


def _begun(control: Control, use: Use, policy: Policy) -> Step:
    """A granted request: on record first, then power."""
    at_ms, state, ended = use.requested_ms, control.state, tuple[Decision, ...]()
    if isinstance(state, Opening | Open):
        return Step(control, (Ignored(at_ms, Ignorance.IN_SESSION),))
    if isinstance(state, Cooldown):
        ended = (CooldownEnded(at_ms, state.use.id, CooldownEnd.NEXT_SESSION),)
    recorded = Step(replace(control, state=Opening(use)), (*ended, SessionRecorded(at_ms, use)))
    if not control.signals.has_relay:
        return _then(recorded, _opened(replace(recorded.control, order=None), use, at_ms))
    commanded = _then(recorded, orders.commanded(recorded.control, at_ms, policy, on=True))
    return _then(commanded, _confirmed(commanded.control, at_ms))


def _opened(control: Control, use: Use, at_ms: int) -> Step:
    opened_ms = max(at_ms, use.requested_ms, control.ended_ms)
    state = Open(use, opened_ms, idle_told_ms=opened_ms)
    return Step(replace(control, state=state), (SessionOpened(opened_ms, use.id),))


def _confirmed(control: Control, at_ms: int) -> Step:
    """The order, if the relay is reported as ordered; a session that waits for it opens."""
    state, order = control.state, orders.confirmed(control)
    if order is None:
        return Step(control)
    control = replace(control, order=order)
    return _opened(control, state.use, at_ms) if isinstance(state, Opening) else Step(control)


def _heard(control: Control, signals: Signals, at_ms: int) -> Control:
    """The new signals in force; idle time under the old ones is counted, and none from before the newest activity."""
    state = control.state
    if isinstance(state, Open) and at_ms > state.idle_told_ms:
        idle_ms = min(idle_total(state, control.signals, at_ms), max(0, at_ms - signals.busy_until_ms))
        state = replace(state, idle_ms=idle_ms, idle_told_ms=at_ms)
    return replace(control, state=state, signals=signals, order=orders.drifted(control.order, signals, at_ms))


def _happened(control: Control, due: Due, bookings: Sequence[Booking], policy: Policy) -> Step:
    """What a timer makes of a state that has it."""
    match control.state, control.order:
        case _, Order() as order if due.timer is Timer.COMMAND_EXPIRED:
            return _failed(control, order, due.at_ms, Failure.NOT_CONFIRMED, policy)
        case _, Order() as order if due.timer is Timer.DRIFT:
            return orders.healed(control, order, due.at_ms, policy)
        case Open() as state, _:
            return _timed(control, state, due, bookings, policy)
        case Cooldown() as state, _:
            reason = CooldownEnd.SAFE if due.timer is Timer.SAFE else CooldownEnd.RAN_OUT
            return _cooled(control, state, reason, due.at_ms, policy)
        case _:
            raise AssertionError(f"{due} in {control.state}")


def _timed(control: Control, state: Open, due: Due, bookings: Sequence[Booking], policy: Policy) -> Step:
    match due.timer:
        case Timer.WARNING:
            return _warned(control, state, due.at_ms, bookings)
        case Timer.GRACE_OVER:
            return _over(control, state, due.at_ms, bookings, policy)
        case Timer.IDLE:
            return _closed(control, state, CloseReason.IDLE, due.at_ms, policy)
        case _:
            return _closed(control, state, CloseReason.SLOT_END, due.at_ms, policy)


def _failed(control: Control, order: Order, at_ms: int, failure: Failure, policy: Policy) -> Step:
    """A command that came to nothing; a session that waited for it is void."""
    told = () if order.tries else (CommandFailed(at_ms, order.on, failure),)  # that it has drifted is known already
    failed = Step(replace(control, order=orders.failed(order, failure)), told)
    if not isinstance(control.state, Opening):
        return failed
    reason = VoidReason.REFUSED if failure is Failure.REFUSED else VoidReason.NOT_CONFIRMED
    return _then(failed, _voided(failed.control, control.state, reason, at_ms, policy))


def _voided(control: Control, state: Opening, reason: VoidReason, at_ms: int, policy: Policy) -> Step:
    voided = Step(replace(control, state=Free()), (SessionVoided(at_ms, state.use.id, reason),))
    return _then(voided, orders.commanded(voided.control, at_ms, policy, on=False))


def _warned(control: Control, state: Open, at_ms: int, bookings: Sequence[Booking]) -> Step:
    end_ms = slot_end(state.use, bookings)
    warned = Step(replace(control, state=replace(state, warned_for_ms=end_ms)))
    return warned if end_ms is None else _then(warned, Step(warned.control, (UserWarned(at_ms, state.use.id, end_ms),)))


def _over(control: Control, state: Open, at_ms: int, bookings: Sequence[Booking], policy: Policy) -> Step:
    """Slot and grace are over."""
    reason = goes_on(state.use, bookings, policy)
    if reason is None:
        return _closed(control, state, CloseReason.SLOT_END, at_ms, policy)
    overrun = replace(state, overran_for_ms=slot_end(state.use, bookings))
    return Step(replace(control, state=overrun), (OverrunBegan(at_ms, state.use.id, reason),))


def _closed(
    control: Control, state: Open, reason: CloseReason, at_ms: int, policy: Policy, *, ended_ms: int | None = None
) -> Step:
    ended_ms = max(state.opened_ms, at_ms if ended_ms is None else ended_ms)
    cooldown = Cooldown(state.use, state.opened_ms, ended_ms, reason)
    closed = Step(replace(control, state=cooldown, ended_ms=ended_ms), (SessionClosed(ended_ms, state.use.id, reason),))
    cuts = policy.cut is Cut.AT_ONCE or reason is CloseReason.EMERGENCY
    if not (cuts and control.signals.has_relay):
        return closed
    return _then(closed, orders.commanded(closed.control, at_ms, policy, on=False, urgent=True))


def _cooled(control: Control, state: Cooldown, reason: CooldownEnd, at_ms: int, policy: Policy) -> Step:
    ended = Step(replace(control, state=Free()), (CooldownEnded(at_ms, state.use.id, reason),))
    last = control.order
    is_cut_already = last is not None and not last.on and last.state is not OrderState.FAILED
    if policy.cut is not Cut.WHEN_IDLE or is_cut_already:
        return ended
    if reason is CooldownEnd.RAN_OUT:  # people are told of what works on, with a relay or without
        return _then(ended, Step(ended.control, (UnsafeToCut(at_ms, state.use.id),)))
    if not control.signals.has_relay:
        return ended
    return _then(ended, orders.commanded(ended.control, at_ms, policy, on=False))
