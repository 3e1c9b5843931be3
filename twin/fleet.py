"""All stations and their timers: `Fleet.handle(event) -> Outcome`.

The only owner of state. It knows no clock, waits for nothing and does no input or output.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from twin.alerts import AlertKind, Silence
from twin.decisions import Mark, Rewrite, Verdict
from twin.directory import BookingFact, Directory, Fact, GrantsFact, InstrumentFact, SiteFact
from twin.events import Arrival, Event, Tick
from twin.instrument import apply, next_change, order_key
from twin.parties import Booking
from twin.permission import AccessDecision
from twin.policy import Policy
from twin.requests import (
    Acknowledge,
    BrokerSeen,
    Corrected,
    Learnt,
    Lock,
    Request,
    Resolve,
    Silenced,
    Unlock,
    Unsent,
    moment,
)
from twin.rules import access, engine, grants, ledger
from twin.rules.accounts import Accounts
from twin.rules.engine import Cause, evaluate, next_due
from twin.rules.months import Months
from twin.rules.outcome import Answer, Bill, Billed, Consequences, Outcome, together
from twin.rules.site import SiteWatch, gone_since
from twin.rules.turn import offline
from twin.rules.turn.state import Changed, Heard, Scene, outages_of
from twin.rules.watch import Setting
from twin.seat import Seat, only_confirms, shared, with_twin
from twin.sessions import OrderState
from twin.state import FOREVER_MS, NEW_TWIN, Book, Outage, Span, Twin, Visit
from twin.station import NEW_STATION, SiteState, Station


class Fleet:
    """The stations of all registered controllers, and what their rules know of people, money and bookings."""

    def __init__(self) -> None:
        self.directory = Directory()
        self.accounts = Accounts()
        self.site = SiteWatch()
        self.months = Months()
        self._seats: dict[str, Seat] = {}
        self._controllers: dict[str, str] = {}
        self._timers: list[tuple[int, str]] = []
        self._silences: tuple[Silence, ...] = ()
        self._was_offline = False
        self._behind: dict[str, None] = {}
        """Controllers whose ledger must catch up with the present: once for many messages that tell of the past."""

    def __len__(self) -> int:
        return len(self._seats)

    def __iter__(self) -> Iterator[str]:
        return iter(self._seats)

    def __contains__(self, controller: str) -> bool:
        return controller in self._seats

    def register(self, controller: str, policy: Policy, twin: Twin = NEW_TWIN) -> None:
        """Take in a controller whose instrument has its name: for what is about twins alone."""
        self.seat(InstrumentFact(code=controller, controller=controller, policy=policy), Station(twin=twin))

    def seat(self, fact: InstrumentFact, station: Station = NEW_STATION) -> None:
        """Take a station in: new, or as its checkpoint has it."""
        self.directory.learn(fact)
        seat = self._seats[fact.controller] = Seat(shared(station), fact)
        self._controllers[fact.code] = fact.controller
        self.site.controllers = len(self._seats)
        link = station.twin.link
        since_ms = max(station.watch.asked_ms, 0 if link is None else link.heard_ms)
        self._look_ahead(seat, since_ms)
        self.site.note(fact.controller, gone_since(station.twin, since_ms, fact.policy))

    def restore_site(self, state: SiteState) -> None:
        """Go on with what was believed of the site, once all stations are seated."""
        self.site.restore(state)
        self._was_offline = self.site.is_offline

    def remove(self, controller: str) -> None:
        """Let a controller go; what it says from now on is unknown."""
        del self._controllers[self._seats.pop(controller).fact.code]
        self.site.controllers = len(self._seats)

    def twin(self, controller: str) -> Twin:
        """The present state of a controller's twin. Raises KeyError."""
        return self._seats[controller].station.twin

    def station(self, controller: str) -> Station:
        """The present state of a controller's station. Raises KeyError."""
        return self._seats[controller].station

    def told_until_ms(self) -> int:
        """The last moment at which any station was told something; 0 if none ever was."""
        return max((seat.told_ms for seat in self._seats.values()), default=0)

    def within_reach_ms(self, until_ms: int, timers: int) -> int:
        """The latest moment up to `until_ms` by which no more timers than so many ring, but for those of one moment."""
        if len(self._timers) <= timers:
            return until_ms
        return min(until_ms, heapq.nsmallest(timers, self._timers)[-1][0])

    def policy(self, controller: str) -> Policy:
        """The policy in force for a controller's twin. Raises KeyError."""
        return self._seats[controller].fact.policy

    def learn(self, fact: Fact) -> None:
        """A fact that was known before anything is handled."""
        self.directory.learn(fact)
        self.site.policy = self.directory.site.policy
        if isinstance(fact, SiteFact):
            self.months = Months()  # its zone may be another

    def silence(self, silences: Sequence[Silence]) -> None:
        """The silences in force, as they are restored."""
        self._silences = tuple(silences)

    def access(self, wish: Unlock) -> AccessDecision | None:
        """What the answer to a wish would be, without doing anything; None: nobody knows the person."""
        holder = self.directory.users.get(wish.user)
        controller = self._controllers.get(wish.instrument)
        if holder is None or controller is None:
            return None
        seat = self._seats[controller]
        return access.decide(engine.question(seat.station, self._scene(seat), wish, holder))

    def grants(self, controller: str, now_ms: int) -> GrantsFact | None:
        """What a controller is to be told that it may allow by itself; None: what it was last told will do.

        Raises KeyError.
        """
        seat, directory = self._seats[controller], self.directory
        standing = directory.standing(seat.fact.code, seat.station.freed)
        present = grants.windows(grants.Scene(seat.fact, standing, directory, self.accounts), now_ms)
        return grants.issued(directory.grants.get(controller), seat.fact, present, now_ms)

    def handle(self, event: Event | Request) -> Outcome:
        """Apply one event: the stations it concerns change, and what follows is returned.

        What was due anywhere before the event happens first, each thing at its own time.
        """
        now_ms = event.received_ms if isinstance(event, Arrival) else moment(event)
        if self.months.due_ms == FOREVER_MS:
            self.months.begin(now_ms, self.directory.site.zone)
        if self.next_due_ms() >= now_ms:
            return self._happen(event)
        passed = self._pass_time(now_ms - 1)
        outcome = self._happen(event)
        return together([*passed, outcome], outcome.at_ms, outcome.verdict) if passed else outcome

    def _happen(self, event: Event | Request) -> Outcome:
        if isinstance(event, Arrival):
            return self._arrive(event)
        return self._tick(event.now_ms) if isinstance(event, Tick) else self._requested(event)

    def _tick(self, now_ms: int) -> Outcome:
        behind, self._behind = self._behind, {}
        caught_up = [self._turn(self._seats[each], None, now_ms) for each in behind if each in self._seats]
        return together([*self._pass_time(now_ms), *caught_up], now_ms)

    def _requested(self, event: Request) -> Outcome:
        match event:
            case Unlock() | Lock() | Unsent():
                return self._ask(event)
            case Acknowledge() | Resolve():
                return self._see_to(event)
            case Silenced():
                return self._fall_silent(event)
            case Learnt():
                return self._learn(event)
            case BrokerSeen():
                return self._site(self.site.hear_of_broker(up=event.up, at_ms=event.at_ms), event.at_ms)
            case Corrected():
                self.accounts.charge(event.project, event.net_cny, event.allowance_min, event.subsidy_cny)
                return Outcome(at_ms=event.at_ms)

    def refold(
        self,
        controller: str,
        base: Book,
        told: Iterable[tuple[int, Arrival]],
        now_ms: int,
        *,
        visits: tuple[Visit, ...] | None = None,
        bills: Sequence[Bill] = (),
    ) -> tuple[Outcome, tuple[Billed, ...]]:
        """Compute a ledger anew from a mark and the messages after it, and take the result as the station's book.

        `visits`: the sessions as they stand, from before `base` on; those that the book knows where they are left out.
        `bills`: sessions that are over, to be charged by the ledger as it is now.
        """
        seat = self._seats[controller]
        seat.trail = tuple(book for book in seat.trail if book.physics.newest <= base.physics.newest)
        seat.refolding = False
        known = seat.station.twin.book
        book, rewrite, marks = ledger.refold(
            controller,
            base,
            told,
            now_ms,
            seat.fact.policy,
            visits=known.visits if visits is None else visits,
            outages=outages_of(seat.fact, 0),
        )
        twin = msgspec.structs.replace(seat.station.twin, book=book)
        self._put(seat, msgspec.structs.replace(seat.station, twin=twin), now_ms)
        spans = ledger.overlaid(base.spans, rewrite.spans)
        billed = tuple(self._billed(bill, spans) for bill in bills)
        return Outcome(at_ms=now_ms, changed=(controller,), rewrites=(rewrite,), marks=marks), billed

    def _billed(self, bill: Bill, spans: tuple[Span, ...]) -> Billed:
        """A session charged by the ledger; anew with what was left of allowance and fund the first time."""
        project = self.directory.projects.get(bill.project or "")
        times_ms = (bill.start_ms, bill.end_ms)
        charge, terms = self.accounts.cost(spans, times_ms, bill.terms, project, self.directory.site.zone)
        return Billed(msgspec.structs.replace(bill, terms=terms), charge)

    def needs_ledgers(self, event: Event | Request, behind: Iterable[str]) -> bool:
        """Would a station be judged by its ledger, because of an event or of the time that passes until then?

        `behind`: those whose ledgers are to be computed anew. That must come first, or what follows would depend on
        when it is done.
        """
        stations = ((each, self._seats[each].station) for each in behind if each in self._seats)
        return any(offline.needs_ledger(station, controller, event, moment(event)) for controller, station in stations)

    def next_due_ms(self) -> int:
        """When the next timer may be due; never later than it is."""
        return min(self._timers[0][0] if self._timers else FOREVER_MS, self.site.due_ms, self.months.due_ms)

    def is_due(self, now_ms: int) -> bool:
        """Would it lead to anything to let time pass up to a moment?"""
        return bool(self._behind) or self.next_due_ms() <= now_ms

    def _arrive(self, arrival: Arrival) -> Outcome:
        controller = arrival.controller
        seat = self._seats.get(controller)
        if seat is None:
            return Outcome(Verdict.UNKNOWN_CONTROLLER, arrival.received_ms)
        station = seat.station
        before, policy = station.twin, seat.fact.policy
        verdict, at_ms, after = apply(before, arrival, policy)
        if verdict is not Verdict.LIVE and verdict is not Verdict.LATE:
            return Outcome(verdict, at_ms)
        order = station.control.order
        is_awaited = order is not None and (order.state is OrderState.SENT or order.in_doubt)
        waits = is_awaited or station.card_in is not None
        if arrival.received_ms < seat.timer_ms and not waits and only_confirms(before, after, arrival):
            return self._confirm(seat, arrival, verdict, at_ms, after)
        return self._turn(seat, Heard(arrival, verdict, at_ms, after), arrival.received_ms, verdict, at_ms)

    def _confirm(self, seat: Seat, arrival: Arrival, verdict: Verdict, at_ms: int, after: Twin) -> Outcome:
        """A message that tells no rule anything new, as almost every one does: only the ledger takes it in."""
        controller, station = arrival.controller, seat.station
        before = station.twin
        key = order_key(at_ms, arrival)
        if key < before.book.physics.newest:
            seat.station = with_twin(station, after)
            refold = seat.outdated(ledger.reached_ms(arrival.message, at_ms, seat.fact.policy), key)
            return Outcome(verdict, at_ms, (controller,), refolds=(refold,))
        shared = before.book.physics is before.physics and after.physics is not before.physics
        physics = after.physics if shared else None
        book, spans = ledger.advance(before.book, arrival, at_ms, seat.fact.policy, physics=physics)
        twin = Twin(after.link, after.boot, after.skew_ms, after.seen, after.physics, book)
        seat.station = with_twin(station, twin)
        self._set_timer(controller, seat, arrival.received_ms, book.due_ms)
        marks = (Mark(controller, at_ms, book),) if ledger.crosses_mark(before.book, book) else ()
        if spans is None:
            seat.leave_trail(book)
            return Outcome(verdict, at_ms, (controller,), (), marks)
        rewrites = (Rewrite(controller, spans),)
        since_ms = ledger.disturbed_ms(before.book.visits, spans)
        if since_ms is None:
            seat.leave_trail(book)
            return Outcome(verdict, at_ms, (controller,), rewrites, marks)
        refold = seat.outdated(since_ms)  # a session has been charged without what this tells of
        return Outcome(verdict, at_ms, (controller,), rewrites, marks, (refold,))

    def _turn(
        self, seat: Seat, cause: Cause, now_ms: int, verdict: Verdict = Verdict.LIVE, at_ms: int | None = None
    ) -> Outcome:
        """Let the rules have their say about one station."""
        controller = seat.fact.controller
        station, follows = evaluate(seat.station, cause, now_ms, self._scene(seat))
        self._put(seat, station, now_ms)
        outcome = Outcome(
            verdict,
            now_ms if at_ms is None else at_ms,
            (controller,),
            () if follows.spans is None else (Rewrite(controller, follows.spans),),
            tuple(follows.marks),
            consequences=(follows,),
        )
        if follows.refold_ms is None:
            seat.leave_trail(station.twin.book)
        else:
            outcome.refolds = (seat.outdated(follows.refold_ms),)
        return self._with_site(outcome, controller, seat, now_ms)

    def _pass_time(self, now_ms: int) -> list[Outcome]:
        """All timers up to a moment; those of stations before the end of a month, then those after it."""
        outcomes: list[Outcome] = []
        while (due_ms := self.months.due_ms) <= now_ms:
            outcomes += self._ring(due_ms - 1)
            follows = self.months.end(self.accounts, self.directory.site)
            outcomes += [Outcome(at_ms=due_ms, consequences=(follows,))] if follows.credit else []
        return [*outcomes, *self._ring(now_ms)]

    def _ring(self, now_ms: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while self._timers and self._timers[0][0] <= now_ms:
            due_ms, controller = heapq.heappop(self._timers)
            seat = self._seats.get(controller)
            if seat is None or seat.timer_ms != due_ms:
                continue
            if (later_ms := seat.due_ms(due_ms - 1)) > due_ms:  # it rang too early
                seat.timer_ms = later_ms
                heapq.heappush(self._timers, (later_ms, controller))
                continue
            seat.timer_ms = FOREVER_MS
            if self.site.due_ms <= due_ms:
                outcomes.append(self._site(self.site.pass_time(due_ms), due_ms))
            outcomes.append(self._rung(controller, seat, due_ms))
        if self.site.due_ms <= now_ms:
            outcomes.append(self._site(self.site.pass_time(now_ms), now_ms))
        return outcomes

    def _rung(self, controller: str, seat: Seat, due_ms: int) -> Outcome:
        """A timer of a station has rung."""
        is_twin_as_it_was = next_change(seat.station.twin, due_ms - 1, seat.fact.policy) > due_ms
        station = engine.looked(seat.station, due_ms, self._scene(seat)) if is_twin_as_it_was else None
        if station is None:
            return self._turn(seat, None, due_ms)
        self._put(seat, station, due_ms)
        return Outcome(at_ms=due_ms, changed=(controller,))

    def _ask(self, wish: Unlock | Lock | Unsent) -> Outcome:
        controller = self._controllers.get(wish.instrument)
        if controller is None:
            return Outcome(at_ms=wish.at_ms, consequences=(Consequences(answers=[Answer(wish.number)]),))
        return self._turn(self._seats[controller], wish, wish.at_ms)

    def _see_to(self, wish: Acknowledge | Resolve) -> Outcome:
        if wish.instrument is None:
            return self._site(self.site.see_to(wish), wish.at_ms)
        controller = self._controllers.get(wish.instrument)
        return (
            Outcome(at_ms=wish.at_ms) if controller is None else self._turn(self._seats[controller], wish, wish.at_ms)
        )

    def _fall_silent(self, event: Silenced) -> Outcome:
        """Before a silence is in force, everything that was due without it; those that are over are forgotten."""
        passed = self._pass_time(event.at_ms)
        self._silences = (*(each for each in self._silences if each.until_ms > event.at_ms), event.silence)
        turns = (self._turn(seat, None, event.at_ms) for seat in self._seats.values())
        return together([*passed, *turns], event.at_ms)

    def _learn(self, event: Learnt) -> Outcome:
        """Before a fact changes, everything that was due by the old one."""
        concerned, gone = self._concerned(event.fact), self._given_back(event.fact)
        before = [self._turn(seat, None, event.at_ms - 1) for seat in concerned]
        outages = self._outages(event.fact)
        self.learn(event.fact)
        if isinstance(event.fact, InstrumentFact) and event.fact.controller in self._seats:
            self._seats[event.fact.controller].fact = event.fact
        elif isinstance(event.fact, InstrumentFact):
            self.seat(event.fact)
        concerned = list(dict.fromkeys([*concerned, *self._concerned(event.fact)]))
        after = [self._turn(seat, Changed(gone), event.at_ms) for seat in concerned]
        moved_ms = min((each.from_ms for each in outages ^ self._outages(event.fact)), default=FOREVER_MS)
        if isinstance(event.fact, InstrumentFact) and moved_ms < event.at_ms:
            seat = self._seats[event.fact.controller]
            after.append(
                Outcome(at_ms=event.at_ms, changed=(seat.fact.controller,), refolds=(seat.outdated(moved_ms),))
            )
        return together([*before, *after], event.at_ms)

    def _given_back(self, fact: Fact) -> Booking | None:
        """The booking that stands no more, if that is what a fact says."""
        return self.directory.booking(fact.id) if isinstance(fact, BookingFact) and fact.booking is None else None

    def _outages(self, fact: Fact) -> frozenset[Outage]:
        """The outages of the instrument that a fact is about, as they are known."""
        known = self.directory.instruments.get(fact.code) if isinstance(fact, InstrumentFact) else None
        return frozenset() if known is None else frozenset(outages_of(known, 0))

    def _concerned(self, fact: Fact) -> list[Seat]:
        """The stations whose course a fact may change by itself; others ask for it when they need it."""
        codes: set[str] = set()
        if isinstance(fact, InstrumentFact):
            codes = {fact.code}
        elif isinstance(fact, BookingFact):
            known = self.directory.booking(fact.id)
            codes = {each.instrument for each in (known, fact.booking) if each is not None}
        return [self._seats[self._controllers[code]] for code in sorted(codes) if code in self._controllers]

    def _with_site(self, outcome: Outcome, controller: str, seat: Seat, now_ms: int) -> Outcome:
        """The site hears of controllers that go and come back."""
        gone_ms = gone_since(seat.station.twin, now_ms, seat.fact.policy)
        if gone_ms == self.site.gone_since(controller):
            return outcome
        follows = self.site.hear_of(controller, gone_ms, now_ms)
        of_site = self._site(follows, now_ms)
        return together([outcome, of_site], outcome.at_ms, outcome.verdict)

    def _site(self, follows: Consequences, now_ms: int) -> Outcome:
        """What follows for the site; where its alert begins or ends, for the alerts that it explains as well."""
        of_site = Outcome(at_ms=now_ms, consequences=(follows,))
        if self.site.is_offline is self._was_offline:
            return of_site
        self._was_offline = self.site.is_offline
        hindered = [seat for seat in self._seats.values() if seat.station.watch.active]
        return together([of_site, *(self._turn(seat, None, now_ms) for seat in hindered)], now_ms)

    def _scene(self, seat: Seat) -> Scene:
        fact = seat.fact
        inhibiting = frozenset({AlertKind.SITE_OFFLINE}) if self.site.is_offline else frozenset[AlertKind]()
        setting = Setting(fact.code, fact.platform, self._silences, inhibiting)
        return Scene(fact, self.directory, self.accounts, setting, self.directory.site.zone, seat.refolding)

    def _put(self, seat: Seat, station: Station, now_ms: int) -> None:
        seat.station = shared(station)
        self._look_ahead(seat, now_ms)

    def _look_ahead(self, seat: Seat, now_ms: int) -> None:
        """Set the timer of a station whose rules have had their say."""
        was_looked_at = bool(seat.station.alerts_due_ms)
        seat.rules_due_ms = next_due(seat.station, self._scene(seat), now_ms) if was_looked_at else FOREVER_MS
        self._set_timer(seat.fact.controller, seat, now_ms, seat.due_ms(now_ms))

    def _set_timer(self, controller: str, seat: Seat, now_ms: int, due_ms: int) -> None:
        """Let the timer ring when something may happen. One that rings too early is set again; too late, never."""
        if due_ms <= now_ms:
            self._behind[controller] = None
        elif due_ms < seat.timer_ms:
            seat.timer_ms = due_ms
            heapq.heappush(self._timers, (due_ms, controller))
