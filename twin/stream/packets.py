"""MQTT 3.1.1 as it comes from the broker: messages cut out of what a socket gave (OASIS standard, sections 2 and 3.3).

Only PUBLISH is understood here; any other packet is left, whole, to the client library.
"""

import msgspec

_PUBLISH = 0x30
_TYPE = 0xF0
_MORE = 0x80
_MAX_LENGTH_BYTES = 4
_NOT_ALL_HERE = 1 << 62


class NotMqttError(Exception):
    """What was received cannot be MQTT; nothing after it can be understood."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One message as the broker delivered it; `connection` tells whether `mid` still means anything."""

    topic: str
    payload: bytes
    received_ms: int
    mid: int
    qos: int
    connection: int


class Cut(msgspec.Struct, frozen=True):
    """Messages in the order of their coming, all other packets one after the other, and the begin of the next one."""

    deliveries: list[Delivery]
    others: bytes
    rest: bytes


def cut(data: bytes, received_ms: int, connection: int) -> Cut:
    """Cut received bytes, which begin where a packet begins. This loop is what receiving a message costs.

    Raises:
        NotMqttError: these bytes cannot be MQTT.

    """
    deliveries: list[Delivery] = []
    others: list[bytes] = []
    at, end = 0, len(data)
    while end - at >= 2:
        size, start = data[at + 1], at + 2
        if size & _MORE:
            size, start = _long_size(data, at + 1)
        stop = start + size
        if stop > end:
            break
        if data[at] & _TYPE == _PUBLISH:
            deliveries.append(_delivery(data[at:stop], start - at, received_ms, connection))
        else:
            others.append(data[at:stop])
        at = stop
    return Cut(deliveries, b"".join(others), data[at:])


def _delivery(packet: bytes, start: int, received_ms: int, connection: int) -> Delivery:
    """A PUBLISH, whose topic begins at `start`; the packet's number follows it where QoS is above 0."""
    end = start + 2 + (packet[start] << 8 | packet[start + 1])
    topic = packet[start + 2 : end].decode(errors="replace")
    qos = packet[0] >> 1 & 3
    if qos == 0:
        return Delivery(topic, packet[end:], received_ms, 0, 0, connection)
    mid = packet[end] << 8 | packet[end + 1]
    return Delivery(topic, packet[end + 2 :], received_ms, mid, qos, connection)


def _long_size(data: bytes, at: int) -> tuple[int, int]:
    """The remaining length that stands at `at`, seven bits a byte, and where it ends; huge while it is not all here.

    Raises:
        NotMqttError: it goes on beyond its fourth byte.

    """
    size = 0
    for number, byte in enumerate(data[at : at + _MAX_LENGTH_BYTES]):
        size |= (byte & ~_MORE) << 7 * number
        if not byte & _MORE:
            return size, at + number + 1
    if at + _MAX_LENGTH_BYTES <= len(data):
        raise NotMqttError("remaining length of more than four bytes")
    return _NOT_ALL_HERE, at
