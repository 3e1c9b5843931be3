"""The codec of the native controllers: bytes from the broker to messages, and what cannot be read with the reason."""

import hashlib
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from twin.events import Ack, Birth, Card, Death, Message, Reading
from twin.stream.topics import Upward

MAX_PAYLOAD = 512 * 1024
"""Bytes. A full array of readings has about 130 kB."""
MAX_READINGS = 1000


class Reason(StrEnum):
    """Why a message stands in quarantine."""

    NOT_JSON = "not_json"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    UNKNOWN_TOPIC = "unknown_topic"
    UNKNOWN_CONTROLLER = "unknown_controller"
    UNBELIEVABLE_TIME = "unbelievable_time"


class Malformed(msgspec.Struct, frozen=True, gc=False):
    """What could not be read, why, and the field at fault."""

    reason: Reason
    detail: str
    payload: bytes


_DECODERS: dict[Upward, msgspec.json.Decoder[Message]] = {
    Upward.READING: msgspec.json.Decoder(Reading),
    Upward.BIRTH: msgspec.json.Decoder(Birth),
    Upward.DEATH: msgspec.json.Decoder(Death),
    Upward.CARD: msgspec.json.Decoder(Card),
    Upward.ACK: msgspec.json.Decoder(Ack),
}
_READINGS = msgspec.json.Decoder(list[Reading])
_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_WHITESPACE = b" \t\r\n"
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What bytes can make msgspec raise that are not JSON, or JSON nested deeper than anybody means it."""


def decode(kind: Upward, payload: bytes) -> tuple[Sequence[Message], Sequence[Malformed]]:
    """The messages in a payload, and those parts of it that cannot be read. Never raises."""
    if len(payload) > MAX_PAYLOAD:
        return (), (Malformed(Reason.TOO_LARGE, f"{len(payload)} bytes; at most {MAX_PAYLOAD}", payload),)
    if kind is Upward.READING and payload.lstrip(_WHITESPACE)[:1] == b"[":
        return _decode_readings(payload)
    message = _decode_one(_DECODERS[kind], payload)
    if isinstance(message, Malformed):
        return (), (message,)
    return (_without_uid(message) if isinstance(message, Card) else message,), ()


def _decode_readings(payload: bytes) -> tuple[Sequence[Message], Sequence[Malformed]]:
    try:
        readings = _READINGS.decode(payload)
    except msgspec.ValidationError:
        return _decode_singly(payload)
    except _NOT_JSON as error:
        return (), (Malformed(Reason.NOT_JSON, str(error), payload),)
    if len(readings) > MAX_READINGS:
        return (), (_too_many(len(readings), payload),)
    return readings, ()


def _decode_singly(payload: bytes) -> tuple[Sequence[Message], Sequence[Malformed]]:
    """One bad reading must not take its neighbours with it."""
    try:
        items = _RAW.decode(payload)
    except _NOT_JSON as error:  # beyond the value that is not a reading
        return (), (Malformed(Reason.NOT_JSON, str(error), payload),)
    if len(items) > MAX_READINGS:
        return (), (_too_many(len(items), payload),)
    read = [_decode_one(_DECODERS[Upward.READING], bytes(item)) for item in items]
    return (
        [item for item in read if not isinstance(item, Malformed)],
        [item for item in read if isinstance(item, Malformed)],
    )


def _decode_one(decoder: msgspec.json.Decoder[Message], payload: bytes) -> Message | Malformed:
    try:
        return decoder.decode(payload)
    except msgspec.ValidationError as error:
        return Malformed(Reason.INVALID, str(error), payload)
    except _NOT_JSON as error:
        return Malformed(Reason.NOT_JSON, str(error), payload)


def _too_many(count: int, payload: bytes) -> Malformed:
    return Malformed(Reason.TOO_MANY, f"{count} readings; at most {MAX_READINGS}", payload)


def _without_uid(card: Card) -> Card:
    """A uid is personal: beyond this line only its digest is known."""
    return msgspec.structs.replace(card, card=card_digest(card.card))


def card_digest(uid: str) -> str:
    """SHA-256 of a card's uid, hex digits in lower case, as grants name cards."""
    return hashlib.sha256(uid.strip().lower().encode()).hexdigest()
