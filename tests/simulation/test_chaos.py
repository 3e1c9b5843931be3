"""Real processes killed, stopped and cut off for about a minute; and does the referee see what is wrong?"""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from benchmarks.chaos.book import Acknowledged, Book, BookReader, Entry, Granted, Identity, Made, Switched
from benchmarks.chaos.device import Device
from benchmarks.chaos.faults import DECK, PARTS, Kind, draw
from benchmarks.chaos.messages import Ledger, judge_messages, missing
from benchmarks.chaos.proxy import LOOPBACK, Proxy
from benchmarks.chaos.run import Result
from benchmarks.cli import app
from twin.stream.grants import signature
from twin.stream.native import card_digest

KEY = "ab" * 32
CARD = "04AB"
SEED = 86
"""By which, in four rounds, each process is killed once, and more happens."""


@pytest.fixture
def temporary(servers_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made while a test runs: this test's alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(servers_home))
    return servers_home


def test_nothing_is_lost_and_nothing_twice(temporary: Path) -> None:
    arguments = (
        "chaos",
        "--rounds",
        "4",
        "--sites",
        "2",
        "--busy",
        "6",
        "--scale",
        "0.1",
        "--seed",
        str(SEED),
        "--json",
    )
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    result = msgspec.json.decode(told.stdout, type=Result)
    assert result.differences == ()
    assert result.rounds == 4
    assert result.readings > 200
    assert result.sessions > 5
    assert result.charges >= result.sessions
    assert {f"kill: {part}" for part in PARTS} <= result.faults.keys(), "whoever was to be killed was"
    assert list(temporary.iterdir()) == [], "nothing is left behind"


def test_a_seed_says_what_goes_wrong_and_all_of_it_has_its_turn() -> None:
    rounds = [draw(7, number, 10.0, 0.5) for number in range(len(DECK))]
    assert rounds == [draw(7, number, 10.0, 0.5) for number in range(len(DECK))]
    assert rounds != [draw(8, number, 10.0, 0.5) for number in range(len(DECK))]
    first = Counter((faults[0].kind, faults[0].target) for faults in rounds)
    assert first == Counter(DECK)
    paused = [fault for faults in rounds for fault in faults if fault.kind is Kind.PAUSE]
    assert all(2.5 <= fault.for_s <= 30 for fault in paused)


def made(seq: int, kind: str = "reading") -> Made:
    return Made(1000 + seq, "c", kind, {"boot": "b", "seq": seq})


def ledger(*acknowledged: int, sent: int = 4) -> Ledger:
    told = Ledger()
    for seq in range(sent):
        told.take(made(seq))
    for seq in acknowledged:
        told.take(Acknowledged(2000 + seq, "c", "b", seq))
    return told


def identities(*seqs: int) -> set[Identity]:
    return {("c", "b", seq) for seq in seqs}


def test_the_referee_sees_what_is_lost_twice_or_invented() -> None:
    told = ledger(0, 1)
    stored = identities(0, 2, 9)
    lost = missing(told, stored, lambda _: False)
    found = list(judge_messages(told, stored, [("c", "b", 0)], lost))
    assert [each.split(":")[0] for each in found] == [
        "1 messages acknowledged and not stored",
        "1 messages stored more than once",
        "1 messages stored and never sent",
    ]
    assert [each.split(": ")[1][:5] for each in found] == ["c b 1", "c b 0", "c b 9"]
    assert list(judge_messages(told, identities(0, 1, 2), [], [])) == [], "what was not acknowledged may be there"


def test_what_a_controller_keeps_back_is_known() -> None:
    told = ledger(0, 2)
    told.take(made(7, "birth"))
    assert told.waiting == {("c", "b", 1): 1001, ("c", "b", 3): 1003}


def test_only_what_the_broker_can_have_lost_is_excused() -> None:
    told = ledger(0, 1, 2)
    assert missing(told, identities(0), lambda acknowledged_ms: acknowledged_ms == 2001) == [("c", "b", 2)]
    assert told.forgotten == identities(1)


def controller(note: Callable[..., None]) -> Device:
    return Device("c", random.Random(1), note, KEY)  # noqa: S311 - what it measures is no secret


def test_the_book_gives_back_what_a_killed_controller_had_not_got_rid_of(tmp_path: Path) -> None:
    book = Book(tmp_path / "book")
    device = controller(book.write)
    device.start(1)
    device.connected(2)
    device.obey(3, b'{"id": "on", "ts": 3, "expires": 9, "do": "relay", "relay": true, "reason": ""}')
    device.read(4)
    device.tap(5, "04AB")
    gone = next(iter(device.waiting))
    book.write(Acknowledged(6, *gone))
    with (tmp_path / "book").open("ab") as file:
        file.write(b'{"type": "made", "half a li')
    reader = BookReader(tmp_path / "book")
    entries = list(reader.news())
    assert [each for each in entries if isinstance(each, Switched)] == [Switched(3, "c", True, "on")]
    assert not reader.news()
    again = controller(lambda *_: None)
    again.recall(entries)
    again.start(7)
    assert again.relay
    assert [each.kind for each in again.waiting.values()] == ["ack", "reading", "card"]
    again.connected(8)
    assert [(each.kind, "hist" in each.message) for each in again.waiting.values()] == [
        ("birth", False),
        ("ack", False),
        ("reading", True),
        ("card", True),
    ]
    assert {boot for _, boot, _ in again.waiting} == {"c-1", "c-2"}


def test_a_command_is_obeyed_once_and_not_when_it_has_expired() -> None:
    entries: list[object] = []
    device = controller(entries.append)
    device.start(1)
    for at_ms, expires in ((5, 9), (6, 9)):
        device.obey(at_ms, b'{"id": "a", "expires": %d, "do": "relay", "relay": true}' % expires)
    device.obey(10, b'{"id": "b", "expires": 9, "do": "relay", "relay": false}')
    assert device.relay
    assert [each.message["ok"] for each in device.waiting.values()] == [True, True, False]
    assert [each for each in entries if isinstance(each, Switched)] == [Switched(5, "c", True, "a")]


def grants(version: int, key: str = KEY, *, to_ms: int = 100) -> bytes:
    window = {"grant": "g", "cards": [card_digest(CARD)], "from": 10, "to": to_ms}
    body: dict[str, Any] = {"version": version, "issued": 1, "expires": 1000, "cut": "at_once", "active_w": 40}
    body["windows"] = [window]
    return msgspec.json.encode(body | {"sig": signature(body, key)})


def test_a_controller_that_is_cut_off_lets_in_by_what_was_signed() -> None:
    entries: list[Entry] = []
    device = controller(entries.append)
    device.start(1)
    device.connected(2)
    device.take_grants(3, grants(2))
    device.take_grants(4, grants(9, "cd" * 32))
    device.take_grants(5, grants(1, to_ms=9000))
    assert [each.grants.version for each in entries if isinstance(each, Granted)] == [2]
    device.lost()
    for at_ms, card in ((9, CARD), (10, CARD), (20, "other"), (99, CARD), (100, CARD)):
        device.tap(at_ms, card)
    cards = [each.message for each in entries if isinstance(each, Made) and each.kind == "card"]
    told = [(each["action"], each["granted"], each.get("grant")) for each in cards]
    assert told == [
        ("tap", False, None),
        ("in", True, "g"),
        ("tap", False, None),
        ("out", True, "g"),
        ("tap", False, None),
    ]
    moves = [each for each in entries if isinstance(each, Switched)]
    assert moves == [Switched(10, "c", True, None), Switched(99, "c", False, None)]


def test_who_was_let_in_may_go_out_when_the_time_is_over_and_others_may_not_come() -> None:
    device = controller(lambda *_: None)
    device.start(1)
    device.take_grants(3, grants(2))
    device.tap(50, CARD)
    assert device.relay
    assert device.welcome(200, [CARD, "other"]) == [CARD]
    device.tap(200, CARD)
    assert not device.relay
    assert device.welcome(201, [CARD, "other"]) == []


async def test_a_wire_that_stalls_loses_nothing_and_one_that_is_cut_does() -> None:
    received = bytearray()
    ended = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(100):
                received.extend(data)
                writer.write(data)
        except OSError:
            pass
        ended.set()
        writer.close()

    server = await asyncio.start_server(listen, LOOPBACK)
    proxy = Proxy(lambda: server.sockets[0].getsockname()[:2])
    async with asyncio.timeout(20), server, proxy.opened():
        reader, writer = await asyncio.open_connection(LOOPBACK, proxy.port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        proxy.stall()
        writer.write(b"two")
        await writer.drain()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await reader.readexactly(3)
        assert received == b"one"
        proxy.heal()
        assert await reader.readexactly(3) == b"two"
        proxy.cut()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        await ended.wait()
        refused, other = await asyncio.open_connection(LOOPBACK, proxy.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await refused.readexactly(1)
        proxy.heal()
        reader, third = await asyncio.open_connection(LOOPBACK, proxy.port)
        third.write(b"three")
        assert await reader.readexactly(5) == b"three"
        for each in (writer, other, third):
            each.close()
