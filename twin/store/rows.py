"""Between values and rows: times, messages, checkpoints."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, TypeVar

import msgspec

from twin.events import Ack, Arrival, Birth, Card, Death, Reading
from twin.state import Book
from twin.station import SiteState, Station

VERSION: Final = 2
"""Of the layout of `Station` and `Book` in checkpoints and marks; counts up when it changes."""

READING_COLUMNS: Final = (
    "time received controller_id boot seq power_w energy_wh relay occupied door_open hist number ts".split()  # noqa: SIM905
)
EVENT_COLUMNS: Final = ("time", "received", "controller_id", "kind", "body", "number")

_ENCODER = msgspec.msgpack.Encoder()
_STATION = msgspec.msgpack.Decoder(Station)
_SITE = msgspec.msgpack.Decoder(SiteState)
_BOOK = msgspec.msgpack.Decoder(Book)
_EVENTS: Mapping[str, type[Birth | Death | Card | Ack]] = {
    "birth": Birth,
    "death": Death,
    "card": Card,
    "ack": Ack,
}


_V = TypeVar("_V")


class IncompatibleVersionError(Exception):
    """A checkpoint was written by another version of this program."""


def to_time(time_ms: int) -> datetime:
    """A moment as PostgreSQL wants it."""
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def to_ms(time: datetime) -> int:
    """A moment as the twin wants it."""
    return round(time.timestamp() * 1000)


def reading_row(reading: Reading, arrival: Arrival, controller_id: int, at_ms: int) -> tuple[Any, ...]:
    """A row of `READING_COLUMNS`."""
    return (
        to_time(at_ms),
        to_time(arrival.received_ms),
        controller_id,
        reading.boot,
        reading.seq,
        reading.power_w,
        reading.energy_wh,
        reading.relay,
        reading.occupied,
        None if reading.door is None else reading.door == "open",
        reading.hist,
        arrival.number,
        None if reading.ts == at_ms else reading.ts,
    )


def event_row(arrival: Arrival, controller_id: int, at_ms: int) -> tuple[Any, ...]:
    """A row of `EVENT_COLUMNS`."""
    kind, body = type(arrival.message).__name__.lower(), msgspec.json.encode(arrival.message).decode()
    return to_time(at_ms), to_time(arrival.received_ms), controller_id, kind, body, arrival.number


def reading_of(row: Mapping[str, Any], controller: str) -> tuple[int, Arrival]:
    """The event time and the message that a row of `reading` was made of."""
    at_ms, door_open = to_ms(row["time"]), row["door_open"]
    reading = Reading(
        boot=row["boot"],
        seq=row["seq"],
        ts=at_ms if row["ts"] is None else row["ts"],
        power_w=row["power_w"],
        energy_wh=row["energy_wh"],
        relay=row["relay"],
        occupied=row["occupied"],
        door=None if door_open is None else "open" if door_open else "closed",
        hist=row["hist"],
    )
    return at_ms, Arrival(controller, to_ms(row["received"]), reading, row["number"])


def event_of(row: Mapping[str, Any], controller: str) -> tuple[int, Arrival]:
    """The event time and the message that a row of `event` was made of."""
    message = message_of(row["kind"], row["body"])
    return to_ms(row["time"]), Arrival(controller, to_ms(row["received"]), message, row["number"])


def message_of(kind: str, body: str) -> Birth | Death | Card | Ack:
    """A message that is not a reading, as it was said."""
    return msgspec.json.decode(body, type=_EVENTS[kind])


def fact_digest(body: bytes) -> bytes:
    """Of a fact as it is logged: equal facts have equal digests, others never."""
    return blake2b(body, digest_size=16).digest()


def packed(value: Station | Book | SiteState) -> bytes:
    """A checkpoint or mark as stored."""
    return _ENCODER.encode(value)


def unpacked_station(version: int, state: bytes) -> Station:
    """A checkpoint as a value. Raises IncompatibleVersionError."""
    return _unpacked(_STATION, version, state)


def unpacked_site(version: int, state: bytes) -> SiteState:
    """The site's state as a value. Raises IncompatibleVersionError."""
    return _unpacked(_SITE, version, state)


def unpacked_book(version: int, book: bytes) -> Book:
    """A mark as a value. Raises IncompatibleVersionError."""
    return _unpacked(_BOOK, version, book)


def _unpacked(decoder: msgspec.msgpack.Decoder[_V], version: int, data: bytes) -> _V:
    try:
        if version == VERSION:
            return decoder.decode(data)
    except msgspec.DecodeError as error:
        raise IncompatibleVersionError(f"a stored twin cannot be read: {error}") from error
    raise IncompatibleVersionError(f"the stored twins have layout {version}; this program reads {VERSION}")
