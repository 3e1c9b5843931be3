"""Cut off for two hours in the middle of three bookings, a controller ends with the same bills as if it had not been.

The real rules and the simulated controller, with signed grants and JSON between them, in virtual time.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random

import msgspec
import pytest

from benchmarks.simulation.lab import Lab
from controllers_sim.controller import Controller, Hardware
from twin.alerts import AlertKind
from twin.directory import BookingFact, InstrumentFact, ProjectFact, UserFact
from twin.events import Arrival, Death
from twin.parties import Booking, Level, Project, Qualification, User, UserCategory
from twin.policy import Policy
from twin.rules.outcome import Outcome, SessionStatus
from twin.sessions import CloseReason
from twin.state import Category
from twin.stream.commands import wire_command
from twin.stream.grants import wire_grants
from twin.stream.native import card_digest, decode
from twin.stream.topics import Topics
from twin.tariffs import PriceList, Rates, Tariff

START = 1_772_409_600_000
MIN, STEP_MS = 60_000, 10_000
END = START + 300 * MIN
KEY = "5a" * 32
NOTICED_MS = 45_000
"""The broker misses a controller this much later."""
SLOTS = {"li": (60, 120), "wang": (120, 180), "zhao": (180, 240)}
"""Who has booked from when until when, minutes from the start."""
CUTS = [(90, 210), (50, 170), (115, 235), (130, 250)]
RATES = Rates(internal=Decimal(120), partner=Decimal(150), external=Decimal(200))
TARIFF = Tariff(instrument="SEM", from_ms=0, rates=RATES, idle_percent=50)


@dataclass(frozen=True)
class Stay:
    """Somebody taps, works, has a break, works on, and taps again; ms."""

    card: str
    taps_ms: tuple[int, int]
    works_ms: tuple[tuple[int, int], tuple[int, int]]

    def is_working(self, at_ms: int) -> bool:
        return any(begin_ms <= at_ms < end_ms for begin_ms, end_ms in self.works_ms)


def stays(seed: int) -> list[Stay]:
    """Everybody comes up to 8 min early or late and goes before their slot is over."""
    chance = Random(seed)  # noqa: S311 - what is tested wants a seed, not a secret
    found = []
    for number, (begin_min, end_min) in enumerate(SLOTS.values()):
        before = -8 if number == 0 else 1
        come_ms = START + begin_min * MIN + chance.randrange(before * 6, 48) * STEP_MS
        go_ms = START + end_min * MIN - chance.randrange(12, 60) * STEP_MS
        break_ms = come_ms + chance.randrange(60, 120) * STEP_MS
        works_ms = ((come_ms + MIN, break_ms), (break_ms + chance.randrange(6, 60) * STEP_MS, go_ms - MIN))
        found.append(Stay(f"04{number:02x}", (come_ms, go_ms), works_ms))
    return found


@dataclass
class World:
    """The rules, a controller, its people, and the wire between them."""

    people: list[Stay]
    cut_ms: tuple[int, int] | None
    number: int = 0
    controller: Controller = field(init=False)
    lab: Lab = field(init=False)

    def __post_init__(self) -> None:
        hardware = Hardware("c", relay=False, caps=("power", "relay", "card"))
        self.controller = Controller(hardware, Random(1), grant_key=KEY)  # noqa: S311
        self.lab = Lab(facts(self.people), START - 1)
        fact = self.lab.fleet.grants("c", START)
        assert fact is not None
        self.lab.learn(fact, START)
        self.controller.grants(wire_grants(fact, KEY))
        self.controller.boot(START)

    def is_cut(self, at_ms: int) -> bool:
        return self.cut_ms is not None and self.cut_ms[0] <= at_ms < self.cut_ms[1]

    def run(self) -> "World":
        for at_ms in range(START, END, STEP_MS):
            self._connect(at_ms)
            self._measure(at_ms)
            if self.controller.online:
                self._talk(at_ms)
            self.lab.commit(at_ms)
        return self

    def _connect(self, at_ms: int) -> None:
        """The connection is lost or comes back; the broker notices later that it is lost."""
        if self.controller.online and self.is_cut(at_ms):
            self.controller.lost()
        elif not self.controller.online and not self.is_cut(at_ms):
            self.controller.connected(at_ms)
        lost_ms = at_ms - NOTICED_MS
        if self.is_cut(at_ms) and self.cut_ms is not None and lost_ms <= self.cut_ms[0] < lost_ms + STEP_MS:
            self._hear(Arrival("c", at_ms, Death(self.controller.boot_id), self.lab.next()), at_ms)

    def _measure(self, at_ms: int) -> None:
        for stay in self.people:
            if at_ms in stay.taps_ms:
                self.controller.tap(at_ms, stay.card)
                self._talk(at_ms)
        works = any(stay.is_working(at_ms) for stay in self.people)
        self.controller.read(at_ms, 130.0 if works else 12.0)

    def _talk(self, at_ms: int) -> None:
        """What the controller says reaches the rules, and what these command reaches the controller, at once."""
        while self.controller.online and (message := self.controller.take()) is not None:
            source = Topics().source(message.topic)
            assert source is not None
            self.controller.delivered()
            messages, malformed = decode(source[1], message.payload)
            assert not malformed
            for each in messages:
                self._hear(Arrival("c", at_ms, each, self.lab.next()), at_ms)

    def _hear(self, arrival: Arrival, at_ms: int) -> None:
        self._obey(self.lab.handle(arrival), at_ms)

    def _obey(self, outcome: Outcome, at_ms: int) -> None:
        if not self.controller.online:
            return
        for command in (each for follows in outcome.consequences for each in follows.commands):
            self.controller.command(at_ms, msgspec.json.encode(wire_command(command)))

    def sessions(self) -> dict[str, tuple[int | None, int | None, SessionStatus, object]]:
        """Whose session was open from when until when; ms from the start."""
        return {
            each.user: (each.opened_ms, each.ended_ms, each.status, each.reason) for each in self.lab.sessions.values()
        }

    def bills(self) -> dict[str, Decimal]:
        """The sum of everybody's lines."""
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for each in self.lab.charges:
            sums[each.user] += each.line.net_cny
        return dict(sums)


def facts(people: list[Stay]) -> list[InstrumentFact | UserFact | ProjectFact | BookingFact]:
    """What the rules know of all this."""
    told: list[InstrumentFact | UserFact | ProjectFact | BookingFact] = [
        InstrumentFact(code="SEM", controller="c", policy=Policy(), prices=PriceList(versions=(TARIFF,))),
        ProjectFact(project=Project("P", frozenset(SLOTS), Decimal(10_000))),
    ]
    for (name, (begin_min, end_min)), stay in zip(SLOTS.items(), people, strict=True):
        booking = Booking(name, "SEM", name, START + begin_min * MIN, START + end_min * MIN, project="P")
        told += [
            UserFact(
                user=User(name, UserCategory.STUDENT, 100),
                cards=(card_digest(stay.card),),
                qualifications=(Qualification("SEM", Level.INDEPENDENT),),
            ),
            BookingFact(id=name, booking=booking),
        ]
    return told


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_the_bills_are_the_same_as_if_it_had_not_been_cut_off(cut: tuple[int, int], seed: int) -> None:
    people = stays(seed)
    cut_ms = START + cut[0] * MIN, START + cut[1] * MIN
    whole, parted = World(people, None).run(), World(people, cut_ms).run()
    assert set(whole.bills()) == set(SLOTS)
    assert parted.bills() == whole.bills()
    assert parted.sessions() == whole.sessions()
    assert {each[3] for each in whole.sessions().values()} == {CloseReason.USER}
    assert parted.lab.alerts.keys() <= {*whole.lab.alerts.keys(), *_of_the_outage(parted)}
    assert not any(span.category is Category.UNKNOWN for span in parted.lab.ledger("c")[1:])


def _of_the_outage(world: World) -> set[str]:
    """Alerts that an outage is bound to raise."""
    kinds = {AlertKind.CONTROLLER_OFFLINE, AlertKind.SITE_OFFLINE}
    return {key for key, each in world.lab.alerts.items() if each.alert.kind in kinds}


def test_without_grants_nobody_would_have_got_in() -> None:
    people = stays(0)
    parted = World(people, (START + 90 * MIN, START + 210 * MIN))
    parted.controller.doorkeeper.refused = 0
    parted.controller.grants(wire_grants(parted.lab.fleet.directory.grants["c"], "11" * 32))
    assert parted.controller.doorkeeper.refused == 1
    parted.controller = Controller(parted.controller.hardware, Random(1))  # noqa: S311 - without a key
    parted.controller.boot(START)
    assert set(parted.run().bills()) < set(SLOTS)
