"""What is true of sessions whatever people, controllers and clocks do."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.session_tables import SessionPlayer
from tests.rules.tables import START_MS, Row, Scenario, after
from twin.sessions import (
    CommandFailed,
    Control,
    Cooldown,
    Free,
    Open,
    Opening,
    OrderState,
    RelayCommanded,
    SessionClosed,
    SessionOpened,
    SessionRecorded,
    SessionVoided,
    UserWarned,
)
from twin.state import FOREVER_MS

HORIZON_MS = 24 * 3_600_000

PEOPLE = st.sampled_from(["Li", "Zhao", "Wang"])
STEPS_MS = st.sampled_from(
    [0, 1, 999, 9_999, 10_000, 60_000, 299_999, 300_000, 600_000, 1_799_999, 1_800_000, 7_200_000]
)
WORDS = st.sampled_from(
    [
        *("relay on", "relay off", "relay on stamped -3s", "relay on stamped +3s", "controller refuses"),
        *("goes offline", "comes back", "active", "not active", "occupied", "vacant", "no relay", "no meter"),
        *("ended by STAFF", "ended by USER", "ended by EMERGENCY", "ended by RECONCILED since +1h"),
        *("Li's slot ends +3h", "Wang cancels", "policy overrun on"),
    ]
)
ASKED = st.builds(
    lambda who, what: f"{who} {what}", PEOPLE, st.sampled_from(["asks", "asks", "taps", "asks and is refused"])
)
BOOKED = st.builds(
    lambda who, start, length, group: f"{who} books +{start}m to +{start + length}m{group}",
    PEOPLE,
    st.integers(0, 300),
    st.integers(1, 120),
    st.sampled_from(["", " for Lab"]),
)
POLICIES = st.fixed_dictionaries(
    {
        "cut": st.sampled_from(["at_once", "when_idle", "never"]),
        "at_slot_end": st.sampled_from(["end", "alert"]),
        "overrun": st.booleans(),
        "overrun_free_ms": st.sampled_from([0, 60_000, 1_800_000]),
        "grace_ms": st.sampled_from([0, 300_000]),
        "warn_before_end_ms": st.sampled_from([0, 600_000]),
        "idle_release_ms": st.sampled_from([0, 1_800_000]),
        "cooldown_max_ms": st.sampled_from([0, 7_200_000]),
    }
)
OPENING = st.just((0, "Li books +0m to +60m; relay off; Li asks; relay on"))
EVENTS = st.tuples(STEPS_MS, st.one_of(ASKED, ASKED, BOOKED, WORDS))


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    drawn = draw(st.lists(EVENTS, min_size=1, max_size=25))
    if draw(st.booleans()):
        drawn.insert(0, draw(OPENING))
    rows, now_ms = [], 0
    for step_ms, events in drawn:
        now_ms += step_ms
        rows.append(Row(after(now_ms), events, {}))
    return Scenario("drawn", overrides=draw(POLICIES), rows=rows)


def _played(scenario: Scenario) -> SessionPlayer:
    player = SessionPlayer(scenario)
    for row in scenario.rows:
        player.play(row)
    player.ask(START_MS + HORIZON_MS)
    return player


@settings(max_examples=150)
@given(scenarios())
def test_there_is_one_session_at_a_time_and_each_ends_once(scenario: Scenario) -> None:
    running, opened, ended = None, dict[str, int](), set[str]()
    for decision in _played(scenario).decisions:
        match decision:
            case SessionRecorded(use=use):
                assert running is None
                running = use.id
            case SessionOpened(at_ms=at_ms, session=session):
                assert session == running
                assert session not in opened
                opened[session] = at_ms
            case SessionClosed(at_ms=at_ms, session=session):
                assert session == running
                assert opened[session] <= at_ms
                assert session not in ended
                ended.add(session)
                running = None
            case SessionVoided(session=session):
                assert session == running
                assert session not in opened
                running = None
            case _:
                pass


@settings(max_examples=150)
@given(scenarios())
def test_no_relay_goes_on_without_a_granted_request(scenario: Scenario) -> None:
    waiting: str | None = None
    for decision in _played(scenario).decisions:
        match decision:
            case SessionRecorded(use=use):
                waiting = use.id
            case RelayCommanded(on=True):
                assert waiting is not None
            case SessionClosed() | SessionVoided():
                waiting = None
            case _:
                pass


@settings(max_examples=150)
@given(scenarios(), st.lists(st.integers(0, HORIZON_MS), max_size=30))
def test_asking_more_often_changes_nothing(scenario: Scenario, asked_ms: list[int]) -> None:
    player, plain = SessionPlayer(scenario), _played(scenario)
    for row in scenario.rows:
        for moment_ms in sorted(each for each in asked_ms if player.control.settled_ms < START_MS + each < row.at_ms):
            player.ask(START_MS + moment_ms)
        while player.due_ms < row.at_ms:
            player.ask(player.due_ms)
        player.play(row)
    while player.due_ms <= START_MS + HORIZON_MS:
        player.ask(player.due_ms)
    player.ask(START_MS + HORIZON_MS)
    assert player.decisions == plain.decisions
    assert player.control == plain.control


@settings(max_examples=150)
@given(scenarios())
def test_nothing_is_left_undone(scenario: Scenario) -> None:
    player = SessionPlayer(scenario)
    for row in scenario.rows:
        player.play(row)
        assert row.at_ms < player.due_ms <= FOREVER_MS
        _is_sound(player.control, row.at_ms)


def _is_sound(control: Control, at_ms: int) -> None:
    """An opening has its command under way; an open session's relay, if it has one, was reported on."""
    state, order = control.state, control.order
    settled = {OrderState.CONFIRMED, OrderState.FAILED}  # refused, though the relay was on already
    match state:
        case Opening():
            assert order is not None
            assert order.on
            assert order.state in {OrderState.WAITING, OrderState.SENT}
            assert at_ms < order.expires_ms
        case Open():
            assert order is None or (order.on and order.state in settled)
        case Free() | Cooldown():
            assert order is None or not order.on or order.state in settled


@settings(max_examples=150)
@given(scenarios())
def test_nobody_is_warned_twice_of_one_end_and_no_command_fails_unsent(scenario: Scenario) -> None:
    decisions = _played(scenario).decisions
    warnings = [(each.session, each.slot_end_ms) for each in decisions if isinstance(each, UserWarned)]
    assert len(set(warnings)) == len(warnings)
    sent = [each.on for each in decisions if isinstance(each, RelayCommanded)]
    recorded = sum(isinstance(each, SessionRecorded) for each in decisions)
    failed = [each.on for each in decisions if isinstance(each, CommandFailed)]
    assert failed.count(False) <= sent.count(False)
    assert failed.count(True) <= recorded
