"""One simulated controller with its instrument: flash that survives a kill, a relay that latches, work now and then.

Its own, written for the chaos suite, since the referee must know what each one did: nothing is done that is not in the
book first. What waits for an acknowledgement is kept in the order in which it was made.
"""

import random
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from benchmarks.chaos.book import Acknowledged, Entry, Granted, Identity, Made, Started, Switched, Told
from benchmarks.chaos.grants import Grants, digest, read_grants

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

    def __init__(self, name: str, chance: random.Random, note: Callable[..., None], key: str = "") -> None:
        self.name = name
        self._key = key
        self._grants = Grants()
        self._inside: tuple[str, str] | None = None
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
                case Granted(grants=grants):
                    self._grants = grants
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
        self.online, self._inside = True, None  # who comes and goes is the service's business again

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
        """Somebody holds a card to the reader; while it is cut off the controller decides by its grants."""
        if self.online:
            self._make("card", now_ms, card=card, action="tap")
            return
        known = digest(card)
        if self._inside is not None and self._inside[0] == known:
            self._make("card", now_ms, card=card, action="out", granted=True, grant=self._inside[1])
            self._inside, self._works = None, False
            self._make("reading", now_ms, power_w=self._watts(), relay=self.relay)
            self._switch(now_ms, None, on=False)
        elif not self.relay and (grant := dict(self._grants.at(now_ms)).get(known)) is not None:
            self._make("card", now_ms, card=card, action="in", granted=True, grant=grant)
            self._inside = known, grant
            self._switch(now_ms, None, on=True)
        else:
            self._make("card", now_ms, card=card, action="tap", granted=False)
        self.read(now_ms)

    def welcome(self, now_ms: int, cards: Iterable[str]) -> list[str]:
        """Those of these cards that this controller would do something for, cut off as it is."""
        known = {card for card, _ in self._grants.at(now_ms)} | {self._inside[0] if self._inside else ""}
        return [each for each in cards if digest(each) in known]

    def take_grants(self, now_ms: int, payload: bytes) -> None:
        """Keep what is signed, unless something newer is known."""
        grants = read_grants(payload, self._key)
        if grants is not None and grants.version >= self._grants.version:
            self._grants = grants
            self._note(Granted(now_ms, self.name, grants))

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
            self._switch(now_ms, command.id, on=command.relay)
        return True

    def _switch(self, now_ms: int, command: str | None, *, on: bool) -> None:
        self._note(Switched(now_ms, self.name, on, command))
        self.relay = on

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
