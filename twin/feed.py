"""What is recorded becomes visible: the last recorded state of each twin, its revision, and who is told of changes."""

from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from twin.briefs import alert_briefs, booking_brief, session_brief
from twin.clock import Clock
from twin.directory import Directory
from twin.instrument import link_at
from twin.interface import Listener
from twin.registry import Registry
from twin.state import LinkState
from twin.station import Station
from twin.views import TwinView, view_of

log = structlog.get_logger(__name__)


class Feed:
    """Twins as recorded. The fleet is ahead of it while a batch is being stored."""

    def __init__(self, registry: Registry, directory: Directory, clock: Clock) -> None:
        self._registry = registry
        self._directory = directory
        self._clock = clock
        self._shown: dict[str, tuple[int, Station]] = {}
        self._listeners: list[Listener] = []
        self.rev = 0

    def publish(self, stations: Mapping[str, Station]) -> list[str]:
        """Show these stations, by controller; gives the codes of their instruments."""
        if not stations:
            return []
        self.rev += 1
        codes = []
        for controller, station in stations.items():
            code = self._registry.connected[controller].instrument
            self._shown[code] = self.rev, station
            codes.append(code)
        for listener in list(self._listeners):
            listener(codes)
        return codes

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Be told of changes; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def view(self, code: str) -> TwinView | None:
        """One twin as it is now."""
        shown = self._shown.get(code)
        if shown is None:
            return None
        rev, station = shown
        connected = self._registry.connected[self._registry.controllers[code]]
        now_ms, bookings, order = self._clock(), self._directory.bookings(code), station.control.order
        return view_of(
            code,
            connected.controller,
            station.twin,
            connected.policy,
            now_ms=now_ms,
            rev=rev,
            desired=None if order is None else "on" if order.on else "off",
            session=session_brief(station.control, bookings, connected.policy),
            booking=booking_brief(bookings, now_ms),
            alerts=alert_briefs(code, station.watch),
        )

    def codes(self) -> list[str]:
        """The instruments that are shown."""
        return list(self._shown)

    def station(self, code: str) -> Station | None:
        """One station as recorded."""
        shown = self._shown.get(code)
        return None if shown is None else shown[1]

    def views(self) -> list[TwinView]:
        """All twins as they are now, by instrument."""
        views = (self.view(code) for code in sorted(self._shown))
        return [view for view in views if view is not None]

    def links(self) -> dict[LinkState, int]:
        """How many twins' links are in which state."""
        now_ms = self._clock()
        connected = self._registry.connected
        controllers = self._registry.controllers
        return Counter(
            link_at(station.twin.link, now_ms, connected[controllers[code]].policy)[0]
            for code, (_, station) in self._shown.items()
        )
