"""The native codec: what it reads, what it refuses and why, and that one bad reading is refused alone."""

import hashlib
import json
from typing import Any

import pytest

from twin.events import Ack, Birth, Card, Death, Reading
from twin.stream.native import MAX_PAYLOAD, MAX_READINGS, Reason, card_digest, decode
from twin.stream.topics import Upward

GOOD: dict[str, Any] = {"boot": "b1", "seq": 0, "ts": 1_700_000_000_000, "power_w": 12.5}
READ = Reading("b1", 0, 1_700_000_000_000, 12.5)


def reading(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode()


def array(*items: dict[str, Any]) -> bytes:
    return json.dumps(items).encode()


def refused(payload: bytes, kind: Upward = Upward.READING) -> Reason:
    """Why a payload of which nothing can be used is refused."""
    messages, malformed = decode(kind, payload)
    assert not messages
    assert len(malformed) == 1
    assert malformed[0].detail
    return malformed[0].reason


def test_a_reading_with_everything() -> None:
    payload = reading(energy_wh=5, relay=True, occupied=False, door="open", hist=True)
    expected = Reading("b1", 0, 1_700_000_000_000, 12.5, 5.0, True, False, "open", True)
    assert decode(Upward.READING, payload) == ((expected,), ())


def test_the_other_messages() -> None:
    head = {"boot": "b1", "seq": 3, "ts": 7}
    birth = head | {"fw": "1", "model": "m", "relay": None, "caps": ["power"]}
    assert decode(Upward.BIRTH, json.dumps(birth).encode())[0] == (Birth("b1", 3, 7, "1", "m", None, ("power",)),)
    assert decode(Upward.DEATH, b'{"boot":"b1"}')[0] == (Death("b1"),)
    ack = head | {"cmd": "x", "ok": False, "relay": False, "error": "door"}
    assert decode(Upward.ACK, json.dumps(ack).encode())[0] == (Ack("b1", 3, 7, "x", False, False, "door"),)


def test_of_a_card_only_the_digest_goes_on() -> None:
    payload = json.dumps({"boot": "b1", "seq": 1, "ts": 2, "card": " 04A2FF ", "action": "tap"}).encode()
    [card], _ = decode(Upward.CARD, payload)
    assert isinstance(card, Card)
    assert card.card == hashlib.sha256(b"04a2ff").hexdigest() == card_digest("04A2ff")


def test_unknown_fields_are_ignored() -> None:
    assert decode(Upward.READING, reading(colour="blue", nested={"a": [1, {"b": None}]})) == ((READ,), ())


def test_an_array_of_readings_keeps_its_order() -> None:
    messages, malformed = decode(Upward.READING, array(GOOD, GOOD | {"seq": 9}, GOOD | {"seq": 4}))
    assert [each.seq for each in messages if isinstance(each, Reading)] == [0, 9, 4]
    assert not malformed


@pytest.mark.parametrize("space", [b" ", b"\n", b"\r\n\t "])
def test_white_space_around_json_means_nothing(space: bytes) -> None:
    assert decode(Upward.READING, space + reading() + space) == ((READ,), ())
    assert list(decode(Upward.READING, space + array(GOOD) + space)[0]) == [READ]


def test_an_empty_array_says_nothing() -> None:
    messages, malformed = decode(Upward.READING, b"[]")
    assert not messages
    assert not malformed


@pytest.mark.parametrize(
    "fault",
    [
        {"power_w": -0.1},
        {"power_w": 10_000_001},
        {"power_w": None},
        {"power_w": "12"},
        {"seq": -1},
        {"seq": 2**53 + 1},
        {"seq": 1.5},
        {"seq": True},
        {"ts": -1},
        {"ts": 2**60},
        {"boot": ""},
        {"boot": "x" * 65},
        {"boot": "a\x00b"},
        {"boot": "a\nb"},
        {"boot": 7},
        {"door": "ajar"},
        {"relay": 1},
        {"hist": None},
        {"energy_wh": -1},
        {"energy_wh": 1e300},
    ],
)
def test_one_bad_reading_does_not_take_its_neighbours_with_it(fault: dict[str, Any]) -> None:
    assert refused(reading(**fault)) is Reason.INVALID
    messages, malformed = decode(Upward.READING, array(GOOD, GOOD | fault, GOOD | {"seq": 2}))
    assert [each.seq for each in messages if isinstance(each, Reading)] == [0, 2]
    assert [each.reason for each in malformed] == [Reason.INVALID]
    assert next(iter(fault)) in malformed[0].detail
    assert json.loads(malformed[0].payload) == GOOD | fault


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"nan", b"0x10", b"01", b"1.", b".5"])
def test_numbers_that_json_has_not(number: bytes) -> None:
    payload = b'{"boot":"b","seq":0,"ts":1,"power_w":' + number + b"}"
    assert refused(payload) is Reason.NOT_JSON
    assert refused(b"[" + payload + b"]") is Reason.NOT_JSON


def test_infinity_by_overflow_is_no_power() -> None:
    assert refused(b'{"boot":"b","seq":0,"ts":1,"power_w":1e999}') is Reason.INVALID


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" ",
        b"nope",
        b'{"boot":',
        b"[",
        b"[1, {",
        b'[{"boot":1}, nope]',
        b'{"boot":"\xff"}',
        b'{"boot":"\\ud800","seq":0,"ts":1,"power_w":1}',
        b'{"boot":"b","seq":0,"ts":1,"power_w":1} {}',
        b"\x00",
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_json(payload: bytes) -> None:
    assert refused(payload) is Reason.NOT_JSON


@pytest.mark.parametrize("payload", [b"[" * 400_000, b'{"x":' * 50_000, b'{"boot":"b","more":' + b"[" * 400_000])
def test_bottomless_nesting_is_refused_not_followed(payload: bytes) -> None:
    assert refused(payload) is Reason.NOT_JSON


@pytest.mark.parametrize("payload", [b"null", b"7", b'"text"', b"{}", b'{"boot":"b"}'])
def test_json_that_is_no_reading(payload: bytes) -> None:
    assert refused(payload) is Reason.INVALID


def test_an_array_is_no_other_message() -> None:
    assert refused(b'[{"boot":"b1"}]', Upward.DEATH) is Reason.INVALID


def test_at_most_a_thousand_readings() -> None:
    readings = [GOOD | {"seq": seq} for seq in range(MAX_READINGS)]
    assert len(decode(Upward.READING, array(*readings))[0]) == MAX_READINGS
    assert refused(array(*readings, GOOD)) is Reason.TOO_MANY
    assert refused(array(*readings, GOOD | {"power_w": -1})) is Reason.TOO_MANY


def test_payloads_have_a_size() -> None:
    padding = "x" * (MAX_PAYLOAD - len(reading(pad="")))
    assert decode(Upward.READING, reading(pad=padding)) == ((READ,), ())
    assert refused(reading(pad=padding + "x")) is Reason.TOO_LARGE
