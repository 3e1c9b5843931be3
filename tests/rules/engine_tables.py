"""Scenario tables about an instrument as a whole: people, cards, bookings, a controller, money, alerts.

    == What the scenario shows
    rule: the sentence of the rules that it is about
    policy: grace 5m, at_slot_end alert
    tariff: rate 120.00, idle 50%
    time   | what happens              | session | decisions                    | cost
    09:00  | Li unlocks                | open    | Li opening; relay on; Li open | -
    10:40  | Li taps                   | cooldown| Li closed USER               | 200.00

Monday, 2 March 2026, in Shanghai; `Tue 09:00` is another day. The instrument is SEM-01 on the platform EM. Its
controller reports every 30 s, what it measured last, and does what it is told at once; an instrument without power
measures 0 W. Li, Wang (students), Zhao (a teacher) and Ma (staff, operates SEM-01) are qualified; Li and Zhao are of
the group Lab; the project P1 has 1000 CNY. An hour costs 120.00, unless `tariff` says so. Above a table may stand

    fund: 40%, 50.00 left          free: 30 (minutes)            open: 08:00-20:00 (but for staff at any time)
    instruments: 3                 controller: without relay     without meter

Events; several of one moment, separated by semicolons, are stored in one batch:

    100 W, occupied                a reading, as in the other tables; it is what is measured from now on
    tells of 09:30: 100 W          a buffered reading; `tells of 09:30 to 09:50: 100 W` one every 30 s
    grants are told                the controller is told whom it may let in while it is cut off
    tells of 09:30: Li in          a buffered card that the controller accepted, by the grant of then; `Li out`,
                                   `Li in by no grant`, `stranger in`
    clock is 10m ahead             that of the controller
    goes silent; dies; comes back  the controller, its connection
    was not sent                   the last command to the relay: it had expired before the service could send it
    obeys; ignores; refuses        what it makes of commands from now on
    others die; others come back; broker goes; broker comes back
    Li taps; stranger taps; Li taps in; Li taps out
    Li unlocks; Li unlocks to maintain; Ma unlocks because ...
    Li ends; manager ends; emergency stop
    Li books 09:00 to 10:00; ... for Lab; ... costing 50.00; Li's slot ends 11:00; Li cancels
    outage 10:00 to 11:00; fault; repaired; now policy grace 10m
    Li is disabled; Li has credit 59; Li is unqualified; Li was qualified; P1 is empty; P1 is closed
    manager acknowledges FORCED_DOOR; manager resolves FORCED_DOOR; silence FORCED_DOOR until 12:00

Columns, each for what there is since the row before, with the time where it is not the row's own: `decisions` (answers
that are no, sessions, commands, bookings), `cost` (lines of accounts, and of credit), `told` (who is told of alerts, or
why nobody is). As things stand: `session`, `ledger`, `alerts` (those that fire). `ledger:` below a table is all of it.
"""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec

from benchmarks.simulation.lab import Lab
from tests.rules.bills import tariff_of
from tests.rules.engine_device import Device
from tests.rules.engine_words import HERE, SHANGHAI, clock, clock_ms, costs, decided, told
from tests.rules.tables import Row, Scenario, duration_ms
from twin.alerts import AlertKind, AlertState, Silence
from twin.directory import BookingFact, InstrumentFact, ProjectFact, UserFact
from twin.events import Arrival, Tick
from twin.hours import ALWAYS, Hours, Opening, OpeningHours
from twin.parties import Booking, Downtime, DowntimeCause, Level, Project, Qualification, User, UserCategory
from twin.policy import layered
from twin.requests import Acknowledge, BrokerSeen, Lock, Resolve, Silenced, Unlock, Unsent
from twin.rules.outcome import (
    AlertRecord,
    Consequences,
    Do,
    Outcome,
)
from twin.sessions import CloseReason, Free
from twin.state import FOREVER_MS
from twin.tariffs import Fund, PriceList

replace = msgspec.structs.replace

_CATEGORIES = {
    "Li": UserCategory.STUDENT,
    "Wang": UserCategory.STUDENT,
    "Zhao": UserCategory.TEACHER,
    "Ma": UserCategory.STAFF,
}


def people() -> Iterator[UserFact]:
    """Everybody who may be named."""
    for name, category in _CATEGORIES.items():
        groups = frozenset({"Lab"} if name in {"Li", "Zhao"} else ())
        operates = frozenset({HERE} if name == "Ma" else ())
        user = User(name, category, 100, groups=groups, operates=operates)
        yield UserFact(user=user, cards=(f"card of {name}",), qualifications=(Qualification(HERE, Level.INDEPENDENT),))


def _opening(texts: list[str]) -> OpeningHours:
    """The hours of everybody; staff come at any time."""
    hours = dict.fromkeys(UserCategory, ALWAYS)
    for text in texts:
        from_ms, until_ms = (clock_ms(each) for each in text.split("-"))
        midnight_ms = clock_ms("00:00")
        day = (Opening((from_ms - midnight_ms) // 60_000, (until_ms - midnight_ms) // 60_000),)
        hours |= dict.fromkeys(set(UserCategory) - {UserCategory.STAFF}, Hours((day,) * 7))
    return OpeningHours(SHANGHAI, hours)


def project(scenario: Scenario) -> ProjectFact:
    """The project that pays, with its fund and its free minutes."""
    told = scenario.headings
    share, left = re.findall(r"[\d.]+", told.get("fund", ["0%, 0.00 left"])[0])
    return ProjectFact(
        project=Project("P1", frozenset(_CATEGORIES), Decimal(1000)),
        free_min=int(told.get("free", ["0"])[0]),
        fund=Fund(share_percent=int(share), left_cny=Decimal(left)),
    )


class EnginePlayer:
    """Plays a scenario to a fleet."""

    def __init__(self, scenario: Scenario) -> None:
        told = scenario.headings
        tariffs = told.get("tariff", ["rate 120.00"])
        self._fact = InstrumentFact(
            code=HERE,
            controller="controller",
            platform="EM",
            policy=layered(scenario.overrides),
            opening=_opening(told.get("open", [])),
            prices=PriceList(versions=tuple(tariff_of(text, SHANGHAI) for text in tariffs)),
        )
        others = range(1, int(told.get("instruments", ["1"])[0]))
        facts = [replace(self._fact, code=f"other-{each}", controller=f"other-{each}") for each in others]
        self._start_ms = clock_ms(scenario.rows[0].time) - 60_000
        self._project = project(scenario)
        self.lab = Lab([self._fact, *facts, self._project, *people()], self._start_ms)
        self._device = Device("controller", told.get("controller", []))
        self._others = [Device(each.controller, []) for each in facts]
        self._now_ms = self._start_ms
        for device in self.devices:
            self._arrive(*device.begin(self._now_ms))
        self._seen = 0
        self._told = ""

    @property
    def devices(self) -> list[Device]:
        return [self._device, *self._others]

    def play(self, row: Row) -> dict[str, str]:
        """Let a row happen; what can be seen after it."""
        at_ms = clock_ms(row.time)
        self.pass_time(at_ms - 1)
        self._now_ms = at_ms
        for event in filter(None, map(str.strip, row.events.split(";"))):
            self._happen(event)
        self.pass_time(at_ms)
        self.lab.commit(at_ms)
        follows, self._seen = self.lab.follows[self._seen :], len(self.lab.follows)
        return self._shown(follows)

    def pass_time(self, until_ms: int) -> None:
        """Controllers report, and timers ring, each at its moment."""
        while (due_ms := min([self.lab.fleet.next_due_ms(), *(each.due_ms for each in self.devices)])) <= until_ms:
            self._now_ms = max(self._now_ms, due_ms)
            for device in self.devices:
                self._arrive(*device.report(self._now_ms))
            self._take(self.lab.handle(Tick(self._now_ms)))
            self.lab.commit(self._now_ms)

    def look(self, at_ms: int) -> None:
        """Let time pass up to a moment though nothing is due."""
        self.pass_time(at_ms)
        self._now_ms = max(self._now_ms, at_ms)
        self._take(self.lab.handle(Tick(at_ms)))

    # What happens

    def _arrive(self, *arrivals: Arrival) -> None:
        for arrival in arrivals:
            self._take(self.lab.handle(replace(arrival, number=self.lab.next())))

    def _take(self, outcome: Outcome) -> None:
        """The controllers do what they are told."""
        for command in (each for follows in outcome.consequences for each in follows.commands):
            for device in self.devices:
                if device.name == command.controller and command.do is Do.RELAY:
                    self._told = command.id
                    self._arrive(*device.obey(command, self._now_ms))

    def _ask(self, make: Callable[[int, int], object]) -> None:
        self._take(self.lab.handle(make(self.lab.next(), self._now_ms)))  # type: ignore[arg-type]

    def _happen(self, event: str) -> None:
        match event.split():
            case [name, "taps", *action]:
                card = self._device.card(f"card of {name}", action[0] if action else "tap", self._now_ms)
                self._arrive(*card)
            case [name, "unlocks", *how]:
                self._unlock(name, how)
            case ["emergency", "stop"]:
                self._lock("Ma", CloseReason.EMERGENCY)
            case [name, "ends"]:
                self._lock(name, CloseReason.STAFF if name == "manager" else CloseReason.USER)
            case ["manager", "acknowledges" | "resolves" as how, kind]:
                self._see_to(Acknowledge if how == "acknowledges" else Resolve, AlertKind(kind))
            case ["silence", kind, "until", end]:
                silence = Silence(clock_ms(end), "Ma", "service", kind=AlertKind(kind))
                self._ask(lambda number, at_ms: Silenced(number=number, at_ms=at_ms, silence=silence))
            case ["broker", "goes" | "comes" as how, *_]:
                self._ask(lambda number, at_ms: BrokerSeen(number=number, at_ms=at_ms, up=how == "comes"))
            case ["others", "die" | "come", *_]:
                for device in self._others:
                    self._arrive(*device.happen("dies" if "die" in event else "comes back", self._now_ms))
            case _:
                self._change(event)

    def _grant(self, name: str, at_ms: int) -> str | None:
        """The grant by which somebody was let in at a moment: as it was told, whatever has become of it since."""
        fact = self.lab.fleet.directory.grants.get("controller")
        windows = () if fact is None else fact.windows
        own = [each for each in windows if name in {holder.user for holder in each.holders}]
        former = () if fact is None else fact.former
        known = [*own, *(each for each in former if name in each.users)]
        return next((each.grant for each in known if each.from_ms <= at_ms < each.to_ms), None)

    def _unlock(self, name: str, how: list[str]) -> None:
        reason = " ".join(how[1:]) if how[:1] == ["because"] else None
        self._ask(
            lambda number, at_ms: Unlock(
                number=number,
                at_ms=at_ms,
                instrument=HERE,
                user=name,
                override_reason=reason,
                maintenance=how == ["to", "maintain"],
            )
        )

    def _lock(self, name: str, reason: CloseReason) -> None:
        self._ask(lambda number, at_ms: Lock(number=number, at_ms=at_ms, instrument=HERE, user=name, reason=reason))

    def _see_to(self, make: type[Acknowledge | Resolve], kind: AlertKind) -> None:
        where = None if kind is AlertKind.SITE_OFFLINE else HERE
        self._ask(lambda number, at_ms: make(number=number, at_ms=at_ms, instrument=where, kind=kind, user="manager"))

    def _change(self, event: str) -> None:
        """Facts, or else the controller."""
        match event.split():
            case [name, "books", start, "to", end, *how]:
                self._book(name, clock_ms(start), clock_ms(end), dict(zip(how[::2], how[1::2], strict=True)))
            case [name, "slot", "ends", end]:
                self._rebook(name.removesuffix("'s"), lambda booking: replace(booking, end_ms=clock_ms(end)))
            case [name, "cancels"]:
                self._rebook(name, lambda _: None)
            case ["outage", start, "to", end]:
                outage = Downtime(DowntimeCause.OUTAGE, clock_ms(start), clock_ms(end))
                others = (each for each in self._fact.downtimes if each.from_ms != outage.from_ms)
                self._instrument(downtimes=(*others, outage))
            case ["fault"]:
                self._instrument(downtimes=(Downtime(DowntimeCause.FAULT, self._now_ms),))
            case ["repaired"]:
                self._instrument(downtimes=())
            case ["now", "policy", name, value]:
                self._instrument(policy=replace(self._fact.policy, **{f"{name}_ms": duration_ms(value)}))
            case ["P1", "is", "empty" | "closed" as how]:
                changes = {"balance_cny": Decimal(-1)} if how == "empty" else {"until_ms": self._now_ms}
                self._project = replace(self._project, project=replace(self._project.project, **changes))
                self.lab.learn(self._project, self._now_ms)
            case [name, "is" | "has" | "was", *what] if name in _CATEGORIES:
                self.lab.learn(self._changed(self.lab.fleet.directory.users[name], what), self._now_ms)
            case _:
                self._hear(event)

    def _hear(self, event: str) -> None:
        """The controller; what it tells of cards is by the grants of then."""
        match event.split():
            case ["grants", "are", "told"]:
                fact = self.lab.fleet.grants("controller", self._now_ms)
                if fact is not None:
                    self.lab.learn(fact, self._now_ms)
            case ["was", "not", "sent"]:
                missed = {"instrument": HERE, "command": self._told}
                self._ask(lambda number, at_ms: Unsent(number=number, at_ms=at_ms, **missed))
            case ["tells", "of", moment, name, "in" | "out" | "tap" as action, *how]:
                told_ms = clock_ms(moment.removesuffix(":"))
                grant = None if how else self._grant(name, told_ms)
                self._arrive(*self._device.told_card(f"card of {name}", action, told_ms, self._now_ms, grant))
            case _:
                self._arrive(*self._device.happen(event, self._now_ms, clock_ms))

    def _instrument(self, **changes: object) -> None:
        self._fact = replace(self._fact, **changes)
        self.lab.learn(self._fact, self._now_ms)

    def _changed(self, fact: UserFact, what: list[str]) -> UserFact:
        match what:
            case ["disabled"]:
                return replace(fact, user=replace(fact.user, active=False))
            case ["credit", points]:
                return replace(fact, user=replace(fact.user, credit=int(points)))
            case ["unqualified"]:
                return replace(fact, qualifications=())
            case ["qualified"]:
                held = Qualification(HERE, Level.INDEPENDENT, 0, self._now_ms)
                return replace(fact, qualifications=(held,))
            case ["well"]:
                return next(each for each in people() if each.user.id == fact.user.id)
            case _:
                raise ValueError(f"cannot be {what!r}")

    def _book(self, name: str, start_ms: int, end_ms: int, how: dict[str, str]) -> None:
        self._learn_booking(
            Booking(
                id=f"{name} {clock(start_ms)}",
                instrument=HERE,
                user=name,
                start_ms=start_ms,
                end_ms=end_ms,
                group=how.get("for"),
                estimate_cny=Decimal(how.get("costing", "0")),
                project="P1",
            )
        )

    def _rebook(self, name: str, change: Callable[[Booking], Booking | None]) -> None:
        for booking in self.lab.fleet.directory.bookings(HERE):
            if booking.user == name:
                self.lab.learn(BookingFact(id=booking.id, booking=change(booking)), self._now_ms)

    def _learn_booking(self, booking: Booking) -> None:
        self.lab.learn(BookingFact(id=booking.id, booking=booking), self._now_ms)

    def _shown(self, follows: list[Consequences]) -> dict[str, str]:
        control = self.lab.fleet.station("controller").control
        state = "none" if isinstance(control.state, Free) else type(control.state).__name__.lower()
        firing = sorted(each.alert.kind for each in self.lab.alerts.values() if self._is_firing(each))
        return {
            "session": state,
            "ledger": self.lab.category("controller", self._now_ms).value,
            "alerts": ", ".join(firing) or "-",
            "decisions": "; ".join(decided(follows, self._now_ms)) or "-",
            "cost": "; ".join(costs(follows, self._now_ms)) or "-",
            "told": "; ".join(told(follows, self._now_ms)) or "-",
        }

    def _is_firing(self, record: AlertRecord) -> bool:
        return record.instrument in {None, HERE} and record.alert.state is AlertState.FIRING


def written(player: EnginePlayer) -> str:
    """The ledger since the table began, as tables write it."""
    spans = player.lab.ledger("controller")
    return ", ".join(f"{clock(span.start_ms)} {span.category}" for span in spans[1:] if span.start_ms < FOREVER_MS)
