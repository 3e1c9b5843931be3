"""Whatever bytes come from a controller, the codec answers; whatever a controller means, the codec reads."""

import json
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from twin.events import Ack, Arrival, Birth, Death, Message, Reading
from twin.store.rows import EVENT_COLUMNS, READING_COLUMNS, event_of, event_row, reading_of, reading_row
from twin.stream.native import Malformed, decode
from twin.stream.topics import Upward

KINDS = st.sampled_from(Upward)
TOKENS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=64)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=500)
COUNTS = st.integers(0, 2**53)
MAYBE = st.none() | st.booleans()
HEADS = (TOKENS, COUNTS, COUNTS)
READINGS = st.builds(
    Reading,
    *HEADS,
    st.floats(0, 10_000_000),
    st.none() | st.floats(0, 1e15),
    MAYBE,
    MAYBE,
    st.sampled_from([None, "open", "closed"]),
    st.booleans(),
)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    READINGS,
    st.builds(Birth, *HEADS, TEXTS, TEXTS, MAYBE, st.lists(TEXTS, max_size=8).map(tuple)),
    st.builds(Death, TOKENS),
    st.builds(Ack, *HEADS, TOKENS, st.booleans(), MAYBE, st.none() | TEXTS),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=12,
)
NEAR_MISSES = st.fixed_dictionaries(
    {},
    optional={
        name: JSON | likely
        for name, likely in {
            "boot": TOKENS,
            "seq": COUNTS,
            "ts": COUNTS,
            "power_w": st.floats(0, 100),
            "hist": st.booleans(),
            "card": TOKENS,
            "action": st.just("tap"),
            "cmd": TOKENS,
            "ok": st.booleans(),
        }.items()
    },
)


def check_answer(kind: Upward, payload: bytes) -> None:
    """An answer is complete: something was read or something was refused, with the reason, and can be stored."""
    messages, malformed = decode(kind, payload)
    for message in messages:
        assert type(message).__name__.lower() == kind.value
    for each in malformed:
        assert isinstance(each, Malformed)
        assert each.detail
        assert each.payload in payload
        each.detail.encode()
    empty_array = b"".join(payload.split()) == b"[]"
    assert messages or malformed or empty_array


@given(KINDS, st.binary(max_size=200))
@example(Upward.READING, b"[1, {")
@example(Upward.READING, b"[[[" * 100_000)
@example(Upward.BIRTH, b'{"caps":' * 50_000)
def test_any_bytes_have_an_answer(kind: Upward, payload: bytes) -> None:
    check_answer(kind, payload)


@given(KINDS, JSON)
def test_any_json_has_an_answer(kind: Upward, value: Any) -> None:
    check_answer(kind, json.dumps(value).encode())


@given(KINDS, NEAR_MISSES | st.lists(NEAR_MISSES, min_size=1, max_size=6), st.data())
def test_any_near_miss_has_an_answer_even_when_cut_or_spoilt(kind: Upward, value: Any, data: st.DataObject) -> None:
    payload = json.dumps(value).encode()
    check_answer(kind, payload)
    at = data.draw(st.integers(0, len(payload)), label="spoilt at")
    check_answer(kind, payload[:at])
    check_answer(kind, payload[:at] + data.draw(st.binary(min_size=1, max_size=3), label="by") + payload[at:])


@given(MESSAGES)
def test_a_message_is_read_as_it_was_meant(message: Message) -> None:
    kind = Upward(type(message).__name__.lower())
    assert decode(kind, msgspec.json.encode(message)) == ((message,), ())


@given(st.lists(READINGS, max_size=20), st.lists(st.integers(0, 20), max_size=5))
def test_bad_items_leave_the_good_ones_of_an_array_alone(readings: list[Reading], places: list[int]) -> None:
    items: list[Any] = [msgspec.to_builtins(each) for each in readings]
    for place in places:
        items.insert(place, {"boot": "b", "seq": -1})
    read, malformed = decode(Upward.READING, json.dumps(items).encode())
    assert list(read) == readings
    assert len(malformed) == len(places)


RECEIVED_MS = 1_767_225_600_123


@given(READINGS)
def test_what_is_stored_comes_back_with_both_its_times(reading: Reading) -> None:
    at_ms = RECEIVED_MS - reading.ts % 86_400_000
    row = dict(zip(READING_COLUMNS, reading_row(reading, Arrival("c", RECEIVED_MS, reading, 7), 1, at_ms), strict=True))
    filed_ms, arrival = reading_of(row, "c1")
    assert (filed_ms, arrival.received_ms) == (at_ms, RECEIVED_MS)
    assert arrival.message == reading


@given(MESSAGES.filter(lambda each: not isinstance(each, Reading)))
def test_other_messages_are_stored_whole(message: Message) -> None:
    row = dict(zip(EVENT_COLUMNS, event_row(Arrival("c", RECEIVED_MS, message, 7), 1, RECEIVED_MS), strict=True))
    assert "\\u0000" not in row["body"]
    at_ms, arrival = event_of(row, "c1")
    assert (at_ms, arrival.message) == (RECEIVED_MS, message)
