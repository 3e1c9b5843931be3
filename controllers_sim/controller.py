"""A native controller as a protocol core: samples, cards and commands in, messages out. No sockets, no clock.

    boot(now) ─► connected(now) ─► take() ─► (published, acknowledged) ─► delivered() ─► take() ...
                     ▲                                                        │
                     └──────────── the connection is gone: lost() ◄───────────┘

Every message gets its identity when its cause happens, and waits in one bounded store until the broker has
acknowledged it. What has piled up during an outage is sent as `hist`: cards at once, for they say who is in; readings
when there is time. Cut off, the controller decides about cards by the grants that it was told (`grants`).
"""

from collections import deque
from dataclasses import dataclass
from random import Random

import msgspec

from controllers_sim import wire
from controllers_sim.faults import Mishap, Mishaps
from controllers_sim.grants import Came, Doorkeeper
from controllers_sim.wire import Ack, Birth, Card, CardAction, Command, Door, Item, Message, Reading

QUEUE_LIMIT = 7_200
"""Items kept while cut off: two hours at one a second. When full, readings are thinned, the oldest first."""
WIDEST_GAP_MS = 60_000
"""Readings are thinned so far and no further, while there are others to thin: for longer nobody would vouch."""
REMEMBERED_COMMANDS = 64
REFUSAL = "interlock: the relay may not move"
MS_PER_H = 3_600_000
_ACTIONS: dict[Came, CardAction] = {Came.IN: "in", Came.OUT: "out"}


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a controller is made of. `relay` is its state as delivered, None where it has no relay."""

    id: str
    model: str = "UT-1"
    fw: str = "1.4.2"
    relay: bool | None = True
    caps: tuple[str, ...] = ("power", "relay", "card", "presence", "door")


class Controller:
    """One controller. Times are ms since the epoch, UTC, true time; `skew_ms` is how far its own clock is ahead.

    `mishaps` says which commands it does not simply obey.
    """

    def __init__(
        self,
        hardware: Hardware,
        rng: Random,
        *,
        limit: int = QUEUE_LIMIT,
        mishaps: Mishaps = lambda _: None,
        grant_key: str | None = None,
    ) -> None:
        self.hardware = hardware
        self.doorkeeper = Doorkeeper(grant_key)
        self.skew_ms = 0
        self.relay = hardware.relay
        self._powered_since_ms = 0
        self.awake = False
        self.online = False
        self.reboot_asked = False
        self.given_up = 0
        self.unreadable = 0
        self._rng = rng
        self._limit = limit
        self._mishaps = mishaps
        self._boot = ""
        self._seq = 0
        self._energy_wh = 0.0
        self._measured: tuple[int, float] | None = None
        self._answers: dict[str, Ack] = {}
        self._queue: deque[Item] = deque()
        self._history: deque[Reading] = deque()
        self._opens_when_idle = False
        self._in_flight: tuple[Item, ...] = ()

    @property
    def boot_id(self) -> str:
        """What tells this start of the controller from every other."""
        return self._boot

    @property
    def powered_since_ms(self) -> int | None:
        """Since when power gets through, ms; 0 where it always did, None while the relay is open."""
        return None if self.relay is False else self._powered_since_ms

    @property
    def waiting(self) -> int:
        """How many items the broker has not acknowledged yet."""
        return len(self._queue) + len(self._history) + len(self._in_flight)

    def boot(self, now_ms: int) -> None:
        """Start, or start again: a new boot id, `seq` from 0. The relay latches; meter, grants and queue are kept."""
        self.lost()
        # An old birth after the new one would look like yet another start.
        self._queue = deque(item for item in self._queue if not isinstance(item, Birth))
        self._boot = f"{now_ms:x}-{self._rng.getrandbits(24):06x}"
        self._seq = 0
        self.awake = True
        self.reboot_asked = False
        self._measured = None
        self._answers.clear()

    def halt(self) -> None:
        """Go down: nothing is measured or heard until the next `boot`."""
        self.lost()
        self.awake = False

    def will(self) -> Message:
        """Give what the broker shall say when the connection breaks."""
        return Message(self._topic("death"), wire.encode(wire.Death(self._boot)))

    def connected(self, now_ms: int) -> None:
        """Take up a new connection: a birth goes first, and what had to wait for it is history."""
        hardware = self.hardware
        birth = Birth(
            self._boot, self._next_seq(), self._ts(now_ms), hardware.fw, hardware.model, self.relay, hardware.caps
        )
        readings = [item for item in self._queue if isinstance(item, Reading)]
        self._history.extend(msgspec.structs.replace(item, hist=True) for item in readings)
        others = (item for item in self._queue if not isinstance(item, Reading))
        self._queue = deque((birth, *map(_as_history, others)))
        self.online = True

    def lost(self) -> None:
        """Note that the connection is gone: what was in flight will be sent again, with the same identity."""
        for item in reversed(self._in_flight):
            if isinstance(item, Reading) and item.hist:
                self._history.appendleft(item)
            else:
                self._queue.appendleft(item)
        self._in_flight = ()
        self.online = False

    def read(self, now_ms: int, power_w: float, *, occupied: bool | None = None, door: Door | None = None) -> None:
        """Measure: power in W, whether somebody is there, the door. An open relay lets nothing through."""
        power_w = power_w if self.relay is not False else 0.0
        if self._opens_when_idle and power_w < self.doorkeeper.grants.active_w:
            self._open_relay()
        self._meter(now_ms, power_w)
        identity = (self._boot, self._next_seq(), self._ts(now_ms))
        energy_wh = round(self._energy_wh, 3)
        self._enqueue(Reading(*identity, round(power_w, 1), energy_wh, self.relay, occupied, door))

    def tap(self, now_ms: int, card: str) -> None:
        """Hold a card to the reader: the service decides, or, cut off, the controller by what it was told."""
        clock_ms = self._ts(now_ms)
        if self.online:
            self.doorkeeper.asked(card, clock_ms)
            self._enqueue(Card(self._boot, self._next_seq(), clock_ms, card, "tap"))
            return
        answer = self.doorkeeper.decide(card, clock_ms, relay=self.relay)
        self._act(now_ms, answer.came)
        granted = answer.came is not Came.REFUSED
        action = _ACTIONS.get(answer.came, "tap")
        self._enqueue(Card(self._boot, self._next_seq(), clock_ms, card, action, granted, answer.grant))

    def grants(self, payload: bytes) -> None:
        """Hear what may be allowed while nobody can be asked."""
        self.doorkeeper.hear(payload)

    def command(self, now_ms: int, payload: bytes) -> None:
        """Obey a command and answer it. One that comes twice is answered twice and done once."""
        command = wire.decode_command(payload)
        if command is None:
            self.unreadable += 1
            return
        mishap = self._mishaps(command.id)
        if mishap is Mishap.LOST:
            return
        known = self._answers.get(command.id)
        error = known.error if known else self._obey(now_ms, command, mishap)
        answer = Ack(self._boot, self._next_seq(), self._ts(now_ms), command.id, error is None, self.relay, error)
        self._remember(answer)
        self._enqueue(answer)

    def take(self, *, history: bool = True) -> Message | None:
        """Give the next message to publish, None when there is nothing; `delivered` or `lost` must follow.

        `history`: is there time for buffered readings, where nothing newer waits?
        """
        if self._in_flight:
            return None
        if self._queue:
            self._in_flight = (self._queue.popleft(),)
            return Message(self._topic(_kind(self._in_flight[0])), wire.encode(self._in_flight[0]))
        if not (history and self._history):
            return None
        batch = [self._history.popleft() for _ in range(min(len(self._history), wire.MAX_ARRAY))]
        self._in_flight = tuple(batch)
        return Message(self._topic("reading"), wire.encode(batch))

    @property
    def has_history(self) -> bool:
        """Whether buffered readings wait to be told."""
        return bool(self._history)

    def delivered(self) -> None:
        """Note that the broker has acknowledged the message taken last."""
        self._in_flight = ()

    def _obey(self, now_ms: int, command: Command, mishap: Mishap | None) -> str | None:
        if command.expires < self._ts(now_ms):
            return "expired"
        match command.do:
            case "relay":
                return self._switch(now_ms, mishap, relay=command.relay)
            case "say":
                return None if command.text else "nothing to say"
            case "reboot":
                self.reboot_asked = True
                return None
            case unknown:
                return f"unknown command {unknown[:40]}"

    def _switch(self, now_ms: int, mishap: Mishap | None, *, relay: bool | None) -> str | None:
        if self.hardware.relay is None:
            return "no relay"
        if relay is None:
            return "relay: true or false is missing"
        if mishap is Mishap.REFUSED:
            return REFUSAL
        if mishap is Mishap.STUCK:
            return None
        self._opens_when_idle = False
        self.doorkeeper.switched(self._ts(now_ms), on=relay)
        if relay:
            self._close_relay(now_ms)
        else:
            self._open_relay()
        return None

    def _act(self, now_ms: int, came: Came) -> None:
        """Switch the relay for somebody who was let in or out by the controller itself."""
        if self.relay is None or came not in {Came.IN, Came.OUT}:
            return
        cut = self.doorkeeper.grants.cut
        self._opens_when_idle = came is Came.OUT and cut == "when_idle"
        if came is Came.IN:
            self._close_relay(now_ms)
        elif cut == "at_once":
            self._open_relay()

    def _close_relay(self, now_ms: int) -> None:
        if not self.relay:
            self._powered_since_ms = now_ms
        self.relay = True

    def _open_relay(self) -> None:
        self._opens_when_idle = False
        self.relay = False

    def _remember(self, answer: Ack) -> None:
        self._answers[answer.cmd] = answer
        if len(self._answers) > REMEMBERED_COMMANDS:
            del self._answers[next(iter(self._answers))]

    def _meter(self, now_ms: int, power_w: float) -> None:
        if self._measured is not None:
            since_ms, before_w = self._measured
            self._energy_wh += before_w * max(0, now_ms - since_ms) / MS_PER_H
        self._measured = (now_ms, power_w)

    def _enqueue(self, item: Item) -> None:
        if len(self._queue) + len(self._history) >= self._limit:
            self._make_room()
        self._queue.append(item)

    def _make_room(self) -> None:
        """Give up every second of the older readings, else of the newer; never a card while there are readings."""
        readings = [*self._history, *(item for item in self._queue if isinstance(item, Reading))]
        half = (len(readings) + 1) // 2
        spare = _every_second(readings[: half + 1]) or _every_second(readings[half:])
        if spare or readings:
            gone = {id(item) for item in spare or readings[:1]}
            self._history = deque(item for item in self._history if id(item) not in gone)
            self._queue = deque(item for item in self._queue if id(item) not in gone)
            self.given_up += len(gone)
        else:
            self._queue.popleft()
            self.given_up += 1

    def _next_seq(self) -> int:
        seq = self._seq
        self._seq += 1
        return seq

    def _ts(self, now_ms: int) -> int:
        return now_ms + self.skew_ms

    def _topic(self, kind: wire.Kind) -> str:
        return wire.topic(self.hardware.id, kind)


def _kind(item: Item) -> wire.Kind:
    match item:
        case Birth():
            return "birth"
        case Reading():
            return "reading"
        case Card():
            return "card"
        case Ack():
            return "ack"


def _as_history(item: Item) -> Item:
    return msgspec.structs.replace(item, hist=True) if isinstance(item, Card) else item


def _every_second(readings: list[Reading]) -> list[Reading]:
    """Those that can be spared: every second one, where what is left is not too far apart."""
    between = zip(readings[0::2], readings[1::2], readings[2::2], strict=False)
    return [middle for before, middle, after in between if 0 <= after.ts - before.ts <= WIDEST_GAP_MS]
