"""The handful of MQTT 3.1.1 packets that the load generator needs, as bytes (OASIS standard, sections 2 and 3)."""

import struct

PUBLISH_QOS1 = 0x32
PUBACK = 0x40
CONNACK = 0x20
CONNACK_SIZE = PUBACK_SIZE = 4
DISCONNECT = b"\xe0\x00"
CONNECT_REFUSED = frozenset({4, 5})
"""CONNACK return codes: bad user name or password, not authorised (section 3.2.2.3)."""
MAX_PACKET_ID = 0xFFFF


def remaining_length(size: int) -> bytes:
    """Encode a packet's remaining length: seven bits a byte, the eighth says that more follow (section 2.2.3)."""
    digits = bytearray()
    while True:
        size, digit = size >> 7, size & 0x7F
        digits.append(digit | 0x80 if size else digit)
        if not size:
            return bytes(digits)


def text(value: str) -> bytes:
    """Encode a string with its length before it (section 1.5.3)."""
    encoded = value.encode()
    return struct.pack(">H", len(encoded)) + encoded


def connect(client_id: str, username: str | None, password: str | None) -> bytes:
    """Encode a CONNECT with a clean session and no keep-alive, so that nothing but acknowledgements comes back."""
    flags = 0x02 | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    parts = [text("MQTT"), struct.pack(">BBH", 4, flags, 0), text(client_id)]
    parts += [text(value) for value in (username, password) if value is not None]
    body = b"".join(parts)
    return b"\x10" + remaining_length(len(body)) + body


def publish(topic: str, packet_id: int, payload: bytes) -> bytes:
    """Encode a PUBLISH at QoS 1."""
    body = text(topic) + struct.pack(">H", packet_id) + payload
    return bytes((PUBLISH_QOS1,)) + remaining_length(len(body)) + body
