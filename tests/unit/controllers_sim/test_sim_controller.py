"""The protocol core of a simulated controller, against the wire contract."""

# ruff: noqa: S311 - seeded chance is what is tested
import json
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controllers_sim.controller import Controller, Hardware
from controllers_sim.faults import Mishap
from controllers_sim.wire import MAX_ARRAY

NOW_MS = 1_700_000_000_000


def booted(*, relay: bool | None = True, limit: int = 7200, mishap: Mishap | None = None) -> Controller:
    controller = Controller(Hardware("sem-01", relay=relay), Random(1), limit=limit, mishaps=lambda _: mishap)
    controller.boot(NOW_MS)
    return controller


def said(controller: Controller) -> Iterator[tuple[str, Any]]:
    """Everything it has to say, acknowledged at once, as (kind, payload)."""
    while message := controller.take():
        controller.delivered()
        prefix, _, kind = message.topic.rpartition("/")
        assert prefix == "users/v1/sem-01"
        yield kind, json.loads(message.payload)


def command(**fields: object) -> bytes:
    return json.dumps({"id": "k1", "ts": NOW_MS, "expires": NOW_MS + 1000, "reason": "test"} | fields).encode()


def test_the_first_message_of_a_boot_is_a_birth_with_seq_0() -> None:
    controller = booted()
    controller.connected(NOW_MS)
    [(kind, birth)] = said(controller)
    assert kind == "birth"
    assert birth == {
        "boot": controller.boot_id, "seq": 0, "ts": NOW_MS, "fw": "1.4.2", "model": "UT-1", "relay": True,
        "caps": ["power", "relay", "card", "presence", "door"],
    }  # fmt: skip
    assert json.loads(controller.will().payload) == {"boot": controller.boot_id}


def test_a_birth_says_null_where_there_is_no_relay() -> None:
    controller = booted(relay=None)
    controller.connected(NOW_MS)
    [(_, birth)] = said(controller)
    assert birth["relay"] is None


def test_a_live_reading_carries_what_was_measured_and_no_hist() -> None:
    controller = booted()
    controller.connected(NOW_MS)
    controller.read(NOW_MS + 1000, 120.04, occupied=True, door="closed")
    controller.read(NOW_MS + 3_601_000, 120.04)
    (_, first), (_, second) = list(said(controller))[1:]
    assert first == {
        "boot": controller.boot_id, "seq": 1, "ts": NOW_MS + 1000, "power_w": 120.0, "energy_wh": 0.0, "relay": True,
        "occupied": True, "door": "closed",
    }  # fmt: skip
    assert second["energy_wh"] == 120.04  # an hour at that power


def test_what_happened_while_cut_off_comes_after_the_birth_as_history_in_arrays() -> None:
    controller = booted()
    for second in range(MAX_ARRAY + 5):
        controller.read(NOW_MS + second * 1000, 1.0)
    controller.tap(NOW_MS, "0a1b2c3d")
    controller.connected(NOW_MS)
    controller.read(NOW_MS, 2.0)
    kinds = list(said(controller))
    assert [kind for kind, _ in kinds] == ["birth", "card", "reading", "reading", "reading"], "who is in comes first"
    arrays = [payload for _, payload in kinds[3:]]
    assert [len(array) for array in arrays] == [MAX_ARRAY, 5]
    assert all(reading["hist"] is True for array in arrays for reading in array)
    assert [reading["seq"] for array in arrays for reading in array] == list(range(MAX_ARRAY + 5))
    assert kinds[1][1] | {"boot": ""} == {
        "boot": "", "seq": MAX_ARRAY + 5, "ts": NOW_MS, "card": "0a1b2c3d", "action": "tap", "granted": False,
        "hist": True,
    }  # fmt: skip
    assert "hist" not in kinds[2][1]


def test_a_card_at_a_connected_controller_is_left_to_the_service() -> None:
    controller = booted()
    controller.connected(NOW_MS)
    controller.tap(NOW_MS, "0a")
    _, (kind, card) = said(controller)
    assert kind == "card"
    assert "granted" not in card


def test_what_was_not_acknowledged_is_said_again_with_the_same_identity() -> None:
    controller = booted()
    controller.connected(NOW_MS)
    list(said(controller))
    controller.read(NOW_MS, 5.0)
    first = controller.take()
    assert first is not None
    controller.lost()
    controller.connected(NOW_MS)
    _, (_, again) = said(controller)
    assert again == [json.loads(first.payload) | {"hist": True}]


def test_only_one_message_is_under_way() -> None:
    controller = booted()
    controller.connected(NOW_MS)
    controller.read(NOW_MS, 5.0)
    assert controller.take() is not None
    assert controller.take() is None
    assert controller.waiting == 2


def _kept(controller: Controller) -> list[dict[str, Any]]:
    """The buffered readings that it tells of."""
    controller.connected(NOW_MS)
    told = [payload for kind, payload in said(controller) if kind == "reading"]
    return [each for array in told for each in array]


def test_history_waits_for_its_time_and_what_is_new_does_not_wait_for_it() -> None:
    controller = booted()
    controller.read(NOW_MS, 1.0)
    controller.connected(NOW_MS)
    assert controller.take(history=False) is not None, "the birth"
    controller.delivered()
    assert controller.take(history=False) is None
    assert (controller.has_history, controller.waiting) == (True, 1)
    assert controller.take() is not None
    assert not controller.has_history


def test_history_that_did_not_arrive_is_told_again_in_its_order() -> None:
    controller = booted()
    for second in range(5):
        controller.read(NOW_MS + second, 1.0)
    controller.connected(NOW_MS)
    controller.take()
    controller.delivered()
    controller.take()
    controller.lost()
    assert [each["seq"] for each in _kept(controller)] == list(range(5))


def test_a_full_store_keeps_every_second_of_the_older_readings() -> None:
    controller = booted(limit=8)
    for second in range(9):
        controller.read(NOW_MS + second * 1000, 1.0)
    assert [each["seq"] for each in _kept(controller)] == [0, 2, 4, 5, 6, 7, 8]
    assert controller.given_up == 2


def test_readings_are_thinned_until_a_minute_lies_between_them_and_then_the_oldest_go() -> None:
    controller = booted(limit=100)
    for second in range(20_000):
        controller.read(NOW_MS + second * 1000, 1.0)
    stamps_ms = [each["ts"] for each in _kept(controller)]
    gaps_ms = [after - before for before, after in pairwise(stamps_ms)]
    assert len(stamps_ms) <= 100
    assert max(gaps_ms) <= 60_000
    assert stamps_ms[-1] - stamps_ms[0] > 45 * 60_000, "a hundred of one a second would be two minutes"
    assert gaps_ms == sorted(gaps_ms, reverse=True)


def test_no_card_is_given_up_while_there_are_readings() -> None:
    controller = booted(limit=20)
    for second in range(19):
        controller.tap(NOW_MS + second * 1000, f"{second:02x}")
        for part in range(5):
            controller.read(NOW_MS + second * 1000 + part, 1.0)
    controller.connected(NOW_MS)
    told = list(said(controller))
    assert [payload["card"] for kind, payload in told if kind == "card"] == [f"{each:02x}" for each in range(19)]


def test_of_too_many_cards_the_oldest_go() -> None:
    controller = booted(limit=3)
    for second in range(5):
        controller.tap(NOW_MS + second, f"{second:02x}")
    controller.connected(NOW_MS)
    assert [payload["card"] for kind, payload in said(controller) if kind == "card"] == ["02", "03", "04"]
    assert controller.given_up == 2


def test_a_reboot_changes_boot_counts_from_0_and_keeps_relay_and_queue() -> None:
    controller = booted()
    controller.connected(NOW_MS)
    list(said(controller))
    controller.command(NOW_MS, command(do="relay", relay=False))
    before = controller.boot_id
    controller.read(NOW_MS, 1.0)
    controller.boot(NOW_MS)
    controller.connected(NOW_MS)
    (_, birth), (_, ack), (_, [old]) = said(controller)
    assert (birth["seq"], birth["relay"]) == (0, False)
    assert birth["boot"] != before == ack["boot"] == old["boot"]


def test_a_halted_controller_keeps_what_it_has_and_says_nothing() -> None:
    controller = booted()
    controller.connected(NOW_MS)
    controller.halt()
    assert (controller.awake, controller.online, controller.waiting) == (False, False, 1)
    controller.boot(NOW_MS)
    assert controller.awake


def test_an_unsent_birth_does_not_outlive_its_boot() -> None:
    controller = booted()
    controller.connected(NOW_MS)
    controller.lost()
    controller.boot(NOW_MS + 1)
    controller.connected(NOW_MS + 1)
    assert [payload["boot"] for _, payload in said(controller)] == [controller.boot_id]


def test_its_clock_stamps_what_it_says() -> None:
    controller = booted()
    controller.skew_ms = -7000
    controller.connected(NOW_MS)
    controller.read(NOW_MS, 1.0)
    assert [payload["ts"] for _, payload in said(controller)] == [NOW_MS - 7000] * 2


@pytest.mark.parametrize(
    ("relay", "fields", "ok", "state", "error"),
    [
        (True, {"do": "relay", "relay": False}, True, False, None),
        (False, {"do": "relay", "relay": True}, True, True, None),
        (None, {"do": "relay", "relay": True}, False, None, "no relay"),
        (True, {"do": "relay"}, False, True, "relay: true or false is missing"),
        (True, {"do": "relay", "relay": False, "expires": NOW_MS - 1}, False, True, "expired"),
        (True, {"do": "say", "text": "ten minutes left"}, True, True, None),
        (True, {"do": "say"}, False, True, "nothing to say"),
        (True, {"do": "dance"}, False, True, "unknown command dance"),
    ],
)
def test_commands_are_obeyed_or_refused_and_answered(
    *, relay: bool | None, fields: dict[str, object], ok: bool, state: bool | None, error: str | None
) -> None:
    controller = booted(relay=relay)
    controller.connected(NOW_MS)
    controller.command(NOW_MS, command(**fields))
    _, (kind, ack) = said(controller)
    assert kind == "ack"
    assert (ack["cmd"], ack["ok"], ack.get("relay"), ack.get("error")) == ("k1", ok, state, error)
    assert controller.relay is state


def test_expiry_goes_by_the_controllers_own_clock() -> None:
    controller = booted()
    controller.skew_ms = 5000
    controller.command(NOW_MS, command(do="relay", relay=False))
    assert controller.relay is True


def test_a_command_heard_twice_is_answered_twice_and_done_once() -> None:
    controller = booted()
    controller.connected(NOW_MS)
    controller.command(NOW_MS, command(do="reboot"))
    controller.boot(NOW_MS)
    controller.command(NOW_MS, command(id="k2", do="relay", relay=False))
    controller.command(NOW_MS, command(id="k3", do="relay", relay=True))
    controller.command(NOW_MS, command(id="k2", do="relay", relay=False))
    assert controller.relay is True
    assert [payload["cmd"] for kind, payload in said(controller) if kind == "ack"] == ["k1", "k2", "k3", "k2"]


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"id":1}', b"\xff\xfe", b"null"])
def test_a_broken_command_is_counted_and_skipped(payload: bytes) -> None:
    controller = booted()
    controller.command(NOW_MS, payload)
    assert (controller.unreadable, controller.waiting) == (1, 0)


def test_an_open_relay_lets_no_power_through() -> None:
    controller = booted()
    controller.connected(NOW_MS)
    controller.command(NOW_MS, command(do="relay", relay=False))
    controller.read(NOW_MS, 900.0)
    assert list(said(controller))[-1][1]["power_w"] == 0.0


def test_power_counts_from_when_the_relay_closed() -> None:
    controller = booted()
    controller.command(NOW_MS, command(id="a", do="relay", relay=False))
    controller.command(NOW_MS + 500, command(id="b", do="relay", relay=True))
    assert controller.powered_since_ms == NOW_MS + 500


def test_power_has_always_been_there_until_a_relay_opens() -> None:
    assert (booted(relay=None).powered_since_ms, booted().powered_since_ms, booted(relay=False).powered_since_ms) == (
        0, 0, None,
    )  # fmt: skip


def test_a_refused_relay_command_is_answered_with_an_error_and_not_done() -> None:
    controller = booted(relay=False, mishap=Mishap.REFUSED)
    controller.command(NOW_MS, command(do="relay", relay=True))
    controller.command(NOW_MS, command(id="k2", do="say", text="ten minutes left"))
    controller.connected(NOW_MS)
    _, (_, refusal), (_, said_so) = said(controller)
    assert (refusal["ok"], refusal["relay"], refusal["error"]) == (False, False, "interlock: the relay may not move")
    assert said_so["ok"] is True


def test_a_lost_command_is_neither_done_nor_answered_however_often_it_comes() -> None:
    controller = booted(relay=False, mishap=Mishap.LOST)
    for _ in range(2):
        controller.command(NOW_MS, command(do="relay", relay=True))
    assert (controller.relay, controller.waiting) == (False, 0)


def test_a_stuck_relay_is_acknowledged_and_reported_as_it_stands() -> None:
    controller = booted(relay=False, mishap=Mishap.STUCK)
    controller.command(NOW_MS, command(do="relay", relay=True))
    controller.connected(NOW_MS)
    controller.read(NOW_MS, 900.0)
    _, (_, ack), (_, reading) = said(controller)
    assert (ack["ok"], ack["relay"], ack.get("error")) == (True, False, None)
    assert (reading["relay"], reading["power_w"]) == (False, 0.0)


STEPS = st.lists(
    st.sampled_from(["read", "tap", "connect", "lose", "send", "send_unacknowledged", "reboot"]), max_size=80
)


@given(STEPS)
def test_every_identity_arrives_at_least_once_and_never_means_two_things(steps: list[str]) -> None:
    controller = booted()
    heard: dict[tuple[str, int], dict[str, Any]] = {}
    for number, step in enumerate(steps):
        _take_step(controller, step, NOW_MS + number, heard)
    controller.lost()
    controller.connected(NOW_MS + len(steps))
    while controller.waiting:
        _take_step(controller, "send", NOW_MS, heard)
    for boot in {boot for boot, _ in heard}:
        seqs = sorted(seq for of, seq in heard if of == boot)
        missing = set(range(seqs[-1] + 1)) - set(seqs)
        # Only births of a boot that has ended are let go.
        assert boot != controller.boot_id or not missing
        assert len(missing) <= steps.count("connect")


def _take_step(controller: Controller, step: str, now_ms: int, heard: dict[tuple[str, int], dict[str, Any]]) -> None:
    match step:
        case "read":
            controller.read(now_ms, 10.0)
        case "tap":
            controller.tap(now_ms, "aa")
        case "connect":
            controller.lost()
            controller.connected(now_ms)
        case "lose":
            controller.lost()
        case "reboot":
            controller.boot(now_ms)
        case _ if controller.online and (message := controller.take()):
            payload = json.loads(message.payload)
            for item in payload if isinstance(payload, list) else [payload]:
                item.pop("hist", None)
                assert heard.setdefault((item["boot"], item["seq"]), item) == item
            if step == "send":
                controller.delivered()
            else:
                controller.lost()
