"""Which part of the site somebody looks at."""

from collections.abc import Iterable

import msgspec

from twin.interface import AlertView, Instrument, Platform


class Scope(msgspec.Struct, frozen=True):
    """Instruments of some platforms, or a single one; None stands for no limit."""

    platforms: frozenset[str] | None = None
    instrument: str | None = None

    def has(self, instrument: Instrument | None) -> bool:
        """Does this instrument lie in the scope? One that has left the catalogue does: its going must be told."""
        if instrument is None:
            return True
        if self.instrument is not None and instrument.code != self.instrument:
            return False
        return self.platforms is None or instrument.platform in self.platforms


class AlertScope(msgspec.Struct, frozen=True):
    """Alerts of some instruments; None: all, and those about the site."""

    instruments: frozenset[str] | None = None

    def has(self, alert: AlertView) -> bool:
        """Does this alert lie in the scope?"""
        return self.instruments is None or alert.instrument in self.instruments


def with_children(platforms: Iterable[Platform], code: str) -> frozenset[str] | None:
    """The codes of a platform and of all below it; None where there is no such platform.

    `platforms` names parents before their children.
    """
    found: set[str] = set()
    for platform in platforms:
        if platform.code == code or platform.parent in found:
            found.add(platform.code)
    return frozenset(found) or None
