"""Faults on request: a seeded stage that every outgoing message passes, and what goes wrong with commands.

Each rate is a probability per message or command. The same seed gives the same faults at the same ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Annotated

import msgspec

from controllers_sim.wire import Message

Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often what goes wrong.

    An outage lasts `outage_s` on average; a clock jumps to anywhere within `skew_s` of the right time. Of the relay
    commands `refuse` are answered with an error and `stuck` are acknowledged though the relay does not move; `lose` of
    all commands are never answered.
    """

    drop: Rate = 0.0
    duplicate: Rate = 0.0
    reorder: Rate = 0.0
    disconnect: Rate = 0.0
    skew: Rate = 0.0
    reboot: Rate = 0.0
    refuse: Rate = 0.0
    lose: Rate = 0.0
    stuck: Rate = 0.0
    outage_s: Positive = 20.0
    skew_s: Positive = 600.0

    def __post_init__(self) -> None:
        if self.refuse + self.lose + self.stuck > 1:
            raise ValueError("refuse, lose and stuck are shares of the same commands: together at most 1")


@dataclass(frozen=True, slots=True)
class Outage:
    """The network is gone for `for_ms`."""

    for_ms: int


@dataclass(frozen=True, slots=True)
class ClockJump:
    """The controller's clock is `skew_ms` ahead from now on."""

    skew_ms: int


@dataclass(frozen=True, slots=True)
class Reboot:
    """The controller starts anew."""


Trouble = Outage | ClockJump | Reboot


class Mishap(Enum):
    """What becomes of a command that is not simply obeyed."""

    REFUSED = "refused"
    LOST = "lost"
    STUCK = "stuck"


Mishaps = Callable[[str], Mishap | None]
"""What becomes of the command of this id."""


def mishaps(faults: Faults, seed: str) -> Mishaps:
    """Give what decides about commands: by seed and command id alone, so that one heard twice fares the same."""
    shares = ((Mishap.REFUSED, faults.refuse), (Mishap.LOST, faults.lose), (Mishap.STUCK, faults.stuck))

    def mishap(command_id: str) -> Mishap | None:
        draw = Random(f"{seed}/{command_id}").random()
        for kind, share in shares:
            if draw < share:
                return kind
            draw -= share
        return None

    return mishap


def read_faults(text: str) -> Faults:
    """Read `drop=0.01,duplicate=0.02`.

    Raises:
        ValueError: a name is unknown or a value is not a number in range; the message says which.

    """
    pairs = dict(part.partition("=")[::2] for part in text.replace(" ", "").split(",") if part)
    try:
        return msgspec.convert(pairs, Faults, strict=False)
    except msgspec.ValidationError as error:
        names = ", ".join(Faults.__struct_fields__)
        raise ValueError(f"faults: {error}. Known are {names}; write drop=0.01,reboot=0.001") from None


class FaultStage:
    """The stage of one controller: what becomes of a message, and what happens to the controller after it."""

    def __init__(self, faults: Faults, rng: Random) -> None:
        self._faults = faults
        self._rng = rng
        self._held: Message | None = None

    def apply(self, message: Message) -> tuple[list[Message], Trouble | None]:
        """Give what leaves instead of `message`, in order, and the trouble that follows."""
        return self._disorder(message), self._trouble()

    def flush(self) -> list[Message]:
        """Give what is still held back: reordering never loses anything."""
        held, self._held = self._held, None
        return [held] if held else []

    def _disorder(self, message: Message) -> list[Message]:
        faults = self._faults
        if self._hits(faults.drop):
            return []
        if self._held is None and self._hits(faults.reorder):
            self._held = message
            return []
        copies = 2 if self._hits(faults.duplicate) else 1
        return [message] * copies + self.flush()

    def _trouble(self) -> Trouble | None:
        faults, rng = self._faults, self._rng
        if self._hits(faults.disconnect):
            return Outage(max(1, round(rng.expovariate(1 / faults.outage_s) * 1000)))
        if self._hits(faults.skew):
            return ClockJump(round(rng.uniform(-faults.skew_s, faults.skew_s) * 1000))
        return Reboot() if self._hits(faults.reboot) else None

    def _hits(self, rate: float) -> bool:
        return rate > 0 and self._rng.random() < rate
