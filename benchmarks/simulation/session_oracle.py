"""The sessions of one instrument, second by second, from what was heard in the order of receipt.

In each second another person's slot begins first, then one is heard or asks, then things fall due, then come the
others.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.simulation.access_oracle import Asked, Standings, allowed, end_s, own_booking, start_s, theirs
from benchmarks.simulation.seconds import ACTIVE, OFFLINE, ONLINE, Messages, Physical
from benchmarks.simulation.site import START_S, Equipment
from benchmarks.simulation.slot_oracle import LONG_AGO, Session, Slots
from benchmarks.simulation.trace import Command, Heard
from twin.directory import UserFact
from twin.events import Ack, Card, Reading
from twin.parties import Booking
from twin.policy import AtSlotEnd, Cut
from twin.requests import Lock, Unlock
from twin.sessions import CloseReason

FREE, OPENING, OPEN, COOLDOWN = range(4)


@dataclass
class Order:
    """What the relay was told last, while it is not known to have followed."""

    on: bool
    sent_s: int | None
    """None: the controller could not be told yet."""
    failed: bool = False
    """It is not waited for any more, but said again when the controller is back."""


class Life:
    """What becomes of one instrument. `live()` stops before each second in which something is decided."""

    def __init__(
        self,
        one: Equipment,
        *,
        live: Physical,
        link: bytes,
        messages: Messages,
        told: list[Heard | Unlock | Lock],
        commands: list[Command],
        bookings: list[Booking],
        standings: Standings,
    ) -> None:
        self.one = one
        self.sessions: list[Session] = []
        self.voided: list[tuple[int, int]] = []
        self.failures: list[int] = []
        self.unsafe: list[int] = []
        self.commands: list[tuple[int, bool]] = []
        self._seconds = len(link)
        self._power, self._occupied, self._relay = live.power.tobytes(), live.occupied.tobytes(), live.relay.tolist()
        self._link = link
        self._moving = {(each.message.boot, each.message.seq): each.received_s for each in messages.live}
        self._told: dict[int, list[Heard | Unlock | Lock]] = {}
        for each in told:
            self._told.setdefault(_second(each), []).append(each)
        self._issued = {each.id: (each.at_s - START_S, each.on) for each in commands}
        self._said: tuple[int, bool] | None = None
        self.slots = Slots(one, bookings, len(link))
        self._standings = standings
        self._state = FREE
        self._session: Session | None = None
        self._order: Order | None = None
        self._idle_s = 0
        self._doubt = False
        """What was last said of the relay may be from before it was told to go off: the session waits for a report."""
        self._fined = False
        self._heard_s = LONG_AGO
        self._release_s = one.policy.idle_release_ms // 1000
        self._moments = sorted({*self._told, *self.slots.shows})

    def live(self) -> Iterator[int]:
        """From the first second to the last."""
        at_s, moment = 0, 0
        while at_s < self._seconds:
            if self._state == FREE and (self._order is None or self._order.failed):
                while moment < len(self._moments) and self._moments[moment] < at_s:
                    moment += 1
                if moment == len(self._moments):
                    return
                at_s = self._moments[moment]
            if self._is_due(at_s) or at_s in self._told:
                yield at_s
                told = self._told.get(at_s, [])
                before = 1 if told and not self._answers(told[0], at_s) else 0
                self._hand_over(at_s)
                self._hear_all(at_s, told[:before])
                self._fall_due(at_s)
                self._hear_all(at_s, told[before:])
            self._see(at_s)
            self._count_idle(at_s)
            at_s += 1

    def _hear_all(self, at_s: int, told: list[Heard | Unlock | Lock]) -> None:
        for each in told:
            self._hear(at_s, each)
        if told:
            self._see(at_s)

    def _answers(self, each: Heard | Unlock | Lock, at_s: int) -> bool:
        """Is it the answer to something that this very second has led to?"""
        ack = each.message if isinstance(each, Heard) else None
        return isinstance(ack, Ack) and self._issued.get(ack.cmd, (LONG_AGO, True))[0] == at_s

    # What is due

    def _is_due(self, at_s: int) -> bool:
        return (
            (self._order is not None and self._order_failed(at_s))
            or (self._state == OPEN and self._may_end(at_s))
            or (self._state == COOLDOWN and self._cooldown_over(at_s))
            or at_s in self.slots.shows
        )

    def _may_end(self, at_s: int) -> bool:
        """A test that costs little, as it is made in every second: is it worth looking closer?"""
        return at_s >= self.slots.clock_s or self._idle_s >= self._release_s

    def _hand_over(self, at_s: int) -> None:
        """As another person's booking begins, the session before it is over."""
        if self._state == OPEN and self._end_reason(at_s) is CloseReason.SLOT_END and self.slots.other_began(at_s):
            self._close(at_s, CloseReason.SLOT_END)

    def _fall_due(self, at_s: int) -> None:
        if self._order is not None and self._order_failed(at_s):
            self._fail(at_s)
        if (reason := self._end_reason(at_s)) is not None:
            self._close(at_s, reason)
        if self._state == COOLDOWN and self._cooldown_over(at_s):
            self._cool(at_s)
        for booking in self.slots.shows.get(at_s, ()):
            self._look_for(at_s, booking)
        if self._overruns(at_s):
            self._standings.lose(at_s, self._now().person.user.id, self.one.policy.overrun_points)

    def _order_failed(self, at_s: int) -> bool:
        order = self._order
        return (
            order is not None
            and not order.failed
            and order.sent_s is not None
            and at_s >= order.sent_s + self.one.policy.command_timeout_ms // 1000
        )

    def _end_reason(self, at_s: int) -> CloseReason | None:
        if self._state != OPEN:
            return None
        policy, session = self.one.policy, self._now()
        if self._idle_s >= self._release_s and self._is_quiet(at_s):
            return CloseReason.IDLE
        other_began = self.slots.other_began(at_s)
        if session.booking is None:
            return CloseReason.SLOT_END if other_began else None
        if policy.at_slot_end is AtSlotEnd.ALERT:
            return None
        if other_began:
            return CloseReason.SLOT_END
        slot_end_s = end_s(session.booking)
        over = at_s >= slot_end_s + policy.grace_ms // 1000
        return CloseReason.SLOT_END if over and not self.slots.may_overrun(slot_end_s) else None

    def _overruns(self, at_s: int) -> bool:
        """Does it go on where another person's slot has begun, which it did not the second before?"""
        was_fined, self._fined = self._fined, self._state == OPEN and self.slots.in_others_slot(at_s)
        return self._fined and not was_fined

    def _cooldown_over(self, at_s: int) -> bool:
        ended_s = self._now().ended_s
        longest_s = self.one.policy.cooldown_max_ms // 1000
        return not self._works(at_s) or (ended_s is not None and at_s >= ended_s + longest_s)

    def _look_for(self, at_s: int, booking: Booking) -> None:
        """Nobody came: the booking is freed."""
        since_s = start_s(booking) - self.one.policy.early_ms // 1000
        if booking not in self.slots.standing or self._link[at_s] == OFFLINE:
            return  # whose controller is cut off may come all the same
        began_s = start_s(booking)
        came = any(theirs(each.person, booking) and _is_at(each, since_s, began_s) for each in self.sessions)
        opening = self._state == OPENING and theirs(self._now().person, booking)
        if not came and not opening:
            self.slots.free(at_s, booking)
            if self._state == OPEN:
                self.slots.follow(self._now())
            self._standings.lose(at_s, booking.user, self.one.policy.no_show_points)

    # What is heard

    def _hear(self, at_s: int, each: Heard | Unlock | Lock) -> None:
        if isinstance(each, Heard):
            self._heard_s = at_s
            self._say_again(at_s)
        match each:
            case Unlock():
                person = self._standings.person(each.user)
                self._ask(at_s, person, by_card=False, override=each.override_reason is not None)
            case Lock():
                self._lock(at_s, each)
            case Heard(message=Card() as card) if self._moves(card, at_s):
                self._tap(at_s, self._standings.holder(card.card))
            case Heard(message=Ack() as ack) if self._moves(ack, at_s):
                if not ack.ok:
                    self._refuse(at_s, ack)
                elif ack.relay:
                    self._follow(at_s)
            case Heard(message=Reading() as reading) if self._doubt and reading.relay and self._moves(reading, at_s):
                self._follow(at_s)
            case _:
                pass

    def _moves(self, message: Reading | Card | Ack, at_s: int) -> bool:
        """Does it move live state, and now for the first time?"""
        return self._moving.pop((message.boot, message.seq), None) == at_s

    def _tap(self, at_s: int, person: UserFact) -> None:
        if self._state == OPEN and self._belongs_to(person):
            self._close(at_s, CloseReason.USER)
        else:
            self._ask(at_s, person, by_card=True, override=False)

    def _ask(self, at_s: int, person: UserFact, *, by_card: bool, override: bool) -> None:
        busy = self._now().person.user.id if self._state in {OPENING, OPEN} else None
        online = self._link[at_s] == ONLINE and (self._link[at_s - 1] == ONLINE or at_s == self._heard_s)
        asked = Asked(person, at_s, online, by_card, override, busy, self.slots.standing)
        if busy is None and allowed(asked, self.one, self._standings):
            if self._state == COOLDOWN:
                self.sessions[-1] = replace(self.sessions[-1], cooled_s=at_s)
            self._session = Session(person, own_booking(asked, self.one), at_s)
            self._state = OPENING
            order = self._order
            self._doubt = order is not None and not order.on and order.sent_s is not None and not order.failed
            if self.one.relay:
                self._command(at_s, on=True)
            if self._relay[at_s - 1] == 1 and not self._doubt:
                self._order = None
                self._open(at_s)

    def _lock(self, at_s: int, lock: Lock) -> None:
        if self._state == OPENING:
            self._void(at_s)
        elif self._state == OPEN and (
            lock.reason is not CloseReason.USER or self._belongs_to(self._standings.person(lock.user))
        ):
            self._close(at_s, lock.reason)
        if lock.reason is CloseReason.EMERGENCY and self.one.relay:
            self._command(at_s, on=False)

    def _refuse(self, at_s: int, ack: Ack) -> None:
        if self._said is not None and self._issued.get(ack.cmd) == self._said:
            self._fail(at_s)

    # What follows

    def _now(self) -> Session:
        assert self._session is not None, "asked for the session of a free instrument"  # noqa: S101  # of our own states
        return self._session

    def _belongs_to(self, person: UserFact) -> bool:
        session = self._now()
        return person.user.id == session.person.user.id or (
            session.booking is not None and session.booking.group in person.user.groups
        )

    def _works(self, at_s: int) -> bool:
        return self.one.metered and self._power[at_s] == ACTIVE

    def _command(self, at_s: int, *, on: bool) -> None:
        online = self._link[at_s] == ONLINE
        if online:
            self.commands.append((at_s, on))
            self._said = at_s, on
        self._order = Order(on, at_s if online else None)

    def _say_again(self, at_s: int) -> None:
        """The controller is back: what it was not told, or did not do, it is told now."""
        order = self._order
        is_back = self._link[at_s] == ONLINE and self._link[at_s - 1] != ONLINE
        if order is not None and is_back and order.sent_s != at_s and self._relay[at_s] != order.on:
            self._command(at_s, on=order.on)

    def _fail(self, at_s: int) -> None:
        self.failures.append(at_s)
        self._said = None
        if self._order is not None:
            self._order.failed = True
        if self._state == OPENING:
            self._void(at_s)

    def _void(self, at_s: int) -> None:
        self._doubt = False
        self.voided.append((self._now().requested_s, at_s))
        self._state, self._session = FREE, None
        if self.one.relay:
            self._command(at_s, on=False)

    def _open(self, at_s: int) -> None:
        self._session = replace(self._now(), opened_s=at_s)
        self.sessions.append(self._session)
        self._state, self._idle_s, self._fined = OPEN, 0, False
        self.slots.follow(self._session)
        if (reason := self._end_reason(at_s)) is not None:
            self._close(at_s, reason)

    def _close(self, at_s: int, reason: CloseReason) -> None:
        if reason is CloseReason.IDLE:
            self._standings.lose(at_s, self._now().person.user.id, self.one.policy.idle_points)
            self.slots.offer(self._now().booking)
        self._session = self.sessions[-1] = replace(self._now(), ended_s=at_s, reason=reason)
        self._state = COOLDOWN
        if self.one.relay and self.one.policy.cut is Cut.AT_ONCE:
            self._command(at_s, on=False)
        if self._cooldown_over(at_s):
            self._cool(at_s)

    def _cool(self, at_s: int) -> None:
        ran_out, order = self._works(at_s), self._order
        is_being_cut = order is not None and not order.on and not order.failed
        self._session = self.sessions[-1] = replace(self._now(), cooled_s=at_s)
        self._state = FREE
        if self.one.policy.cut is Cut.WHEN_IDLE and ran_out:
            if not is_being_cut:
                self.unsafe.append(at_s)
        elif self.one.relay and self.one.policy.cut is Cut.WHEN_IDLE:
            self._command(at_s, on=False)

    def _follow(self, at_s: int) -> None:
        """The relay is said to be on, if only within this second."""
        self._doubt = False
        if self._order is not None and self._order.on:
            self._order = None
        if self._state == OPENING:
            self._open(at_s)

    def _see(self, at_s: int) -> None:
        """What holds at the end of all that was heard in this second."""
        if self._order is not None and self._relay[at_s] == self._order.on and not self._doubt:
            self._order = None
        if self._state == OPENING and not self._doubt and (not self.one.relay or self._relay[at_s] == 1):
            self._open(at_s)

    def _count_idle(self, at_s: int) -> None:
        if self._state == OPEN and self._link[at_s] == ONLINE:
            self._idle_s = self._idle_s + 1 if self._is_quiet(at_s) else 0

    def _is_quiet(self, at_s: int) -> bool:
        return self.one.metered and not self._works(at_s) and not self._occupied[at_s]


def _is_at(session: Session, early_s: int, began_s: int) -> bool:
    """Is it a session for a booking: begun when its people may come, or going on when it begins?"""
    return session.opened_s >= early_s or session.ended_s is None or session.ended_s >= began_s


def _second(each: Heard | Unlock | Lock) -> int:
    return (each.at_s if isinstance(each, Heard) else each.at_ms // 1000) - START_S
