"""The board's core: whoever reads its frames, whenever and with whatever pauses, ends with the present state."""

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.unit.web.campus import Campus
from twin.interface import Instrument
from twin.state import Category
from web.board import Board, Cursor
from web.catalogue import scope_of
from web.scopes import Scope
from web.sources import Twins

ALL = Scope()


class Client:
    """Applies frames as a browser does, and notices a gap."""

    def __init__(self, board: Board[Scope], scope: Scope) -> None:
        self.board = board
        self.scope = scope
        self.cursor: Cursor | None = None
        self.twins: dict[str, Any] = {}
        self.rev = -1
        self.kinds: list[str] = []

    def read(self) -> None:
        text, self.cursor = self.board.frame(self.scope, self.cursor)
        if text is not None:
            self.apply(json.loads(text))

    def apply(self, frame: dict[str, Any]) -> None:
        assert frame["rev"] > self.rev or "snapshot" in frame
        if "snapshot" in frame:
            self.twins = {twin["instrument"]: twin for twin in frame["snapshot"]}
            self.kinds.append("snapshot")
        else:
            assert frame["since"] == self.rev, "a gap"
            assert frame["changes"]
            self.twins |= {twin["instrument"]: twin for twin in frame["changes"]}
            self.kinds.append("changes")
        self.rev = frame["rev"]
        assert all(twin["rev"] <= self.rev for twin in self.twins.values())


def present(campus: Campus, scope: Scope) -> dict[str, Any]:
    seen = [v for v in campus.views() if scope.has(campus.instrument(v.instrument))]
    return {view.instrument: json.loads(Board(Twins(campus))._encoder.encode(view)) for view in seen}  # noqa: SLF001


@pytest.fixture
def campus() -> Campus:
    return Campus(10)


@pytest.fixture
def board(campus: Campus) -> Board[Scope]:
    board = Board(Twins(campus), history_beats=4)
    campus.listen(board.mark)
    return board


def test_starts_with_a_snapshot_of_all(campus: Campus, board: Board[Scope]) -> None:
    client = Client(board, ALL)
    client.read()
    assert client.twins == present(campus, ALL)
    assert len(client.twins) == 8
    assert client.kinds == ["snapshot"]


def test_sends_only_what_changed_once(campus: Campus, board: Board[Scope]) -> None:
    client = Client(board, ALL)
    client.read()
    campus.change("SEM-000", watts=1.0)
    campus.change("SEM-000", watts=2.0)
    campus.change("TEM-001", watts=3.0)
    text, cursor = board.frame(ALL, client.cursor)
    assert text is not None
    watts = {twin["instrument"]: twin["power"]["watts"] for twin in json.loads(text)["changes"]}
    assert watts == {"SEM-000": 2.0, "TEM-001": 3.0}
    assert board.frame(ALL, cursor).text is None


def test_clients_at_one_cursor_share_one_text(campus: Campus, board: Board[Scope]) -> None:
    one, other = Client(board, ALL), Client(board, ALL)
    one.read()
    other.read()
    assert one.cursor == other.cursor
    campus.change("SEM-000", watts=1.0)
    assert board.frame(ALL, one.cursor).text is board.frame(ALL, other.cursor).text


def test_a_twin_is_encoded_once_a_revision(campus: Campus, board: Board[Scope]) -> None:
    for scope in (ALL, scope_of(campus, "ANALYSIS"), Scope(instrument="SEM-000")):
        Client(board, scope).read()
    assert board.unencoded(ALL, None) == []
    campus.change("SEM-000", watts=1.0)
    assert board.unencoded(ALL, None) == ["SEM-000"]


def test_tells_a_platform_only_of_its_own_and_its_children(campus: Campus, board: Board[Scope]) -> None:
    scope = scope_of(campus, "MATERIALS")
    client = Client(board, scope)
    client.read()
    assert sorted(client.twins) == ["FUR-002", "FUR-008", "SEM-000", "SEM-006", "TEM-001", "TEM-007", "XRD-003"]
    campus.change("NMR-005", watts=1.0)
    client.read()
    assert client.kinds == ["snapshot"]
    campus.change("XRD-003", watts=1.0)
    client.read()
    assert client.kinds == ["snapshot", "changes"]
    assert client.twins == present(campus, scope)


def test_who_misses_too_many_beats_gets_a_snapshot(campus: Campus, board: Board[Scope]) -> None:
    quick, slow = Client(board, ALL), Client(board, ALL)
    quick.read()
    slow.read()
    for watts in range(6):
        campus.change("SEM-000", watts=float(watts))
        board.beat()
        quick.read()
    slow.read()
    assert quick.kinds == ["snapshot"] + 6 * ["changes"]
    assert slow.kinds == ["snapshot", "snapshot"]
    assert slow.twins == quick.twins == present(campus, ALL)


def test_whoever_sees_nothing_of_what_changes_does_not_fall_behind(campus: Campus, board: Board[Scope]) -> None:
    client = Client(board, Scope(instrument="NMR-005"))
    client.read()
    for _ in range(9):
        campus.change("SEM-000", watts=1.0)
        board.beat()
        client.read()
    campus.change("NMR-005", watts=1.0)
    client.read()
    assert client.kinds == ["snapshot", "changes"]


def test_an_instrument_that_leaves_is_told_by_a_snapshot(campus: Campus, board: Board[Scope]) -> None:
    client = Client(board, ALL)
    client.read()
    campus.remove("SEM-000")
    client.read()
    assert client.kinds == ["snapshot", "snapshot"]
    assert "SEM-000" not in client.twins


def test_forgets_everything_and_begins_anew(campus: Campus, board: Board[Scope]) -> None:
    Client(board, ALL).read()
    board.forget()
    campus.change("SEM-000", watts=77.0, tell=False)
    client = Client(board, ALL)
    client.read()
    campus.change("SEM-000", watts=78.0)
    board.beat()
    client.read()
    assert client.kinds == ["snapshot", "changes"]
    assert client.twins == present(campus, ALL)


class Watching(RuleBasedStateMachine):
    """Clients of several scopes read when they like, drop off and come again, while twins change, come and go."""

    @initialize()
    def open(self) -> None:
        self.campus = Campus(10)
        self.board = Board(Twins(self.campus), history_beats=3)
        self.campus.listen(self.board.mark)
        scopes = (ALL, scope_of(self.campus, "MATERIALS"), Scope(instrument="SEM-000"), scope_of(self.campus, "ENERGY"))
        self.clients = [Client(self.board, scope) for scope in scopes * 2]
        self.untold: list[str] = []

    @rule(number=st.integers(0, 20), watts=st.floats(0, 9000), state=st.sampled_from(Category), tell=st.booleans())
    def change(self, number: int, watts: float, state: Category, tell: bool) -> None:  # noqa: FBT001
        codes = [view.instrument for view in self.campus.views()]
        code = codes[number % len(codes)]
        self.campus.change(code, watts=watts, state=state, tell=tell)
        if not tell:
            self.untold.append(code)

    @rule()
    def tell(self) -> None:
        self.campus.tell(self.untold)
        self.untold.clear()

    @rule(number=st.integers(11, 14))
    def come(self, number: int) -> None:
        code = f"NEW-{number:03d}"
        if self.campus.instrument(code) is None:
            self.campus.add(Instrument(code, "", "", "", "", "HEAT", "", "0", None, "c"))

    @rule(number=st.integers(0, 14))
    def go(self, number: int) -> None:
        codes = [view.instrument for view in self.campus.views()]
        if number < len(codes) > 1:
            self.untold = [code for code in self.untold if code != codes[number]]
            self.campus.remove(codes[number])

    @rule()
    def beat(self) -> None:
        self.board.beat()

    @rule(number=st.integers(0, 7))
    def read(self, number: int) -> None:
        self.clients[number].read()

    @rule(number=st.integers(0, 7))
    def reconnect(self, number: int) -> None:
        self.clients[number] = Client(self.board, self.clients[number].scope)

    @rule()
    def everybody_reads(self) -> None:
        self.tell()
        for client in self.clients:
            client.read()
            assert client.twins == present(self.campus, client.scope)

    @invariant()
    def memory_is_bounded(self) -> None:
        if hasattr(self, "board"):
            assert len(self.board._json) <= len(self.campus.views())  # noqa: SLF001
            assert len(self.board._frames) <= 2 * len(self.clients) + 4  # noqa: SLF001

    def teardown(self) -> None:
        if hasattr(self, "clients"):
            self.everybody_reads()


TestWatching = Watching.TestCase
TestWatching.settings = settings(max_examples=60, stateful_step_count=40)
