"""The world around the service, in virtual time: it feeds a subject, and does what the subject commands."""

import heapq
import random
from collections.abc import Callable, Sequence
from itertools import count

from benchmarks.simulation.devices import Device
from benchmarks.simulation.people import People, Screens
from benchmarks.simulation.site import DAY_S, Site
from benchmarks.simulation.subject import Subject
from benchmarks.simulation.trace import Command, Heard, Told, Trace
from twin.events import Message
from twin.requests import Lock, Unlock


def simulate(site: Site, subject: Subject) -> Trace:
    """Let a site live through all its days."""
    world = World(site, subject)
    world.run()
    return world.trace


class World:
    """One run of a site; the clock of everything in it."""

    def __init__(self, site: Site, subject: Subject, *, traced: bool = True) -> None:
        self.trace = Trace(site, end_s=site.start_s + site.seconds)
        self.now_s = site.start_s
        self._traced = traced
        self._subject = subject
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._numbers = count(1)
        self._chance = random.Random(f"world {site.seed}")
        self._devices = {one.fact.controller: self._device(site, number) for number, one in enumerate(site.equipment)}
        self._plan(site)

    def at(self, at_s: int, act: Callable[[], None]) -> None:
        """Let something happen at a moment, after what was put there before."""
        heapq.heappush(self._agenda, (max(at_s, self.now_s), next(self._order), act))

    def run(self) -> None:
        """From the first second to the last."""
        self.run_until(self.trace.end_s)

    def run_until(self, until_s: int) -> None:
        """Go on to a moment; what happens in its second is not part of it."""
        while self._agenda and self._agenda[0][0] < until_s:
            self._pass_time(self._agenda[0][0])
            at_s, _, act = heapq.heappop(self._agenda)
            self.now_s = max(self.now_s, at_s)
            act()
        self._pass_time(until_s)

    def _device(self, site: Site, number: int) -> Device:
        chance = random.Random(f"device {site.seed} {number}")
        return Device(site.equipment[number], self, chance, self._deliver, calm=site.calm, habits=site.habits)

    def _plan(self, site: Site) -> None:
        screens = Screens(self, self._ask)
        for number, device in enumerate(self._devices.values()):
            self.at(site.start_s + self._chance.randrange(100), device.start)
            People(site, device, self, random.Random(f"people {site.seed} {number}"), screens).plan()
        self._plan_losses(site)
        if not site.calm:
            for day in range(site.days):
                self.at(site.start_s + day * DAY_S + self._chance.randrange(DAY_S), self._restart)

    def _plan_losses(self, site: Site) -> None:
        for day in range(site.days):
            for device in self._devices.values():
                for _ in range(2):
                    if self._chance.random() < site.habits.losses_a_day / 2:
                        self._plan_loss(device, site.start_s + day * DAY_S + self._chance.randrange(200, DAY_S))

    def _plan_loss(self, device: Device, at_s: int) -> None:
        chance = self._chance
        until_s = at_s + chance.choice([50, 140, 200, 400, 800, 2000, 5000])
        dies = chance.randrange(1, 45) if chance.random() < 0.6 else None
        reboot = chance.random() < 0.3
        self.at(at_s, lambda: device.lose(until_s, death_after_s=dies, reboot=reboot))

    def _restart(self) -> None:
        self.trace.restarts += 1
        self._subject.restart()

    def _pass_time(self, to_s: int) -> None:
        """Let the subject's timers ring, as long as they command nothing that must be obeyed before."""
        while commands := self._subject.pass_time(min(to_s, self._agenda[0][0]) if self._agenda else to_s):
            self.obey(commands)

    def _deliver(self, controller: str, message: Message) -> None:
        self._tell(Heard(next(self._numbers), self.now_s, controller, message))

    def _ask(self, request: Callable[[int, int], Unlock | Lock]) -> None:
        self._tell(request(next(self._numbers), self.now_s * 1000))

    def _tell(self, told: Told) -> None:
        if self._traced:
            self.trace.told.append(told)
        self.obey(self._subject.tell(told))

    def obey(self, commands: Sequence[Command]) -> None:
        """Let devices follow what was commanded."""
        for command in commands:
            if self._traced:
                self.trace.commands.append(command)
            device = self._devices[command.controller]
            self.at(command.at_s, lambda command=command, device=device: device.obey(command))  # type: ignore[misc]  # bound early
