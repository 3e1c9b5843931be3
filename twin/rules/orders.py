"""What the relay is told: an order from when it is given until it is confirmed, fails, or the relay drifts from it.

Commands may be held up on their way, and so may reports. A relay is where the last command put it only by a report
from after that command was sent; and while an earlier one that says otherwise may still be obeyed, only by the answer.
"""

import msgspec

from twin.policy import Policy
from twin.sessions import (
    Control,
    Failure,
    Opening,
    Order,
    OrderState,
    RelayCommanded,
    Signals,
    Step,
    command_id,
)

replace = msgspec.structs.replace


def commanded(control: Control, at_ms: int, policy: Policy, *, on: bool, urgent: bool = False) -> Step:
    """The relay ordered on or off: at once, or when the controller can be heard again."""
    expires_ms, boot = at_ms + policy.command_timeout_ms, control.signals.boot
    if not control.signals.is_online(at_ms):
        order = Order(on, OrderState.WAITING, expires_ms, at_ms, urgent, boot)
        return Step(replace(control, order=order))
    last = control.order
    in_doubt = last is not None and _leaves_doubt(last, at_ms, on=on)
    has_failed = last is not None and last.on is not on and last.state is OrderState.FAILED
    is_done = on is control.signals.relay_on and not (in_doubt or has_failed)  # it is commanded all the same
    state = OrderState.CONFIRMED if is_done else OrderState.SENT
    order = Order(on, state, expires_ms, at_ms, urgent, boot, in_doubt=in_doubt)
    return Step(replace(control, order=order), (RelayCommanded(at_ms, on, expires_ms),))


def _leaves_doubt(last: Order, at_ms: int, *, on: bool) -> bool:
    """May the controller do something else yet than is wanted now, though no report until now tells of it?"""
    if last.state is OrderState.SENT and last.on is not on:
        return True
    return last.in_doubt and (last.state is not OrderState.CONFIRMED or at_ms < last.expires_ms)


def assured(control: Control, said_ms: int, answers: str) -> Control:
    """The order with a report of the relay from after it was sent, if this is one; its answer leaves no doubt."""
    order = control.order
    if order is None or (order.is_reported and not order.in_doubt):
        return control
    if answers == command_id(order.sent_ms, on=order.on):
        return replace(control, order=replace(order, is_reported=True, in_doubt=False))
    if said_ms < order.sent_ms or order.is_reported:
        return control
    in_doubt = order.in_doubt and order.state is not OrderState.FAILED  # it has expired: nobody obeys it any more
    return replace(control, order=replace(order, is_reported=True, in_doubt=in_doubt))


def confirmed(control: Control) -> Order | None:
    """The order, if the relay is reported to be as it was told; None: it is not, or nobody knows."""
    order = control.order
    if order is None or order.on is not control.signals.relay_on or (order.in_doubt and not order.is_reported):
        return None
    return Order(
        order.on,
        OrderState.CONFIRMED,
        order.expires_ms,
        order.sent_ms,
        boot=control.signals.boot,
        in_doubt=order.in_doubt,
        is_reported=order.is_reported,
    )


def failed(order: Order, failure: Failure) -> Order:
    """The order that came to nothing. Where nothing was heard it may be done, and the report on its way."""
    in_doubt = failure is Failure.NOT_CONFIRMED and not order.is_reported
    return replace(order, state=OrderState.FAILED, in_doubt=in_doubt)


def may_be_refused(order: Order, at_ms: int) -> bool:
    """Is it waited for, or was it only found done already, so that the answer may still come?"""
    return order.state is OrderState.SENT or (order.state is OrderState.CONFIRMED and at_ms < order.expires_ms)


def sent_again(control: Control, at_ms: int, policy: Policy) -> Step:
    """The controller is back: what it was not told, or did not do, it is told now. A session waits no longer for it."""
    order, state = control.order, control.state
    if order is None or order.state is OrderState.CONFIRMED or order.on is control.signals.relay_on:
        return Step(control)
    expires_ms = order.expires_ms if isinstance(state, Opening) else at_ms + policy.command_timeout_ms
    return _given_anew(control, replace(order, tries=0, expires_ms=expires_ms), at_ms)


def unsent(control: Control, command: str, at_ms: int) -> Control:
    """A command had expired before it could be sent. If it is the last, what failed is counted from here on."""
    order = control.order
    if order is None or order.state is OrderState.CONFIRMED or command != command_id(order.sent_ms, on=order.on):
        return control
    return replace(control, order=replace(order, tries=0, unsent_ms=at_ms))


def drifted(order: Order | None, signals: Signals, at_ms: int) -> Order | None:
    """The order once the relay that it was confirmed by is reported otherwise."""
    has_drifted = signals.relay_on is not None and order is not None and order.on is not signals.relay_on
    if order is None or order.state is not OrderState.CONFIRMED or order.drift_ms is not None or not has_drifted:
        return order
    return replace(order, drift_ms=at_ms)


def healed(control: Control, order: Order, at_ms: int, policy: Policy) -> Step:
    """The relay has drifted: it is commanded again."""
    again = replace(order, tries=order.tries + 1, expires_ms=at_ms + policy.command_timeout_ms)
    return _given_anew(control, again, at_ms)


def _given_anew(control: Control, order: Order, at_ms: int) -> Step:
    sent = replace(order, state=OrderState.SENT, sent_ms=at_ms, is_reported=False, unsent_ms=None)
    return Step(replace(control, order=sent), (RelayCommanded(at_ms, order.on, order.expires_ms),))
