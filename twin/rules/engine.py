"""Everything that follows from one event at one instrument: `evaluate` holds all ordering.

Time is let pass first, each thing that comes due at its own moment, then the event happens, then what is due at this
very moment. So it makes no difference how often anybody looks, and a replay of the same events gives the same result.
What follows is recorded before it is carried out.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, assert_never
from zoneinfo import ZoneInfo

import msgspec

from twin.alerts import Alert, AlertKind, AlertState, Condition, Watch, Watched
from twin.alerts import Step as Told
from twin.decisions import Mark, Verdict
from twin.directory import Directory, InstrumentFact, UserFact
from twin.events import Ack, Arrival, Card
from twin.instrument import link_at, order_key
from twin.parties import Booking, DowntimeCause, is_theirs
from twin.permission import AccessDecision
from twin.physics import occupancy_at
from twin.policy import OnUnauthorised
from twin.requests import Acknowledge, Lock, Resolve, Unlock
from twin.rules import access, alerts, billing, ledger, sessions, watch
from twin.rules.accounts import Accounts
from twin.rules.conditions import ALWAYS_OPEN, Surroundings, conditions, online_only
from twin.rules.credit import CreditCause
from twin.rules.outcome import (
    AlertRecord,
    Answer,
    BookingRecord,
    BookingState,
    ChargeRecord,
    Command,
    Consequences,
    CreditRecord,
    Do,
    NoticeRecord,
    SessionRecord,
    SessionStatus,
    alert_id,
)
from twin.rules.session_conditions import session_conditions
from twin.rules.session_signals import signals_of
from twin.rules.session_timers import slot_end
from twin.rules.words import refused_words, warning_words
from twin.sessions import (
    CloseReason,
    CommandFailed,
    Cooldown,
    CooldownEnded,
    Free,
    Ignored,
    Open,
    Opening,
    OverrunBegan,
    RelayCommanded,
    SessionClosed,
    SessionOpened,
    SessionRecorded,
    SessionState,
    SessionVoided,
    Signals,
    Step,
    TapMeaning,
    UnsafeToCut,
    Use,
    UserWarned,
    VoidReason,
)
from twin.state import FOREVER_MS, Book, LinkState, OccupancyState, Outage, Span, Twin, Visit
from twin.station import Station, Terms
from twin.tariffs import NO_ALLOWANCE, NO_FUND, Payer

SAY_FOR_MS = 60_000
"""A text that the controller shows later than this is not shown any more."""
_replace = msgspec.structs.replace


class Scene(msgspec.Struct, frozen=True):
    """What the rules of an instrument look at besides its own station."""

    fact: InstrumentFact
    directory: Directory
    accounts: Accounts
    setting: watch.Setting
    zone: ZoneInfo
    refolding: bool = False
    """The ledger is to be computed anew: what it says of the past is about to change."""


class Heard(msgspec.Struct, frozen=True):
    """A message, what it is to the twin, its own time, and the twin after it."""

    arrival: Arrival
    verdict: Verdict
    at_ms: int
    twin: Twin


Cause: TypeAlias = Heard | Unlock | Lock | Acknowledge | Resolve | None
"""None: only time has passed, or what the scene shows has changed."""


def evaluate(station: Station, cause: Cause, at_ms: int, scene: Scene) -> tuple[Station, Consequences]:
    """The station after an event that the service was told at `at_ms`, and what follows."""
    turn = _Turn(station, scene)
    turn.pass_time(at_ms - 1)  # what was due before, each thing at its own moment
    turn.take(cause, at_ms)  # twin, then access, then session
    turn.pass_time(at_ms)  # what is due at this very moment: people and controllers come first
    turn.keep_ledger(at_ms)  # whatever the ledger owes to the passing of time
    turn.calm_down(at_ms)
    turn.follow_alerts(at_ms)  # alerts see what has become of everything
    return turn.station, turn.follows


def next_due(station: Station, scene: Scene) -> int:
    """When the station must be looked at again though nobody says anything."""
    turn = _Turn(station, scene)
    due_ms = min(turn.session_due_ms(), turn.no_show_due_ms(), station.twin.book.due_ms)
    return due_ms if _is_quiet(station) else min(due_ms, station.alerts_due_ms)


def _is_quiet(station: Station) -> bool:
    """Can no alert come of it unless the twin changes? There is none, no session, nobody, and the door is shut."""
    physics = station.twin.physics
    occupancy, door = physics.occupancy, physics.door_open
    is_empty = occupancy is None or occupancy.occupied_end_ms < FOREVER_MS
    is_shut = door is None or not door.on
    return is_empty and is_shut and not station.watch.active and isinstance(station.control.state, Free)


def question(station: Station, scene: Scene, wish: Unlock, holder: UserFact) -> access.Question:
    """What a wish at a screen depends on."""
    return _Turn(station, scene).question(wish, holder, access.Origin.SCREEN)


class _Turn:
    """One event on its way through the rules of one instrument."""

    def __init__(self, station: Station, scene: Scene) -> None:
        self.station = station
        self.scene = scene
        self.follows = Consequences()
        self._unwatched = False
        self._standing: tuple[tuple[str, ...], Sequence[Booking]] | None = None
        self.policy = scene.fact.policy
        self._refresh()

    # What things are

    @property
    def code(self) -> str:
        return self.scene.fact.code

    @property
    def bookings(self) -> Sequence[Booking]:
        freed = self.station.freed
        if self._standing is None or self._standing[0] is not freed:
            known = self.scene.directory.bookings(self.code)
            self._standing = freed, tuple(each for each in known if each.id not in freed) if freed else known
        return self._standing[1]

    @property
    def book(self) -> Book:
        return self.station.twin.book

    def _set(self, **changes: object) -> None:
        self.station = _replace(self.station, **changes)

    def _refresh(self) -> None:
        """Let the session know what the twin has said since; messages that only confirm it do not come this way."""
        signals = self._signals()
        if signals != self.station.control.signals:
            self._set(control=_replace(self.station.control, signals=signals))

    def _signals(self) -> Signals:
        physics = self.station.twin.physics
        return signals_of(self.station.twin, self.policy, has_relay=physics.has_relay, has_meter=physics.has_meter)

    # Time

    def pass_time(self, until_ms: int) -> None:
        """Everything that comes due up to a moment."""
        while (due_ms := min(self.session_due_ms(), self.no_show_due_ms())) <= until_ms:
            self._come_to(due_ms)
            if due_ms == self.session_due_ms():
                control = self.station.control
                self._decide(sessions.advance(control, due_ms, self.bookings, self.policy), due_ms)
            else:
                self._miss(due_ms)
        self.follow_alerts(until_ms)
        settled_ms = max(self.station.control.settled_ms, until_ms)
        self._set(control=_replace(self.station.control, settled_ms=settled_ms))

    def _come_to(self, at_ms: int) -> None:
        """Alerts up to a moment by what was so before it; at the moment itself they see what has become of it."""
        self.follow_alerts(at_ms - 1)
        seen = self.station.watch
        if seen.asked_ms:
            self._set(watch=_replace(seen, asked_ms=max(seen.asked_ms, at_ms)))
        self._unwatched = True

    def session_due_ms(self) -> int:
        return sessions.next_due(self.station.control, self.bookings, self.policy)

    def no_show_due_ms(self) -> int:
        """When the first booking is over that nobody came to, of those that were not looked at before."""
        settled_ms, attended = self.station.control.settled_ms, self.station.attended
        if not settled_ms:
            return FOREVER_MS
        for booking in self.bookings:  # in the order of their starts
            if self._no_show_ms(booking) > settled_ms and booking.id not in attended:
                latest_ms = booking.start_ms + self.policy.no_show_ms
                rivals = (each for each in self.bookings if booking.start_ms <= each.start_ms < latest_ms)
                dues = (self._no_show_ms(each) for each in rivals if each.id not in attended)
                return min(due_ms for due_ms in dues if due_ms > settled_ms)
        return FOREVER_MS

    def _no_show_ms(self, booking: Booking) -> int:
        return min(booking.start_ms + self.policy.no_show_ms, booking.end_ms)

    def _miss(self, at_ms: int) -> None:
        """What becomes of bookings whose time to come is over."""
        attended = self.station.attended
        for booking in self.bookings:
            if self._no_show_ms(booking) != at_ms or booking.id in attended:
                continue
            if self._is_there(booking):
                self._attend(booking.id)
            else:
                self._free(booking.id, BookingState.NO_SHOW)
                self._credit(booking.user, CreditCause.NO_SHOW, at_ms, booking.id)
                self._charge_no_show(booking, at_ms)
                self._raise(AlertKind.NO_SHOW, at_ms)
        self._set(control=_replace(self.station.control, settled_ms=max(self.station.control.settled_ms, at_ms)))

    def _is_there(self, booking: Booking) -> bool:
        state = self.station.control.state
        return isinstance(state, Open | Opening) and is_theirs(state.use.user, booking)

    def _attend(self, booking: str) -> None:
        if booking in self.station.attended:
            return
        known = {each.id for each in self.scene.directory.bookings(self.code)}
        self._set(attended=(*(each for each in self.station.attended if each in known), booking))

    def _free(self, booking: str, state: BookingState) -> None:
        known = {each.id for each in self.scene.directory.bookings(self.code)}
        self._set(freed=(*(each for each in self.station.freed if each in known), booking))
        self.follows.bookings.append(BookingRecord(booking, state))

    # The event itself

    def take(self, cause: Cause, at_ms: int) -> None:
        """Let the event happen."""
        self._come_to(at_ms)
        match cause:
            case Heard():
                self._hear(cause)
            case Unlock():
                self._unlock(cause)
            case Lock():
                self._lock(cause)
            case Acknowledge() | Resolve():
                self._see_to(cause)
            case None:
                self._look_again(at_ms)
            case _:
                assert_never(cause)

    def _hear(self, heard: Heard) -> None:
        arrival, message = heard.arrival, heard.arrival.message
        at_ms = arrival.received_ms
        self._enter(heard)
        control, around = self.station.control, (self.bookings, self.policy)
        if isinstance(message, Ack) and not message.ok:
            self._decide(sessions.command_refused(control, at_ms, *around, message.cmd), at_ms)
        event_ms = heard.at_ms if heard.verdict is Verdict.LIVE else None
        step = sessions.observe(self.station.control, self._signals(), at_ms, *around, event_ms=event_ms)
        self._decide(step, at_ms)
        if isinstance(message, Card) and heard.verdict is Verdict.LIVE:
            self._tap(message, arrival)

    def _enter(self, heard: Heard) -> None:
        """The message into the books: at the end, or, where it comes late, in its place by computing them anew."""
        before, after = self.station.twin, heard.twin
        if order_key(heard.at_ms, heard.arrival) < before.book.physics.newest:
            self._set(twin=_replace(after, book=before.book))
            self._refold(heard.at_ms)
            return
        shared = before.book.physics is before.physics and after.physics is not before.physics
        physics = after.physics if shared else None
        book, spans = ledger.advance(before.book, heard.arrival, heard.at_ms, self.policy, physics=physics)
        if ledger.crosses_mark(before.book, book):
            self.follows.marks.append(Mark(heard.arrival.controller, heard.at_ms, book))
        self._set(twin=_replace(after, book=book))
        self._write(spans)

    def _tap(self, card: Card, arrival: Arrival) -> None:
        """Somebody holds a card to the reader."""
        holder = self.scene.directory.holder(card.card)
        at_ms = arrival.received_ms
        if holder is None:
            self._deny(None, at_ms)
            return
        user = self.scene.accounts.user(holder)
        means_end = sessions.tap_means(self.station.control, user) is TapMeaning.END
        if means_end and card.action != "in":
            self._end(CloseReason.USER, at_ms)
            self._set(grants_ms=self._lately(self.station.grants_ms, self.policy.door_grant_ms, at_ms))
        elif card.action != "out":
            wish = Unlock(number=arrival.number, at_ms=at_ms, instrument=self.code, user=user.id)
            decision, _ = self._ask(wish, holder, access.Origin.CARD)
            if not decision.granted:
                self._deny(decision, at_ms)

    def _deny(self, decision: AccessDecision | None, at_ms: int) -> None:
        self._set(denials_ms=self._lately(self.station.denials_ms, self.policy.denials_within_ms, at_ms))
        self._say(refused_words(decision.reason if decision else None), at_ms)

    def _lately(self, moments_ms: tuple[int, ...], within_ms: int, at_ms: int) -> tuple[int, ...]:
        return (*(each for each in moments_ms if each > at_ms - 2 * within_ms), at_ms)

    def _unlock(self, wish: Unlock) -> None:
        holder = self.scene.directory.users.get(wish.user)
        if holder is None:
            self.follows.answers.append(Answer(wish.number))
            return
        decision, session = self._ask(wish, holder, access.Origin.SCREEN)
        self.follows.answers.append(Answer(wish.number, decision, session))

    def _ask(self, wish: Unlock, holder: UserFact, origin: access.Origin) -> tuple[AccessDecision, str | None]:
        """The answer of the rules; where it is yes, the session that it leads to, or is part of."""
        decision = access.decide(self.question(wish, holder, origin))
        if not decision.granted:
            return decision, None
        self._set(grants_ms=self._lately(self.station.grants_ms, self.policy.door_grant_ms, wish.at_ms))
        use = self._use(wish, decision, holder)
        self._decide(sessions.open_(self.station.control, use, decision, self.bookings, self.policy), wish.at_ms)
        state = self.station.control.state
        return decision, None if isinstance(state, Free) else state.use.id

    def question(self, wish: Unlock, holder: UserFact, origin: access.Origin) -> access.Question:
        """All that access depends on."""
        directory, accounts = self.scene.directory, self.scene.accounts
        user, own = accounts.user(holder), wish.booking
        bookings = self.bookings
        if own is not None:
            bookings = tuple(each for each in bookings if each.id == own or not is_theirs(user, each))
        projects = (each for each in directory.projects.values())
        return access.Question(
            at_ms=wish.at_ms,
            user=user,
            instrument=self.code,
            policy=self.policy,
            opening=self.scene.fact.opening,
            link=link_at(self.station.twin.link, wish.at_ms, self.policy)[0],
            origin=origin,
            downtimes=self.scene.fact.downtimes,
            session=sessions.running(self.station.control, self.bookings, self.policy),
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

    def _use(self, wish: Unlock, decision: AccessDecision, holder: UserFact) -> Use:
        return Use(
            id=str(wish.number),
            user=self.scene.accounts.user(holder),
            requested_ms=wish.at_ms,
            booking=next((each for each in self.bookings if each.id == decision.booking), None),
            project=decision.project,
            override_reason=decision.override_reason,
            maintenance=wish.maintenance and self.code in holder.user.operates,
        )

    def _lock(self, wish: Lock) -> None:
        state = self.station.control.state
        if wish.reason is CloseReason.USER and not self._may_end(wish.user):
            self.follows.answers.append(Answer(wish.number))
            return
        self._end(wish.reason, wish.at_ms)
        ended = state.use.id if isinstance(state, Open | Opening) else None
        self.follows.answers.append(Answer(wish.number, session=ended))

    def _may_end(self, user: str) -> bool:
        """Is the session theirs, or that of their group?"""
        holder = self.scene.directory.users.get(user)
        running = sessions.running(self.station.control, self.bookings, self.policy)
        return holder is not None and running is not None and is_theirs(holder.user, running)

    def _end(self, reason: CloseReason, at_ms: int) -> None:
        self._decide(sessions.close(self.station.control, reason, at_ms, self.bookings, self.policy), at_ms)

    def _see_to(self, wish: Acknowledge | Resolve) -> None:
        """Somebody sees to an alert; one that does not fire any more is left alone."""
        active = self.station.watch.active
        firing = next((each for each in active if each.kind is wish.kind and each.state is AlertState.FIRING), None)
        if firing is None:
            return
        seen = watch.seen_to(firing, wish)
        left = [each for each in active if each is not firing] + [seen] * (seen.state is AlertState.FIRING)
        self._set(watch=_replace(self.station.watch, active=watch.in_order(left)))
        self.follows.alerts.append(AlertRecord(self.code, firing.fired_ms, seen))

    def _look_again(self, at_ms: int) -> None:
        """What the scene shows may have changed: slots that end at another time, other outages."""
        before = self.book.visits
        visits, outages = tuple(self._visit_now(each) for each in before), self._outages()
        known = tuple(each for each in self.book.outages if each.until_ms >= self._horizon_ms())
        if (visits, outages) != (before, known):
            moved = [*_moved(before, visits), *_moved_outages(known, outages)]
            self._amend(visits, min(moved, default=at_ms), at_ms, outages)
        state = self.station.control.state
        if visits != before and isinstance(state, Open):
            self._record(state.use, SessionStatus.OPEN, opened_ms=state.opened_ms)

    def _visit_now(self, visit: Visit) -> Visit:
        state = self.station.control.state
        if isinstance(state, Open) and visit.session == state.use.id:
            return _replace(visit, overrun_ms=self._overrun_ms(state.use))
        return visit

    def _horizon_ms(self) -> int:
        """How far back the book reaches."""
        return self.book.physics.newest[0] - self.policy.clock_tolerance_ms

    def _outages(self) -> tuple[Outage, ...]:
        return outages_of(self.scene.fact, self._horizon_ms())

    # What follows from a step of the session

    def _decide(self, step: Step, now_ms: int) -> None:
        """Take a step: what it has decided goes on record, in order."""
        before = self.station.control.state
        self._set(control=step.control)
        self._unwatched |= bool(step.decisions)
        for decision in step.decisions:
            match decision:
                case SessionRecorded() | SessionOpened() | SessionVoided() | SessionClosed():
                    self._move(decision, before, step.control.state, now_ms)
                case RelayCommanded():
                    self._command(decision)
                case UserWarned(at_ms=at_ms, slot_end_ms=slot_end_ms):
                    self._say(warning_words(slot_end_ms, self.scene.zone), at_ms)
                case UnsafeToCut(at_ms=at_ms):
                    self._set(unsafe_ms=at_ms)
                case CommandFailed(at_ms=at_ms):
                    self._raise(AlertKind.COMMAND_FAILED, at_ms)
                case OverrunBegan() | CooldownEnded() | Ignored():
                    pass
                case _:
                    assert_never(decision)

    def _move(
        self,
        decision: SessionRecorded | SessionOpened | SessionVoided | SessionClosed,
        before: SessionState,
        after: SessionState,
        now_ms: int,
    ) -> None:
        """A session has come further."""
        match decision:
            case SessionRecorded(use=use):
                self._set(unsafe_ms=None)
                self._record(use, SessionStatus.OPENING)
            case SessionOpened(at_ms=at_ms):
                self._opened(after, at_ms, now_ms)
            case SessionVoided(at_ms=at_ms, reason=reason):
                assert isinstance(before, Opening)  # noqa: S101 - only what has not opened is void
                self._record(before.use, SessionStatus.VOID, ended_ms=at_ms, reason=reason)
            case SessionClosed(at_ms=at_ms, reason=reason):
                self._closed(after, before, at_ms, reason, now_ms)

    def _command(self, decision: RelayCommanded) -> None:
        self.follows.commands.append(
            Command(
                controller=self.scene.fact.controller,
                id=decision.id,
                at_ms=decision.at_ms,
                expires_ms=decision.expires_ms,
                do=Do.RELAY,
                relay=decision.on,
                reason="session" if decision.on else "end",
            )
        )

    def _say(self, text: str, at_ms: int) -> None:
        """Let the controller show a text, if it can be reached."""
        if link_at(self.station.twin.link, at_ms, self.policy)[0] is not LinkState.ONLINE:
            return
        self.follows.commands.append(
            Command(
                controller=self.scene.fact.controller,
                id=f"{at_ms}-say",
                at_ms=at_ms,
                expires_ms=at_ms + SAY_FOR_MS,
                do=Do.SAY,
                text=text,
                reason="notice",
            )
        )

    def _opened(self, state: SessionState, at_ms: int, now_ms: int) -> None:
        assert isinstance(state, Open)  # noqa: S101 - what has just opened is open
        use = state.use
        holder = self.scene.directory.users.get(use.user.id)
        tariff = self.scene.fact.prices.in_force(at_ms)
        self._set(terms=Terms(holder.payer if holder else Payer.INTERNAL, tariff))
        visit = Visit(at_ms, FOREVER_MS, self._overrun_ms(use), use.maintenance, use.id)
        self._amend((*self.book.visits, visit), at_ms, now_ms)
        for booking in self.bookings:
            if is_theirs(use.user, booking) and booking.start_ms - self.policy.early_ms <= at_ms < booking.end_ms:
                self._attend(booking.id)
                self.follows.bookings.append(BookingRecord(booking.id, BookingState.USED))
        self._record(use, SessionStatus.OPEN, opened_ms=at_ms)

    def _overrun_ms(self, use: Use) -> int:
        end_ms = slot_end(use, self.bookings)
        return FOREVER_MS if end_ms is None else end_ms + self.policy.grace_ms

    def _closed(self, state: SessionState, before: SessionState, at_ms: int, reason: CloseReason, now_ms: int) -> None:
        over = state if isinstance(state, Cooldown) else before
        assert isinstance(over, Cooldown | Open)  # noqa: S101 - what has closed was open
        use, opened_ms = over.use, over.opened_ms
        visits = tuple(_replace(each, end_ms=at_ms) if each.session == use.id else each for each in self.book.visits)
        self._amend(visits, at_ms, now_ms)
        for booking in self.bookings:  # who was there when it began has come, by whatever right
            if is_theirs(use.user, booking) and booking.start_ms <= at_ms and opened_ms < booking.end_ms:
                self._attend(booking.id)
        terms = self._charge_session(use, opened_ms, at_ms)
        self._record(use, SessionStatus.CLOSED, opened_ms=opened_ms, ended_ms=at_ms, reason=reason, terms=terms)
        self._set(terms=None)
        if reason is CloseReason.IDLE:
            self._credit(use.user.id, CreditCause.IDLE, at_ms, use.id)
            if use.booking is not None:
                self._free(use.booking.id, BookingState.RELEASED)

    def _record(
        self,
        use: Use,
        status: SessionStatus,
        *,
        opened_ms: int | None = None,
        ended_ms: int | None = None,
        reason: CloseReason | VoidReason | None = None,
        terms: Terms | None = None,
    ) -> None:
        overrun_ms = self._overrun_ms(use)
        self.follows.sessions.append(
            SessionRecord(
                id=use.id,
                instrument=self.code,
                user=use.user.id,
                project=use.project,
                booking=None if use.booking is None else use.booking.id,
                status=status,
                requested_ms=use.requested_ms,
                opened_ms=opened_ms,
                ended_ms=ended_ms,
                overrun_ms=None if overrun_ms == FOREVER_MS else overrun_ms,
                reason=reason,
                override_reason=use.override_reason,
                maintenance=use.maintenance,
                terms=terms or self.station.terms,
            )
        )

    # Money and credit

    def _charge_session(self, use: Use, opened_ms: int, ended_ms: int) -> Terms | None:
        """The line for a session that is over. Where the ledger is to be computed anew, the line waits for that."""
        terms = self.station.terms
        if terms is None or terms.tariff is None or self.scene.refolding or self.follows.refold_ms is not None:
            return terms
        fact = self.scene.directory.projects.get(use.project or "")
        allowance = self.scene.accounts.allowance(fact) if fact else NO_ALLOWANCE
        fund = self.scene.accounts.fund(fact) if fact else NO_FUND
        charge = billing.charge(
            self.book.spans,
            opened_ms,
            ended_ms,
            terms.tariff,
            terms.payer,
            zone=self.scene.zone,
            allowance=allowance,
            fund=fund,
        )
        self._book_line(
            ChargeRecord(
                at_ms=ended_ms, user=use.user.id, project=use.project, line=charge.line, session=use.id, charge=charge
            )
        )
        return _replace(terms, allowance=allowance, fund=fund)

    def _charge_no_show(self, booking: Booking, at_ms: int) -> None:
        tariff = self.scene.fact.prices.in_force(booking.start_ms)
        line = billing.no_show(booking.estimate_cny, tariff) if tariff else None
        if line is not None:
            self._book_line(
                ChargeRecord(at_ms=at_ms, user=booking.user, project=booking.project, line=line, booking=booking.id)
            )

    def _book_line(self, record: ChargeRecord) -> None:
        self.follows.charges.append(record)
        if record.project is not None:
            line = record.line
            self.scene.accounts.charge(record.project, line.net_cny, line.allowance_min, line.subsidy_cny)

    def _credit(self, user: str, cause: CreditCause, at_ms: int, about: str) -> None:
        line = self.scene.accounts.next_line(user, cause, at_ms, about, self.policy)
        self.scene.accounts.note(user, line)
        self.follows.credit.append(CreditRecord(user, line))

    # The ledger

    def keep_ledger(self, at_ms: int) -> None:
        """What the ledger comes to by the passing of time alone."""
        if self.book.due_ms <= at_ms:
            book, spans = ledger.settle(self.book, at_ms, self.policy)
            self._set(twin=_replace(self.station.twin, book=book))
            self._write(spans)

    def _amend(
        self, visits: tuple[Visit, ...], since_ms: int, now_ms: int, outages: tuple[Outage, ...] | None = None
    ) -> None:
        """The books with other sessions or outages, none of which has changed before `since_ms`."""
        book, outages = self.book, self._outages() if outages is None else outages
        if since_ms < book.physics.newest[0]:
            new = _replace(book, visits=visits, outages=outages)
            self._refold(since_ms)
        else:
            new, spans = ledger.amended(book, visits, outages, now_ms, self.policy)
            self._write(spans)
        self._set(twin=_replace(self.station.twin, book=new))

    def _refold(self, since_ms: int) -> None:
        known_ms = self.follows.refold_ms
        self.follows.refold_ms = since_ms if known_ms is None else min(known_ms, since_ms)

    def _write(self, spans: tuple[Span, ...] | None) -> None:
        if spans is not None:
            self.follows.spans = ledger.overlaid(self.follows.spans or (), spans)

    # Alerts

    def follow_alerts(self, at_ms: int) -> None:
        """All alerts up to a moment, by what is known now."""
        seen = self.station.watch
        if not self._unwatched and at_ms < self.station.alerts_due_ms:
            self._set(watch=_replace(seen, asked_ms=max(seen.asked_ms, at_ms)))
            return
        self._unwatched = False
        seen = seen if seen.asked_ms else Watch(at_ms)
        self._note(watch.follow(seen, self._conditions, at_ms, self.policy, self.scene.setting))

    def _conditions(self, at_ms: int) -> Mapping[AlertKind, Condition]:
        twin, control = self.station.twin, self.station.control
        around = Surroundings(
            self._opening_ms(twin, at_ms),
            self.station.grants_ms,
            self.station.denials_ms,
            in_session=isinstance(control.state, Open | Opening),
        )
        told = conditions(twin, at_ms, self.policy, around)
        unsafe_ms, relay = self.station.unsafe_ms, twin.physics.relay
        of_session = session_conditions(control, at_ms, self.bookings, self.policy, relay=relay, unsafe_ms=unsafe_ms)
        online = {kind: online_only(kind, each, twin, at_ms, self.policy) for kind, each in of_session.items()}
        return {**told, **online}

    def _opening_ms(self, twin: Twin, at_ms: int) -> tuple[int, ...]:
        occupancy = twin.physics.occupancy
        if occupancy is None or occupancy_at(occupancy, at_ms, self.policy)[0] is not OccupancyState.OCCUPIED:
            return ALWAYS_OPEN  # it matters only where somebody is
        return self.scene.directory.opening_times(self.code, at_ms)

    def calm_down(self, at_ms: int) -> None:
        """What could not be cut has stopped by itself: should it work again, that is another matter."""
        signals = self.station.control.signals
        has_stopped = signals.relay_on is False or at_ms >= (signals.active_until_ms or 0)
        if self.station.unsafe_ms is not None and has_stopped:
            self._set(unsafe_ms=None)
            self._unwatched = True

    def _raise(self, kind: AlertKind, at_ms: int) -> None:
        """A single event that an alert is about."""
        self.follow_alerts(at_ms)
        seen, notices = watch.record(self.station.watch, kind, self.policy, self.scene.setting)
        self._note(Watched(seen, (), notices, min([self.station.alerts_due_ms, *map(alerts.next_due, seen.active)])))

    def _note(self, watched: Watched) -> None:
        """Alerts that have fired, changed or ended, and what people are told."""
        before = set(self.station.watch.active)
        self._set(watch=watched.watch, alerts_due_ms=watched.due_ms)
        changed = [each for each in watched.watch.active if each.state is AlertState.FIRING and each not in before]
        for alert in (*watched.ended, *changed):
            self.follows.alerts.append(AlertRecord(self.code, alert.fired_ms, alert))
        for notice in watched.notices:
            alert = watch.told_of(notice, (*watched.ended, *watched.watch.active))
            self.follows.notices.append(NoticeRecord(alert_id(self.code, alert, alert.fired_ms), notice))
            if notice.step is Told.FIRED:
                self._fired(alert)

    def _fired(self, alert: Alert) -> None:
        """What follows from an alert besides telling people."""
        state, at_ms = self.station.control.state, alert.fired_ms
        if alert.kind is AlertKind.OVERRUN and isinstance(state, Open):
            self._credit(state.use.user.id, CreditCause.OVERRUN, at_ms, state.use.id)
        cuts = self.policy.on_unauthorised is OnUnauthorised.CUT
        if alert.kind is AlertKind.POWER_WITHOUT_SESSION and cuts and isinstance(state, Free | Cooldown):
            self._end(CloseReason.EMERGENCY, max(at_ms, self.station.control.settled_ms))


def outages_of(fact: InstrumentFact, since_ms: int) -> tuple[Outage, ...]:
    """When an instrument is kept out of service, as far as that is not over before a moment."""
    outages = (each for each in fact.downtimes if each.cause is DowntimeCause.OUTAGE and each.until_ms >= since_ms)
    return tuple(Outage(each.from_ms, each.until_ms) for each in outages)


def _moved(before: tuple[Visit, ...], after: tuple[Visit, ...]) -> list[int]:
    """The moments from which on sessions are booked otherwise than before."""
    pairs = zip(before, after, strict=True)
    return [min(old.overrun_ms, new.overrun_ms) for old, new in pairs if old != new]


def _moved_outages(before: tuple[Outage, ...], after: tuple[Outage, ...]) -> list[int]:
    changed = set(before) ^ set(after)
    return [min(each.from_ms, each.until_ms) for each in changed]
