"""Thousands of controllers as ready-made bytes: what a reading costs here is one formatting of a few pieces.

At 25,000 messages a second on two cores shared with broker, database and service, a JSON encoder and an MQTT client
would measure the publisher rather than the service. So everything that does not change is encoded beforehand.
"""

import struct
from collections.abc import Sequence
from random import Random

from controllers_sim import packets, wire
from controllers_sim.wire import Birth

_LENGTHS = tuple(packets.remaining_length(size) for size in range(1024))
_IDS = tuple(struct.pack(">H", number) for number in range(packets.MAX_PACKET_ID + 1))
_TURN = 240
"""After so many readings a controller's power repeats itself."""


class Voice:
    """One controller of the load: its topic and boot, and how far its `seq` has come."""

    __slots__ = ("boot", "fixed_size", "head", "id", "offset", "seq", "start")

    def __init__(self, controller_id: str, boot: str, offset: int) -> None:
        self.id = controller_id
        self.boot = boot
        self.offset = offset
        self.seq = 0
        self.head = packets.text(wire.topic(controller_id, "reading"))
        self.start = f'{{"boot":"{boot}","seq":'.encode()
        self.fixed_size = len(self.head) + 2 + len(self.start)

    def birth(self, packet_id: int, now_ms: int) -> bytes:
        """Give the packet that says this controller is here."""
        payload = wire.encode(Birth(self.boot, self.seq, now_ms, "1.4.2", "load", None, ("power",)))
        self.seq += 1
        return packets.publish(wire.topic(self.id, "birth"), packet_id, payload)


class Choir:
    """The controllers of one connection, speaking in turn, so that each one's messages keep their order."""

    def __init__(self, ids: Sequence[str], boot: str, rng: Random) -> None:
        self.voices = tuple(Voice(name, boot, rng.randrange(_TURN)) for name in ids)
        self._watts = _watts(rng)
        self._next = 0
        self._packet_id = 0

    def births(self, now_ms: int) -> list[bytes]:
        """Give a birth of each."""
        return [voice.birth(self._next_packet_id(), now_ms) for voice in self.voices]

    def readings(self, count: int, now_ms: int) -> list[bytes]:
        """Give the next `count` readings, all stamped `now_ms`. This loop is what the publisher costs."""
        voices, watts, lengths, ids = self.voices, self._watts, _LENGTHS, _IDS
        at, packet_id, size = self._next, self._packet_id, len(voices)
        stamp = b',"ts":%d,"power_w":' % now_ms
        stamp_size = len(stamp)
        found = []
        for _ in range(count):
            voice = voices[at]
            at = at + 1 if at + 1 < size else 0
            packet_id = packet_id + 1 if packet_id < packets.MAX_PACKET_ID else 1
            number = b"%d" % voice.seq
            power = watts[(voice.seq + voice.offset) % _TURN]
            voice.seq += 1
            length = lengths[voice.fixed_size + len(number) + stamp_size + len(power)]
            found.append(
                b"\x32%b%b%b%b%b%b%b" % (length, voice.head, ids[packet_id], voice.start, number, stamp, power)
            )
        self._next, self._packet_id = at, packet_id
        return found

    def _next_packet_id(self) -> int:
        self._packet_id = self._packet_id % packets.MAX_PACKET_ID + 1
        return self._packet_id


def _watts(rng: Random) -> tuple[bytes, ...]:
    """Make a turn of readings, each closing its JSON object: long in use, then standby, then off."""
    classes = [(150.0, 12.0)] * 120 + [(18.0, 2.0)] * 70 + [(1.0, 0.3)] * 50
    return tuple(b"%.1f}" % (power_w + rng.uniform(-spread_w, spread_w)) for power_w, spread_w in classes)
