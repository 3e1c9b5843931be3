"""One simulated controller with its instrument: flash that survives a kill, a relay that latches, work now and then.

Its own, written for the chaos suite, since the referee must know what each one did: nothing is done that is not in the
book first. What waits for an acknowledgement is kept in the order in which it was made.
"""

import random
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from benchmarks.chaos.book import Acknowledged, Entry, Identity, Made, Started, Switched, Told

ACTIVE_W = 250.0
STANDBY_W = 12.0
WORK_S = (2.0, 8.0)
PAUSE_S = (1.5, 4.0)
"""How long an instrument with power works at a stretch, and how long it does not."""
_BUFFERED = frozenset({"reading", "card"})
"""What says of itself that it comes late."""


class WireCommand(msgspec.Struct, frozen=True):
    """What is understood of a command."""

    id: str
    expires: int
    do: str
    relay: bool | None = None


class Device:
    """A controller. Times are ms since the epoch; `note` writes into the book."""

    def __init__(self, name: str, chance: random.Random, note: Callable[..., None]) -> None:
        self.name = name
        self.relay = False
        self.waiting: dict[Identity, Made] = {}
        self.quiet = False
        self.online = False
        self._chance = chance
        self._note = note
        self._boots = 0
        self._seq = 0
        self._boot = ""
        self._obeyed: dict[str, bool] = {}
        self._works = False
        self._changes_ms = 0

    def recall(self, entries: Iterable[Entry]) -> None:
        """Find in flash what was before the process was killed."""
        waiting: dict[Identity, Made] = {}
        for entry in entries:
            if entry.controller != self.name:
                continue
            match entry:
                case Made():
                    waiting[entry.identity] = entry
                case Acknowledged():
                    waiting.pop(entry.identity, None)
                case Switched(on=on):
                    self.relay = on
                case Started():
                    self._boots += 1
                case Told():
                    pass
        self.waiting = _without_births(waiting)  # one of an earlier boot would look like yet another start

    def start(self, now_ms: int) -> None:
        """Be switched on: a boot of its own."""
        self._boot = f"{self.name}-{self._boots + 1}"
        self._note(Started(now_ms, self.name, self._boot))

    @property
    def will(self) -> bytes:
        """What the broker shall say when the connection breaks."""
        return msgspec.json.encode({"boot": self._boot})

    def connected(self, now_ms: int) -> None:
        """Say so first of all; what has been waiting is history."""
        kept, self.waiting = _without_births(self.waiting), {}
        self._make("birth", now_ms, relay=self.relay, caps=["power", "relay", "card"])
        self.waiting |= {identity: _as_history(each) for identity, each in kept.items()}
        self.online = True

    def delivered(self, identity: Identity) -> None:
        """The broker has this one."""
        self.waiting.pop(identity, None)

    def lost(self) -> None:
        """The connection is gone."""
        self.online = False

    def read(self, now_ms: int) -> None:
        """Measure once."""
        self._live(now_ms)
        self._make("reading", now_ms, power_w=self._watts(), relay=self.relay)

    def tap(self, now_ms: int, card: str) -> None:
        """Somebody holds a card to the reader; one that is cut off lets nobody in."""
        decided = {} if self.online else {"granted": False}
        self._make("card", now_ms, card=card, action="tap", **decided)

    def obey(self, now_ms: int, payload: bytes) -> None:
        """Do what is commanded, once, and answer; an answer each time it comes."""
        command = msgspec.json.decode(payload, type=WireCommand)
        self._note(Told(now_ms, self.name, command.id, command.expires, command.relay))
        if command.id not in self._obeyed:
            self._obeyed[command.id] = self._follow(now_ms, command)
        done = self._obeyed[command.id]
        error = {} if done else {"error": "expired"}
        self._make("ack", now_ms, cmd=command.id, ok=done, relay=self.relay, **error)

    def _follow(self, now_ms: int, command: WireCommand) -> bool:
        if command.expires < now_ms:
            return False
        if command.do == "relay" and command.relay is not None and command.relay is not self.relay:
            self._note(Switched(now_ms, self.name, command.relay, command.id))
            self.relay = command.relay
        return True

    def _live(self, now_ms: int) -> None:
        if self.quiet or not self.relay:
            self._works, self._changes_ms = False, now_ms
        elif now_ms >= self._changes_ms:
            self._works = not self._works
            self._changes_ms = now_ms + round(1000 * self._chance.uniform(*(WORK_S if self._works else PAUSE_S)))

    def _watts(self) -> float:
        if not self.relay:
            return 0.0
        return (ACTIVE_W if self._works else STANDBY_W) + round(self._chance.uniform(0, 5), 1)

    def _make(self, kind: str, now_ms: int, **fields: Any) -> None:
        made = Made(now_ms, self.name, kind, {"boot": self._boot, "seq": self._seq, "ts": now_ms, **fields})
        self._seq += 1
        self._note(made)
        self.waiting[made.identity] = made


def _without_births(waiting: dict[Identity, Made]) -> dict[Identity, Made]:
    return {identity: each for identity, each in waiting.items() if each.kind != "birth"}


def _as_history(made: Made) -> Made:
    if made.kind not in _BUFFERED:
        return made
    return msgspec.structs.replace(made, message=made.message | {"hist": True})
