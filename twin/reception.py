"""What people ask of the rules: to use an instrument, to end a session, to see to an alert; and what is going on.

Whatever changes something goes through the one inbox as a request, and is answered once it is recorded.
"""

import asyncio
from collections.abc import Callable, Sequence

from twin.access_views import access_view_of
from twin.alerts import Alert, AlertKind, AlertState, Silence
from twin.bookings import Bookings
from twin.clock import Clock
from twin.directory import BookingFact
from twin.events import Card
from twin.feed import Feed
from twin.fleet import Fleet
from twin.interface import (
    AccessView,
    AlertView,
    BookingView,
    BookingWish,
    ChargeView,
    NotRecordedError,
    PartView,
    Person,
    SessionQuery,
    SessionView,
    SilenceView,
    SilenceWish,
    SuspendedError,
    Unlocked,
    UnlockWish,
)
from twin.parties import is_theirs
from twin.policy import Policy
from twin.recorder import Recorder, Wish
from twin.requests import Acknowledge, Learnt, Lock, Resolve, Silenced, Unlock
from twin.rules import sessions
from twin.rules.outcome import Answer, Command, Do, alert_id
from twin.sessions import CloseReason, Open, Opening
from twin.station import Station
from twin.store.lookup import Lookup, alert_view
from twin.views import rfc3339

WITHIN_S = 5.0
"""Who asks is told that it could not be recorded after this long."""
CUT_AFTER_S = 1.0
"""Who ends a session need not wait for the record longer than this until power goes off."""


class Reception:
    """Takes what people ask for to the rules, and brings back what they say."""

    def __init__(
        self,
        fleet: Fleet,
        feed: Feed,
        recorder: Recorder,
        *,
        cut: Callable[[Command], None],
        lookup: Lookup,
        bookings: Bookings,
        clock: Clock,
    ) -> None:
        self._fleet = fleet
        self._feed = feed
        self._recorder = recorder
        self._cut = cut
        self._ending: dict[tuple[str, str, CloseReason], asyncio.Future[Answer | None]] = {}
        """Sessions that are to be ended, and are not on record as such yet."""
        self._lookup = lookup
        self._bookings = bookings
        self._clock = clock

    async def _ask(self, wish: Wish) -> Answer | None:
        """Raises NotRecordedError."""
        if (hindrance := self._hindrance()) is not None:
            raise NotRecordedError(hindrance)
        answer = self._recorder.ask(wish)
        try:
            async with asyncio.timeout(WITHIN_S):
                return await answer  # one that nobody waits for any more is not told to the rules
        except TimeoutError:
            raise NotRecordedError(f"It could not be recorded within {WITHIN_S:.0f} s.") from None

    def _hindrance(self) -> str | None:
        """Why nothing can be recorded now, if that is so."""
        if self._recorder.failing_since_ms is not None:
            return "The database is out of reach: nothing can be recorded."
        if (behind_s := self._recorder.present.behind_s()) > WITHIN_S:
            return f"The service was away and is catching up: it is {behind_s:.0f} s behind. Try again in a moment."
        return None

    async def unlock(self, person: Person, code: str, wish: UnlockWish) -> Unlocked:
        """Ask for an instrument; granted only once the session is on record."""
        asked = await self._ask(
            lambda number, at_ms: Unlock(
                number=number,
                at_ms=at_ms,
                instrument=code,
                user=person.username,
                project=wish.project,
                booking=wish.booking,
                override_reason=wish.override_reason,
                maintenance=wish.maintenance,
            )
        )
        if asked is None or asked.decision is None:
            raise NotRecordedError(f"The rules do not know {person.username}, or no controller of {code}.")
        view = access_view_of(asked.decision, code, person.username, self._clock())
        return Unlocked(view.decision, view.reason, view, asked.session)

    async def lock(self, person: Person, code: str, *, staff: bool, emergency: bool) -> SessionView | None:
        """End a session; None: there was none, or it is not theirs. An emergency cuts power all the same."""
        if not (staff or emergency or self._is_theirs(person, code)):
            return None
        reason = CloseReason.EMERGENCY if emergency else CloseReason.STAFF if staff else CloseReason.USER
        answer = await self._end(code, person.username, reason)
        return None if answer is None or answer.session is None else await self._lookup.session(answer.session)

    async def _end(self, code: str, user: str, reason: CloseReason) -> Answer | None:
        """End a session whatever happens: what cannot be recorded at once is recorded later, and power goes off first.

        Raises NotRecordedError: it will be.
        """
        ending = self._ending.get((code, user, reason))
        if ending is None:
            ending = self._recorder.ask(
                lambda number, at_ms: Lock(number=number, at_ms=at_ms, instrument=code, user=user, reason=reason)
            )
            self._ending[code, user, reason] = ending
            ending.add_done_callback(lambda _: self._ending.pop((code, user, reason)))
        hindrance = self._hindrance()
        try:
            async with asyncio.timeout(CUT_AFTER_S if hindrance is None else 0):
                return await asyncio.shield(ending)
        except TimeoutError:
            went_off = self._switch_off(code, reason)
        try:
            async with asyncio.timeout(WITHIN_S if hindrance is None else 0):
                return await asyncio.shield(ending)
        except TimeoutError:
            power = "The power is being switched off" if went_off else "The power stays on until it is safe to cut"
            raise NotRecordedError(f"{power}; that the session has ended is recorded as soon as it can be.") from None

    def see_card(self, code: str, card: Card) -> None:
        """A card that cannot be recorded now: if it ends the session of its holder, power goes off all the same."""
        holder, station = self._fleet.directory.holder(card.card), self._feed.station(code)
        if holder is None or card.hist or card.action == "in":
            return
        running = None if station is None else sessions.running(station.control, (), self._policy(code))
        if running is not None and is_theirs(holder.user, running):
            self._switch_off(code, CloseReason.USER)

    def _switch_off(self, code: str, reason: CloseReason) -> bool:
        """Whether the relay may be cut now, and is."""
        fact, station, now_ms = self._fleet.directory.instruments[code], self._feed.station(code), self._clock()
        if station is None or not sessions.may_cut(station.control, reason, now_ms, fact.policy):
            return False
        self._cut(
            Command(
                controller=fact.controller,
                id=f"{now_ms}-cut",
                at_ms=now_ms,
                expires_ms=now_ms + fact.policy.command_timeout_ms,
                do=Do.RELAY,
                relay=False,
                reason="emergency" if reason is CloseReason.EMERGENCY else "end",
            )
        )
        return True

    def _is_theirs(self, person: Person, code: str) -> bool:
        holder, station = self._fleet.directory.users.get(person.username), self._feed.station(code)
        running = None if station is None else sessions.running(station.control, (), self._policy(code))
        return holder is not None and running is not None and is_theirs(holder.user, running)

    def _policy(self, code: str) -> Policy:
        return self._fleet.directory.instruments[code].policy

    def access(self, code: str, username: str, at_ms: int, wish: UnlockWish) -> AccessView | None:
        """The answer to a wish without doing it; None: the rules do not know the person."""
        decision = self._fleet.access(
            Unlock(
                number=0,
                at_ms=at_ms,
                instrument=code,
                user=username,
                project=wish.project,
                booking=wish.booking,
                override_reason=wish.override_reason,
            )
        )
        return None if decision is None else access_view_of(decision, code, username, at_ms)

    def running(self, code: str) -> SessionView | None:
        """The session that is opening or open, with what it has cost so far."""
        station = self._feed.station(code)
        state = None if station is None else station.control.state
        if station is None or not isinstance(state, Open | Opening):
            return None
        use, opened_ms = state.use, state.opened_ms if isinstance(state, Open) else None
        running = sessions.running(station.control, self._fleet.directory.bookings(code), self._policy(code))
        return SessionView(
            id=use.id,
            instrument=code,
            user=use.user.id,
            project=use.project,
            booking=None if use.booking is None else use.booking.id,
            state="opening" if opened_ms is None else "open",
            requested=rfc3339(use.requested_ms),
            opened=None if opened_ms is None else rfc3339(opened_ms),
            ended=None,
            due=None if running is None or running.due_ms is None else rfc3339(running.due_ms),
            reason=None,
            override_reason=use.override_reason,
            maintenance=use.maintenance,
            charge=None if opened_ms is None else self._cost(station, opened_ms, use.project),
        )

    def _cost(self, station: Station, opened_ms: int, project: str | None) -> ChargeView | None:
        """The running cost: the same function of the same segments as the bill."""
        terms, spans = station.terms, station.twin.book.spans
        if terms is None or terms.tariff is None or spans[0].start_ms > opened_ms:
            return None
        directory = self._fleet.directory
        times_ms = (opened_ms, max(opened_ms, self._clock()))
        fact = directory.projects.get(project or "")
        charge, _ = self._fleet.accounts.cost(spans, times_ms, terms, fact, directory.site.zone)
        line = charge.line
        return ChargeView(
            gross=f"{line.gross_cny:.2f}",
            allowance=f"{line.allowance_cny:.2f}",
            subsidy=f"{line.subsidy_cny:.2f}",
            net=f"{line.net_cny:.2f}",
            minutes=charge.minutes,
            parts=tuple(PartView(part.kind.value, part.band_percent, part.minutes) for part in charge.parts),
        )

    async def sessions(self, wanted: SessionQuery) -> tuple[Sequence[SessionView], int]:
        """Sessions on record; those that run with what they have cost so far."""
        found, total = await self._lookup.sessions(wanted)
        return [self._present(each) for each in found], total

    def _present(self, found: SessionView) -> SessionView:
        running = self.running(found.instrument) if found.state in {"opening", "open"} else None
        return running if running is not None and running.id == found.id else found

    async def session(self, session: str) -> SessionView | None:
        """One session; with its cost so far while it runs."""
        found = await self._lookup.session(session)
        return None if found is None else self._present(found)

    def alerts(self) -> Sequence[AlertView]:
        """Those that fire, the newest first."""
        found = [*self._of_site(), *(view for code in self._feed.codes() for view in self._of(code))]
        return sorted(found, key=lambda view: view.since, reverse=True)

    def _of(self, code: str) -> list[AlertView]:
        station = self._feed.station(code)
        return [] if station is None else _firing(code, station.watch.active)

    def _of_site(self) -> list[AlertView]:
        return _firing(None, self._fleet.site.active)

    async def acknowledge(self, person: Person, alert: str) -> AlertView | None:
        """Take a firing alert upon oneself."""
        return await self._see_to(Acknowledge, person, alert)

    async def resolve(self, person: Person, alert: str) -> AlertView | None:
        """Say that a firing alert is over."""
        return await self._see_to(Resolve, person, alert)

    async def _see_to(self, what: type[Acknowledge] | type[Resolve], person: Person, alert: str) -> AlertView | None:
        firing = next((each for each in self.alerts() if each.id == alert), None)
        if firing is None:
            return None
        kind = AlertKind(firing.kind)
        await self._ask(
            lambda number, at_ms: what(
                number=number, at_ms=at_ms, instrument=firing.instrument, kind=kind, user=person.username
            )
        )
        return await self._lookup.alert(alert)

    async def silence(self, person: Person, wish: SilenceWish) -> SilenceView:
        """Let nobody be told of some alerts for a while. Raises NotRecordedError, ValueError for an unknown kind."""
        silence = Silence(
            until_ms=round(wish.until.timestamp() * 1000),
            author=person.username,
            reason=wish.reason,
            instrument=wish.instrument,
            platform=wish.platform,
            kind=None if wish.kind is None else AlertKind(wish.kind),
        )
        await self._ask(lambda number, at_ms: Silenced(number=number, at_ms=at_ms, silence=silence))
        return SilenceView(
            rfc3339(silence.until_ms), person.username, wish.reason, wish.instrument, wish.platform, wish.kind
        )

    async def book(self, person: Person, wish: BookingWish) -> BookingView:
        """Keep an instrument for somebody. Raises ConflictError, SuspendedError."""
        policy = self._fleet.directory.site.policy
        until_ms = self._fleet.accounts.no_bookings_until_ms(person.username, policy)
        if until_ms is not None and self._clock() < until_ms:
            limit = policy.credit_limit_points
            raise SuspendedError(
                f"Your credit is below {limit} points: nothing can be booked until {rfc3339(until_ms)}."
            )
        view, fact = await self._bookings.create(person.username, wish, self._clock)
        await self._learn(fact)
        return view

    async def cancel(self, booking: str) -> BookingView | None:
        """Give a booking back; None: there is no such booking."""
        cancelled = await self._bookings.cancel(booking, self._clock())
        if cancelled is None:
            return None
        view, fact = cancelled
        await self._learn(fact)
        return view

    async def _learn(self, fact: BookingFact) -> None:
        """What is in the table already is told to the rules; at the next start at the latest."""
        self._recorder.ask(lambda number, at_ms: Learnt(number=number, at_ms=at_ms, fact=fact))
        await asyncio.sleep(0)


def _firing(code: str | None, active: Sequence[Alert]) -> list[AlertView]:
    firing = (each for each in active if each.state is AlertState.FIRING)
    return [alert_view(alert_id(code, each, each.fired_ms), code, each.fired_ms, each) for each in firing]
