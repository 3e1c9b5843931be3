"""What the boards show: twins, and alerts that fire."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

import msgspec

from twin.interface import AlertView, Listener, Service
from twin.views import TwinView
from web.scopes import AlertScope, Scope

REMEMBERED = 1000
"""Alerts that are over and can still be told as a change; who has missed more of them gets a snapshot."""


class Twins:
    """All twins, by instrument code."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def rev(self) -> int:
        """The revision of the newest change."""
        return self._service.rev()

    def keys(self, scope: Scope) -> Iterable[str]:
        """The instruments in scope that have a controller."""
        return (i.code for i in self._service.instruments() if i.controller is not None and scope.has(i))

    def has(self, scope: Scope, key: str) -> bool:
        """Does this instrument lie in the scope?"""
        return scope.has(self._service.instrument(key))

    def only(self, scope: Scope) -> str | None:
        """The instrument that a page is about."""
        return scope.instrument

    def value(self, key: str) -> TwinView | None:
        """A twin as it is now."""
        return self._service.view(key)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Be told the codes of what has changed."""
        return self._service.listen(listener)


class Alerts:
    """The alerts that fire, by id. One that is over is told once more, as resolved, to those who knew of it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._rev = 0
        self._firing: dict[str, AlertView] = {}
        self._over: OrderedDict[str, AlertView] = OrderedDict()

    def rev(self) -> int:
        """Counts up with every change that was heard of."""
        return self._rev

    def keys(self, scope: AlertScope) -> Iterable[str]:
        """The alerts in scope that fire."""
        return (alert.id for alert in self._firing.values() if scope.has(alert))

    def has(self, scope: AlertScope, key: str) -> bool:
        """Does this alert lie in the scope? One that is forgotten does: its going must be told."""
        alert = self.value(key)
        return alert is None or scope.has(alert)

    def only(self, _scope: AlertScope) -> None:
        """A scope is never about one alert alone."""
        return

    def value(self, key: str) -> AlertView | None:
        """An alert as it is now. When one was resolved stands in the records, not here."""
        return self._firing.get(key) or self._over.get(key)

    def listen(self, listener: Callable[[Sequence[str]], None]) -> Callable[[], None]:
        """Be told the ids of what has changed."""
        self._take_in()

        def hear() -> None:
            if changed := self._take_in():
                listener(changed)

        return self._service.listen_alerts(hear)

    def _take_in(self) -> list[str]:
        """Look at what fires now; gives the ids of what is new, other than before, or over."""
        firing = {alert.id: alert for alert in self._service.alerts()}
        over = [key for key in self._firing if key not in firing]
        changed = [key for key, alert in firing.items() if self._firing.get(key) != alert] + over
        for key in over:
            self._over[key] = msgspec.structs.replace(self._firing[key], state="resolved")
        for key in firing:
            self._over.pop(key, None)
        while len(self._over) > REMEMBERED:
            self._over.popitem(last=False)
        self._firing = firing
        self._rev += bool(changed)
        return changed
