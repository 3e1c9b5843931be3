"""The fleet as the subject of a simulation."""

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from benchmarks.simulation.lab import Lab
from benchmarks.simulation.site import Site
from benchmarks.simulation.trace import Command, Heard, Told
from twin.events import Arrival, Event, Tick
from twin.requests import Request
from twin.rules.outcome import Do


class FleetSubject:
    """A fleet with its store in memory, behind the calls of `Subject`; `lab` has what it has decided."""

    def __init__(self, site: Site) -> None:
        self.lab = Lab(site.facts, 0)
        self._seen = len(self.lab.commands)

    def tell(self, told: Told) -> Sequence[Command]:
        """Something has been heard or asked."""
        number = self.lab.next()  # the lab has events of its own: facts and corrections
        if isinstance(told, Heard):
            at_ms = told.at_s * 1000
            return self._handle(Arrival(told.controller, at_ms, told.message, number), at_ms)
        return self._handle(msgspec.structs.replace(told, number=number), told.at_ms)

    def pass_time(self, to_s: int) -> Sequence[Command]:
        """Let timers ring that are due up to this moment, each at its time, until one commands something."""
        commands: Sequence[Command] = ()
        while not commands and (due_ms := self.lab.fleet.next_due_ms()) < to_s * 1000:
            commands = self._handle(Tick(due_ms), due_ms)
        return commands

    def restart(self) -> None:
        """Crash, and go on from what was written down."""
        self.lab.restart()

    def charged(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Gross and net of each session that has been charged, with all corrections."""
        sums: dict[str, tuple[Decimal, Decimal]] = {}
        for each in self.lab.charges:
            if each.session is not None:
                gross, net = sums.get(each.session, (Decimal(0), Decimal(0)))
                sums[each.session] = gross + each.line.gross_cny, net + each.line.net_cny
        return sums

    def _handle(self, event: Event | Request, now_ms: int) -> list[Command]:
        self.lab.handle(event)
        self.lab.settle(now_ms)
        new, self._seen = self.lab.commands[self._seen :], len(self.lab.commands)
        return [
            Command(each.at_ms // 1000, each.controller, each.id, each.relay)
            for each in new
            if each.do is Do.RELAY and each.relay is not None
        ]
