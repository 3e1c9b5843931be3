"""Scenario tables about sessions: as `tables` reads them, with people, bookings and a relay.

    == What the scenario shows
    rule: the sentence of the rules that it is about
    policy: cut at_once, grace 5m
    time   | what happens                 | state   | decisions
    +0s    | Li books +0s to +1h          | free    | -
    +1m    | Li asks; relay on            | open     | recorded Li booked; relay on for 10s; opened
    +65m   |                              | cooldown | +3000s warned; closed SLOT_END

`decisions` are those since the row before, with the time where it is not the row's own. Li and Zhao are of the group
Lab, Wang is of none. Events, several of one moment separated by semicolons, before the timers of that moment:

    Li books +0s to +1h; Li books +0s to +1h for Lab; Li's slot ends +2h; Wang cancels
    Li asks; Li asks and is refused; Li taps          a tap that ends nothing asks
    relay on; relay off; ... stamped -3s              reported so, by a clock that is behind
    controller refuses; goes offline; comes back      offline: nothing can be commanded
    no relay; no meter
    active until +2h; active; not active; occupied; vacant
    ended by STAFF; ended by RECONCILED since +50m
    policy overrun on                                 from now on
"""

import msgspec

from tests.rules.tables import START_MS, Row, Scenario, after, duration_ms
from twin.parties import Booking, DowntimeCause, User, UserCategory
from twin.permission import AccessCode, AccessDecision, BackInService, Check, Refusal, Standing
from twin.policy import Policy, layered
from twin.rules.sessions import advance, close, command_refused, next_due, observe, open_, tap_means
from twin.sessions import (
    CloseReason,
    CommandFailed,
    Control,
    CooldownEnded,
    Decision,
    Ignored,
    OverrunBegan,
    RelayCommanded,
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
)
from twin.state import FOREVER_MS

replace = msgspec.structs.replace

LI = User("Li", UserCategory.STUDENT, 100, groups=frozenset({"Lab"}))
ZHAO = User("Zhao", UserCategory.TEACHER, 100, groups=frozenset({"Lab"}))
WANG = User("Wang", UserCategory.STUDENT, 100)
PEOPLE = {user.id: user for user in (LI, ZHAO, WANG)}

GRANTED = AccessDecision((Check(1, Standing.PASSED, None),), None, None, None)
REFUSED = AccessDecision(
    (Check(1, Standing.FAILED, Refusal(AccessCode.OUT_OF_SERVICE, BackInService(DowntimeCause.FAULT, None))),),
    None,
    None,
    None,
)
SIGNALS = Signals(relay_on=False, online_from_ms=0, online_until_ms=FOREVER_MS)
"""A controller that is there, with a relay that is off and an instrument that does nothing."""
WORKING = replace(SIGNALS, active_until_ms=FOREVER_MS)

WORDS: dict[type[Decision], str] = {
    SessionOpened: "opened",
    SessionVoided: "void",
    UserWarned: "warned",
    OverrunBegan: "overrun",
    SessionClosed: "closed",
    CooldownEnded: "cooldown over",
    UnsafeToCut: "unsafe to cut",
    Ignored: "ignored",
}


class SessionPlayer:
    """Plays a scenario to the session of one instrument that works, unless it is said not to."""

    def __init__(self, scenario: Scenario) -> None:
        self.policy: Policy = layered(scenario.overrides)
        self.control = Control(signals=WORKING)
        self.bookings: tuple[Booking, ...] = ()
        self.decisions: list[Decision] = []
        self._sessions = 0

    def ask(self, now_ms: int) -> None:
        """Let time pass."""
        self._take(advance(self.control, now_ms, self.bookings, self.policy))

    def play(self, row: Row) -> dict[str, str]:
        """Let a row happen; what can be seen after it."""
        before = len(self.decisions)
        for event in filter(None, map(str.strip, row.events.split(";"))):
            self._happen(event, row.at_ms)
        self.ask(row.at_ms)
        said = "; ".join(said_of(each, row.at_ms) for each in self.decisions[before:]) or "-"
        return {"state": type(self.control.state).__name__.lower(), "decisions": said}

    @property
    def due_ms(self) -> int:
        return next_due(self.control, self.bookings, self.policy)

    def _take(self, step: Step) -> None:
        self.control = step.control
        self.decisions += step.decisions

    def _happen(self, event: str, at_ms: int) -> None:
        signals, around = self.control.signals, (self.bookings, self.policy)
        match event.split():
            case [name, "books", start, "to", end, *group]:
                self._books(name, _moment(start), _moment(end), group[1] if group else None, at_ms)
            case [name, "slot", "ends", end]:
                self._rebook(tuple(_ending(each, name.removesuffix("'s"), end) for each in self.bookings), at_ms)
            case [name, "cancels"]:
                self._rebook(tuple(each for each in self.bookings if each.user != name), at_ms)
            case [name, "asks", *refused]:
                self._ask_for(name, at_ms, REFUSED if refused else GRANTED)
            case [name, "taps"]:
                self._tap(name, at_ms)
            case ["ended", "by", reason, *since]:
                ended_ms = _moment(since[1]) if since else None
                self._take(close(self.control, CloseReason(reason), at_ms, *around, ended_ms=ended_ms))
            case ["controller", "refuses"]:
                self._take(command_refused(self.control, at_ms, *around))
            case ["relay", on, *stamped]:
                event_ms = at_ms + duration_ms(stamped[1]) if stamped else None
                self._observe(replace(signals, relay_on=on == "on"), at_ms, event_ms)
            case ["policy", name, "on"]:
                self._rebook(self.bookings, at_ms)
                self.policy = replace(self.policy, **{name: True})
            case _:
                self._observe(_signals(signals, event, at_ms), at_ms)

    def _observe(self, signals: Signals, at_ms: int, event_ms: int | None = None) -> None:
        self._take(observe(self.control, signals, at_ms, self.bookings, self.policy, event_ms=event_ms))

    def _books(self, name: str, start_ms: int, end_ms: int, group: str | None, at_ms: int) -> None:
        booking = Booking(f"{name} {start_ms}", "SEM", name, start_ms, end_ms, group)
        self._rebook((*self.bookings, booking), at_ms)

    def _rebook(self, bookings: tuple[Booking, ...], at_ms: int) -> None:
        """Before bookings change, everything that was due by the old ones."""
        self.ask(at_ms - 1)
        self.bookings = bookings

    def _tap(self, name: str, at_ms: int) -> None:
        self.ask(at_ms - 1)
        if tap_means(self.control, PEOPLE[name]) is TapMeaning.END:
            self._take(close(self.control, CloseReason.USER, at_ms, self.bookings, self.policy))
        else:
            self._ask_for(name, at_ms, GRANTED)

    def _ask_for(self, name: str, at_ms: int, decision: AccessDecision) -> None:
        self._sessions += 1
        user = PEOPLE[name]
        own = (each for each in self.bookings if each.user == name or each.group in user.groups)
        booking = next((each for each in own if each.start_ms - self.policy.early_ms <= at_ms < each.end_ms), None)
        use = Use(f"S{self._sessions}", user, at_ms, booking)
        self._take(open_(self.control, use, decision, self.bookings, self.policy))


def _moment(text: str) -> int:
    return START_MS + duration_ms(text)


def _ending(booking: Booking, name: str, end: str) -> Booking:
    return replace(booking, end_ms=_moment(end)) if booking.user == name else booking


def _signals(signals: Signals, event: str, at_ms: int) -> Signals:
    event, _, end = event.partition(" until ")
    changes = {
        "active": {"active_until_ms": _moment(end) if end else FOREVER_MS},
        "not active": {"active_until_ms": at_ms},
        "occupied": {"occupied_until_ms": FOREVER_MS},
        "vacant": {"occupied_until_ms": at_ms},
        "goes offline": {"online_from_ms": FOREVER_MS, "online_until_ms": 0},
        "comes back": {"online_from_ms": at_ms, "online_until_ms": FOREVER_MS},
        "no relay": {"has_relay": False, "relay_on": None},
        "no meter": {"active_until_ms": None},
    }
    return replace(signals, **changes[event])


def said_of(decision: Decision, now_ms: int) -> str:
    """A decision in the words of the tables."""
    return _said(decision) if decision.at_ms == now_ms else f"{after(decision.at_ms - START_MS)} {_said(decision)}"


def _said(decision: Decision) -> str:
    reason = getattr(decision, "reason", "")
    match decision:
        case SessionRecorded(use=use):
            return f"recorded {use.user.id} {'booked' if use.booking else 'walked in'}"
        case RelayCommanded(at_ms=at_ms, on=on, expires_ms=expires_ms):
            return f"relay {_switch(on=on)} for {after(expires_ms - at_ms).lstrip('+')}"
        case CommandFailed(on=on):
            return f"command {_switch(on=on)} failed {reason}"
        case _:
            return f"{WORDS[type(decision)]} {reason}".strip()


def _switch(*, on: bool) -> str:
    return "on" if on else "off"
