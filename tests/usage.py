"""People at a small site: who may use its instrument, what they pay, and a controller that follows."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal

from tests.sites import Site, Voice, until
from twin.clock import Clock, system_clock
from twin.enrolment import (
    NewPerson,
    NewProject,
    NewQualification,
    register_people,
    register_projects,
    register_qualifications,
)
from twin.interface import Person, SessionQuery, SessionView
from twin.parties import Level, UserCategory
from twin.registration import register_tariffs
from twin.service import TwinService
from twin.tariffs import Rates, Tariff

LI, WANG = Person("li", "user", "李"), Person("wang", "user", "王")
UID = "04a1b2c3"
LAST_YEAR = datetime(2020, 1, 1, tzinfo=UTC)
QUICK = {"walk_in": True, "active_w": 40, "confirm_ms": 200, "power_hold_ms": 200, "command_timeout_ms": 2_000}


async def enrol() -> None:
    """Li and Wang, who may use `I0`, and what they pay."""
    people = [("li", (UID,)), ("wang", ())]
    await register_people(
        [NewPerson(username=name, name=name, category=UserCategory.TEACHER, cards=cards) for name, cards in people]
    )
    await register_qualifications(NewQualification(name, "I0", Level.INDEPENDENT, LAST_YEAR) for name, _ in people)
    await register_projects(
        [NewProject(code="P1", name_zh="课题", name_en="Project", balance_cny=Decimal(1000), payers=("li", "wang"))]
    )
    rates = Rates(internal=Decimal(120), partner=Decimal(150), external=Decimal(200))
    await register_tariffs([Tariff(instrument="I0", from_ms=0, rates=rates)])


class Switch:
    """A controller that follows commands to its relay, and remembers them."""

    def __init__(self, site: Site, voice: Voice) -> None:
        self._site = site
        self.voice = voice
        self.commands: list[dict[str, object]] = []
        self.deaf = 0
        """How many more commands get lost on the way to it."""

    @asynccontextmanager
    async def following(self, *, obeys: bool = True) -> AsyncIterator["Switch"]:
        """Follow while the block runs."""

        async def follow() -> None:
            async for message in self.voice.mqtt.messages:
                command = json.loads(bytes(message.payload))
                self.commands.append(command)
                self.deaf -= 1
                if command["do"] == "relay" and obeys and self.deaf < 0:
                    await self.voice.send("ack", self.voice.message(cmd=command["id"], ok=True, relay=command["relay"]))

        await self.voice.mqtt.subscribe(f"users/v1/{self.voice.controller}/command", qos=1)
        task = asyncio.create_task(follow())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def working(
    site: Site, *, obeys: bool = True, clock: Clock = system_clock
) -> AsyncIterator[tuple[TwinService, Switch]]:
    """A service and the controller of `I0`, whose relay is off."""
    async with site.serving(clock) as service, site.speaking() as voice:
        await voice.read(0, relay=False)
        await until(lambda: relay(service) == "off")
        async with Switch(site, voice).following(obeys=obeys) as switch:
            yield service, switch


def relay(service: TwinService) -> str | None:
    """The relay of `I0` as it was last reported."""
    view = service.view("I0")
    return None if view is None else view.relay.reported


def power(service: TwinService) -> str | None:
    """The power class of `I0`."""
    view = service.view("I0")
    return None if view is None else view.power.power_class


def state(service: TwinService) -> str | None:
    """Where the session of `I0` stands."""
    view = service.view("I0")
    return None if view is None or view.session is None else view.session.state


async def sessions(service: TwinService) -> list[SessionView]:
    """All sessions there have been."""
    return list((await service.sessions(SessionQuery()))[0])
