"""Causes: everything the fleet can be told. What controllers say is decoded into these values by `twin.stream`."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

Token = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$")]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Watts = Annotated[float, Meta(ge=0, le=10_000_000)]
WattHours = Annotated[float, Meta(ge=0, le=1e15)]
Door: TypeAlias = Literal["open", "closed"]


class _Value(msgspec.Struct, frozen=True, gc=False):
    """Immutable, compact and never part of a reference cycle."""


class Reading(_Value, frozen=True):
    """What a controller measured at one moment. Power is W, energy Wh, `ts` ms since the epoch by its own clock.

    `None` means not said: the value before it holds on.
    """

    boot: Token
    seq: Count
    ts: Count
    power_w: Watts
    energy_wh: WattHours | None = None
    relay: bool | None = None
    occupied: bool | None = None
    door: Door | None = None
    hist: bool = False


class Birth(_Value, frozen=True):
    """A controller has started, or is connected again."""

    boot: Token
    seq: Count
    ts: Count
    fw: Text = ""
    model: Text = ""
    relay: bool | None = None
    caps: tuple[Text, ...] = ()


class Death(_Value, frozen=True):
    """The broker's word that a controller's connection is gone."""

    boot: Token


class Card(_Value, frozen=True):
    """A card at the reader. `card` is the SHA-256 of the uid: the uid itself is kept nowhere."""

    boot: Token
    seq: Count
    ts: Count
    card: Token
    action: Literal["in", "out", "tap"]
    granted: bool | None = None
    grant: Text | None = None
    hist: bool = False


class Ack(_Value, frozen=True):
    """A controller's answer to a command."""

    boot: Token
    seq: Count
    ts: Count
    cmd: Token
    ok: bool
    relay: bool | None = None
    error: Text | None = None


Message: TypeAlias = Reading | Birth | Death | Card | Ack


class Arrival(_Value, frozen=True):
    """A message as the service received it: from whom and when (ms since the epoch, UTC)."""

    controller: str
    received_ms: int
    message: Message
    number: int = 0
    """Its place in the log: higher than that of everything the fleet was told before."""


class Tick(_Value, frozen=True):
    """Time has come this far, whether or not anybody said anything."""

    now_ms: int


Event: TypeAlias = Arrival | Tick
