"""Cutting messages out of bytes, against packets built as the standard says."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.stream.packets import Delivery, NotMqttError, cut

PINGRESP = b"\xd0\x00"


def packet(head: int, body: bytes) -> bytes:
    size, digits = len(body), bytearray()
    while True:
        size, digit = divmod(size, 128)
        digits.append(digit | 0x80 if size else digit)
        if not size:
            return bytes([head, *digits]) + body


def publish(topic: str, payload: bytes, mid: int, qos: int) -> bytes:
    name = topic.encode()
    number = struct.pack(">H", mid) if qos else b""
    return packet(0x30 | qos << 1, struct.pack(">H", len(name)) + name + number + payload)


messages = st.tuples(
    st.text(min_size=1, max_size=40),
    st.binary(max_size=20) | st.binary(min_size=100, max_size=20_000),
    st.integers(1, 65_535),
    st.sampled_from([0, 1]),
)


@given(st.lists(messages, max_size=5), st.lists(st.integers(0, 30_000), max_size=8))
def test_pieces_do_not_matter(told: list[tuple[str, bytes, int, int]], cuts: list[int]) -> None:
    stream = b"".join(publish(*each) + PINGRESP for each in told)
    places = sorted({0, len(stream), *(place for place in cuts if place < len(stream))})
    rest, deliveries, others = b"", [], b""
    for start, end in pairwise(places):
        found = cut(rest + stream[start:end], 7, 3)
        rest, others = found.rest, others + found.others
        deliveries += found.deliveries
    assert deliveries == [Delivery(topic, payload, 7, mid if qos else 0, qos, 3) for topic, payload, mid, qos in told]
    assert others == PINGRESP * len(told)
    assert rest == b""


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_every_length_of_the_length(size: int) -> None:
    found = cut(publish("t", b"x" * size, 1, 1) + b"\x30", 0, 0)
    assert [len(each.payload) for each in found.deliveries] == [size]
    assert found.rest == b"\x30"


def test_a_length_that_is_not_all_here_waits() -> None:
    assert cut(b"\x30\xff\xff", 0, 0).rest == b"\x30\xff\xff"


def test_a_length_without_end_is_no_mqtt() -> None:
    with pytest.raises(NotMqttError):
        cut(b"\x30\xff\xff\xff\xff", 0, 0)


def test_a_topic_that_is_no_text_is_still_a_message() -> None:
    (delivery,) = cut(packet(0x30, b"\x00\x02\xff\xfe{}"), 0, 0).deliveries
    assert (delivery.topic, delivery.payload) == ("\ufffd\ufffd", b"{}")
