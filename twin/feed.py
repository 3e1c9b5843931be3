"""What is recorded becomes visible: the last recorded state of each twin, its revision, and who is told of changes."""

from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from twin.instrument import link_at
from twin.interface import Listener
from twin.recorder import Clock
from twin.registry import Registry
from twin.state import LinkState, Twin
from twin.views import TwinView, view_of

log = structlog.get_logger(__name__)


class Feed:
    """Twins as recorded. The fleet is ahead of it while a batch is being stored."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._shown: dict[str, tuple[int, Twin]] = {}
        self._listeners: list[Listener] = []
        self.rev = 0

    def publish(self, twins: Mapping[str, Twin]) -> list[str]:
        """Show these twins, by controller; gives the codes of their instruments."""
        if not twins:
            return []
        self.rev += 1
        codes = []
        for controller, twin in twins.items():
            code = self._registry.connected[controller].instrument
            self._shown[code] = self.rev, twin
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
        rev, twin = shown
        connected = self._registry.connected[self._registry.controllers[code]]
        return view_of(code, connected.controller, twin, connected.policy, now_ms=self._clock(), rev=rev)

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
            link_at(twin.link, now_ms, connected[controllers[code]].policy)[0]
            for code, (_, twin) in self._shown.items()
        )
