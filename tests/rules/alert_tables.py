"""Scenario tables about alerts: as `tables` reads them, with what concerns nobody but alerts besides.

    time   | what happens          | FORCED_DOOR | notices
    +0s    | 0 W, door open        | pending     | -
    +10s   |                       | firing      | +5s fired to security

A column with the name of a kind shows where its alert stands; `notices` shows what people were told about the kinds in
columns since the row before, with the time where it is not the row's own, and with the kind where there is more than
one. Events are those of `tables` and

    granted; refused                              a card at the reader
    open from +0s to +1h                          the opening hours, from now on no others
    Li acknowledges FORCED_DOOR
    silence kind FORCED_DOOR until +2h            also silence instrument SEM, silence platform EM
    site goes offline; site comes back            so that the site's alert is firing, or is not
    COMMAND_FAILED happens                        a single event
    OVERRUN holds; OVERRUN is clear               a condition that no twin tells of yet
"""

from collections.abc import Mapping

import msgspec

from tests.rules.tables import START_MS, Player, Row, Scenario, after, duration_ms
from twin.alerts import AlertKind, AlertState, Condition, Notice, Silence, Standing, Watch, Watched
from twin.policy import Policy, layered
from twin.rules.alerts import acknowledge
from twin.rules.conditions import Surroundings, conditions
from twin.rules.watch import Setting, follow, record
from twin.state import FOREVER_MS, Twin


class Facts(msgspec.Struct, frozen=True):
    """All that conditions depend on, as known at a moment."""

    twin: Twin
    policy: Policy
    around: Surroundings = Surroundings()
    others: tuple[tuple[AlertKind, Condition], ...] = ()

    def course(self, at_ms: int) -> Mapping[AlertKind, Condition]:
        return conditions(self.twin, at_ms, self.policy, self.around, self.others)


class AlertPlayer:
    """Plays a scenario to one twin and watches over its alerts."""

    def __init__(self, scenario: Scenario) -> None:
        self._player = Player(scenario)
        self._kinds = [name for name in scenario.rows[0].expected if name != "notices"]
        self._facts = Facts(self._player.service.twin, layered(scenario.overrides))
        self._setting = Setting("SEM", "EM")
        self.watch = Watch(START_MS)
        self.notices: list[Notice] = []
        self.fired: set[AlertKind] = set()

    def ask(self, now_ms: int) -> None:
        """Let time pass."""
        self._take(follow(self.watch, self._facts.course, now_ms, self._facts.policy, self._setting))

    def play(self, row: Row) -> dict[str, str]:
        """Let a row happen; what can be seen after it."""
        told = len(self.notices)
        self.ask(row.at_ms)
        for event in filter(None, map(str.strip, row.events.split(";"))):
            self._happen(event, row.at_ms)
            self.ask(row.at_ms)
        shown = {kind: self._state(AlertKind(kind)) for kind in self._kinds}
        said = [self._said(notice, row.at_ms) for notice in self.notices[told:] if notice.kind in self._kinds]
        return {**shown, "notices": "; ".join(said) or "-"}

    def _take(self, watched: Watched) -> None:
        self.watch = watched.watch
        self.notices += watched.notices
        firing = {alert.kind for alert in watched.watch.active if alert.state is AlertState.FIRING}
        self.fired |= firing | {alert.kind for alert in watched.ended}

    def _happen(self, event: str, now_ms: int) -> None:
        around, setting = self._facts.around, self._setting
        match event.split():
            case ["granted"]:
                self._know(around=msgspec.structs.replace(around, grants_ms=(*around.grants_ms, now_ms)))
            case ["refused"]:
                self._know(around=msgspec.structs.replace(around, denials_ms=(*around.denials_ms, now_ms)))
            case ["open", "from", start, "to", end]:
                opening_ms = (START_MS + duration_ms(start), START_MS + duration_ms(end))
                self._know(around=msgspec.structs.replace(around, opening_ms=opening_ms))
            case [person, "acknowledges", kind]:
                self._acknowledge(person, AlertKind(kind), now_ms)
            case ["silence", what, which, "until", end]:
                silence = _silence(what, which, START_MS + duration_ms(end))
                self._setting = msgspec.structs.replace(setting, silences=(*setting.silences, silence))
            case ["site", "goes" | "comes" as how, "offline" | "back"]:
                kinds = frozenset({AlertKind.SITE_OFFLINE} if how == "goes" else ())
                self._setting = msgspec.structs.replace(setting, inhibiting=kinds)
            case [kind, "happens"]:
                self.watch, notices = record(self.watch, AlertKind(kind), self._facts.policy, setting)
                self.notices += notices
            case [kind, "holds"]:
                self._know(others=((AlertKind(kind), Condition(Standing.HOLDS, now_ms, FOREVER_MS)),))
            case [kind, "is", "clear"]:
                self._know(others=((AlertKind(kind), Condition(Standing.CLEAR, now_ms, FOREVER_MS)),))
            case _:
                self._player.play(Row(after(now_ms - START_MS), event, {}))
                self._know(twin=self._player.service.twin)

    def _know(self, **known: object) -> None:
        self._facts = msgspec.structs.replace(self._facts, **known)

    def _acknowledge(self, person: str, kind: AlertKind, now_ms: int) -> None:
        active = (acknowledge(each, person, now_ms) if each.kind is kind else each for each in self.watch.active)
        self.watch = Watch(self.watch.asked_ms, tuple(active))

    def _state(self, kind: AlertKind) -> str:
        return next((alert.state for alert in self.watch.active if alert.kind is kind), "-")

    def _said(self, notice: Notice, now_ms: int) -> str:
        words = [] if notice.at_ms == now_ms else [after(notice.at_ms - START_MS)]
        words += [notice.kind] if len(self._kinds) > 1 else []
        words += [notice.step, notice.withheld or f"to {', '.join(notice.to)}"]
        return " ".join(words)


def _silence(what: str, which: str, until_ms: int) -> Silence:
    match what:
        case "instrument":
            return Silence(until_ms, "Wang", "service", instrument=which)
        case "platform":
            return Silence(until_ms, "Wang", "service", platform=which)
        case "kind":
            return Silence(until_ms, "Wang", "service", kind=AlertKind(which))
        case _:
            raise ValueError(f"cannot silence {what!r}")
