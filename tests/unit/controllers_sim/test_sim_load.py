"""The load generator's bytes and its counting, without a network."""

# ruff: noqa: S311 - seeded chance is what is tested
import json
import struct
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers_sim import packets
from controllers_sim.client import LONGEST_PAUSE_S, backoff_s
from controllers_sim.voices import Choir

NOW_MS = 1_700_000_000_123


def parsed(stream: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Read PUBLISH packets by the book: (topic, packet id, payload)."""
    while stream:
        assert stream[0] == 0x32
        size, shift, at = 0, 0, 1
        while True:
            size |= (stream[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if not stream[at - 1] & 0x80:
                break
        body, stream = stream[at : at + size], stream[at + size :]
        (length,) = struct.unpack_from(">H", body)
        (packet_id,) = struct.unpack_from(">H", body, 2 + length)
        yield body[2 : 2 + length].decode(), packet_id, body[4 + length :]


@pytest.mark.parametrize(
    ("size", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (268_435_455, "ffffff7f")],
)
def test_remaining_length_as_in_the_standards_table(size: int, encoded: str) -> None:
    assert packets.remaining_length(size).hex() == encoded


def test_connect_is_a_clean_session_with_the_account() -> None:
    assert packets.connect("ab", "u", "pw") == b"\x10\x15\x00\x04MQTT\x04\xc2\x00\x00\x00\x02ab\x00\x01u\x00\x02pw"
    assert packets.connect("ab", None, None) == b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02ab"


@given(st.integers(1, 30), st.lists(st.integers(0, 300), max_size=8))
def test_every_controller_counts_from_its_birth_without_gap(controllers: int, batches: list[int]) -> None:
    ids = [f"c{number:04}" for number in range(controllers)]
    choir = Choir(ids, "boot-1", Random(1))
    sent = choir.births(NOW_MS) + [packet for count in batches for packet in choir.readings(count, NOW_MS)]
    seqs: dict[str, list[int]] = {name: [] for name in ids}
    for topic, _, payload in parsed(b"".join(sent)):
        prefix, name, kind = topic.rsplit("/", 2)
        message = json.loads(payload)
        assert (prefix, kind) == ("users/v1", "reading" if message["seq"] else "birth")
        assert (message["boot"], message["ts"]) == ("boot-1", NOW_MS)
        assert message["seq"] == 0 or message["power_w"] >= 0
        seqs[name].append(message["seq"])
    assert all(seqs[voice.id] == list(range(voice.seq)) for voice in choir.voices)


def test_packet_ids_go_round_without_0() -> None:
    choir = Choir(["a"], "b", Random(1))
    ids = [packet_id for packet in choir.readings(140_000, NOW_MS) for _, packet_id, _ in parsed(packet)]
    assert (min(ids), max(ids)) == (1, 65_535)
    assert all(after == before % 65_535 + 1 for before, after in pairwise(ids))


def test_power_changes_its_class_now_and_then() -> None:
    choir = Choir(["a"], "b", Random(1))
    payloads = [json.loads(payload) for _, _, payload in parsed(b"".join(choir.readings(2400, NOW_MS)))]
    classes = [(reading["power_w"] >= 40) + (reading["power_w"] >= 5) for reading in payloads]
    changes = sum(before != after for before, after in pairwise(classes))
    assert set(classes) == {0, 1, 2}
    assert 25 <= changes <= 31


@given(st.integers(0, 10_000), st.integers())
def test_pauses_grow_to_a_bound_and_are_scattered(failures: int, seed: int) -> None:
    longest_s = min(LONGEST_PAUSE_S, 2.0 ** min(failures, 10))
    assert longest_s / 2 <= backoff_s(failures, Random(seed)) <= longest_s
