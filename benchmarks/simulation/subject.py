"""The engine under test, behind the few calls that the world makes."""

from collections.abc import Sequence
from typing import Protocol

from benchmarks.simulation.trace import Command, Told


class Subject(Protocol):
    """Whatever decides about a site."""

    def tell(self, told: Told) -> Sequence[Command]:
        """Something has been heard or asked."""

    def pass_time(self, to_s: int) -> Sequence[Command]:
        """Let timers ring that are due up to this moment, each at its time, until one commands something."""

    def restart(self) -> None:
        """Crash, and go on from what was written down."""
