"""What a native controller says and hears: topics and payloads of wire contract v1. No sockets, no clock."""

import os
from typing import Literal

import msgspec

PREFIX = os.environ.get("TWIN_TOPIC_PREFIX") or "users/v1"
"""As configured for the service, by the same variable."""
CONTROLLER_ID = r"^[A-Za-z0-9_-]{1,64}$"
MAX_ARRAY = 1000
"""The most readings one array may carry."""

Door = Literal["open", "closed"]
CardAction = Literal["in", "out", "tap"]
Kind = Literal["birth", "death", "reading", "card", "ack"]


class Birth(msgspec.Struct, frozen=True):
    """Says who has just connected. `ts` in ms, UTC, by the controller's clock; `relay` is None where there is none."""

    boot: str
    seq: int
    ts: int
    fw: str
    model: str
    relay: bool | None
    caps: tuple[str, ...]


class Death(msgspec.Struct, frozen=True):
    """The will: spoken by the broker when the connection breaks."""

    boot: str


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """One measurement. `ts` in ms, UTC; `power_w` in W; `energy_wh` is the meter's running total in Wh."""

    boot: str
    seq: int
    ts: int
    power_w: float
    energy_wh: float | None = None
    relay: bool | None = None
    occupied: bool | None = None
    door: Door | None = None
    hist: bool = False


class Card(msgspec.Struct, frozen=True, omit_defaults=True):
    """A card at the reader. `granted` and `grant` stand only where the controller had to decide by itself."""

    boot: str
    seq: int
    ts: int
    card: str
    action: CardAction
    granted: bool | None = None
    grant: str | None = None
    hist: bool = False


class Ack(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a command."""

    boot: str
    seq: int
    ts: int
    cmd: str
    ok: bool
    relay: bool | None = None
    error: str | None = None


Item = Birth | Reading | Card | Ack
"""Everything that carries an identity: (controller, boot, seq)."""


class Command(msgspec.Struct, frozen=True):
    """What the service asks of a controller. `expires` in ms, UTC. `do` is free: an unknown one is refused."""

    id: str
    expires: int
    do: str
    relay: bool | None = None
    text: str | None = None


class Message(msgspec.Struct, frozen=True):
    """A topic and its payload, ready to be published at QoS 1."""

    topic: str
    payload: bytes


_encoder = msgspec.json.Encoder()
_commands = msgspec.json.Decoder(Command)


def topic(controller: str, kind: Kind | Literal["command", "grants"]) -> str:
    """Name the topic of one controller."""
    return f"{PREFIX}/{controller}/{kind}"


def encode(value: Item | Death | list[Reading]) -> bytes:
    """Turn a payload into JSON."""
    return _encoder.encode(value)


def decode_command(payload: bytes) -> Command | None:
    """Read a command; None where it is not one, since a real controller has nobody to complain to."""
    try:
        return _commands.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
