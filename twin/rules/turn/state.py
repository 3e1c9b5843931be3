"""What a turn works on: a station, what its rules may look at, and what follows so far."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace as _replace

from twin.alerts import Alert
from twin.decisions import Verdict
from twin.directory import Directory, InstrumentFact
from twin.events import Arrival
from twin.parties import Booking, DowntimeCause
from twin.rules import watch
from twin.rules.accounts import Accounts
from twin.rules.outcome import (
    Consequences,
)
from twin.rules.session_signals import signals_of
from twin.sessions import (
    Signals,
)
from twin.state import FOREVER_MS, Book, Outage, Twin
from twin.station import Station


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


class Changed(msgspec.Struct, frozen=True):
    """What the scene shows is another from now on; time has been let pass under the old one."""

    gone: Booking | None = None
    """A booking that stands no more."""


class Turn:
    """One event on its way through the rules of one instrument."""

    def __init__(self, station: Station, scene: Scene) -> None:
        self.station = station
        self.scene = scene
        self.follows = Consequences()
        self.unwatched = False
        """Has something changed that alerts may be about?"""
        self.fired: list[Alert] = []
        """Alerts that have fired, and have not been carried out."""
        self.policy = scene.fact.policy
        self._refresh()

    @property
    def code(self) -> str:
        """The instrument."""
        return self.scene.fact.code

    @property
    def bookings(self) -> Sequence[Booking]:
        """Those of the instrument that stand, by their start."""
        return self.scene.directory.standing(self.code, self.station.freed)

    @property
    def book(self) -> Book:
        """The ledger's own view."""
        return self.station.twin.book

    def put(self, **changes: object) -> None:
        """The station with these parts anew."""
        self.station = _replace(self.station, **changes)

    def _refresh(self) -> None:
        """Let the session know what the twin has said since; messages that only confirm it do not come this way."""
        signals = self.signals()
        if signals != self.station.control.signals:
            self.put(control=_replace(self.station.control, signals=signals))

    def stay_online(self, now_ms: int) -> None:
        """Let a link that is online now stay so."""
        control = self.station.control
        if now_ms < control.signals.online_until_ms:
            self.put(control=_replace(control, signals=_replace(control.signals, online_until_ms=FOREVER_MS)))

    def settle(self, at_ms: int) -> None:
        """Nothing is due before a moment any more."""
        control = self.station.control
        if control.settled_ms < at_ms:
            self.put(control=_replace(control, settled_ms=at_ms))

    def signals(self) -> Signals:
        """What the twin says to the session."""
        physics = self.station.twin.physics
        return signals_of(self.station.twin, self.policy, has_relay=physics.has_relay, has_meter=physics.has_meter)


def outages_of(fact: InstrumentFact, since_ms: int) -> tuple[Outage, ...]:
    """When an instrument is kept out of service, as far as that is not over before a moment."""
    outages = (each for each in fact.downtimes if each.cause is DowntimeCause.OUTAGE and each.until_ms >= since_ms)
    return tuple(Outage(each.from_ms, each.until_ms) for each in outages)
