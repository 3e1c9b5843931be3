"""A simulated controller that is cut off: it believes signed grants only, decides by them, and tells of it."""

# ruff: noqa: S311 - seeded chance is what is tested
import hashlib
import hmac
import json
from random import Random
from typing import Any

import pytest

from controllers_sim.controller import Controller, Hardware

NOW = 1_700_000_000_000
MIN, HOUR = 60_000, 3_600_000
KEY = "0f" * 32
LI, ZHAO, WANG = "04A1", "04b2", "04c3"


def _digest(uid: str) -> str:
    return hashlib.sha256(uid.lower().encode()).hexdigest()


def window(grant: str, from_min: int, to_min: int, *cards: str) -> dict[str, Any]:
    digests = [_digest(each) for each in cards]
    return {"grant": grant, "cards": digests, "from": NOW + from_min * MIN, "to": NOW + to_min * MIN}


FIRST, SECOND = window("g1", -10, 60, LI, ZHAO), window("g2", 50, 120, WANG)


def signed(*windows: dict[str, Any], version: int = 1, key: str = KEY, **more: Any) -> bytes:
    body: dict[str, Any] = {"version": version, "issued": NOW, "expires": NOW + 24 * HOUR, "windows": windows}
    body |= {"cut": "at_once", "active_w": 40, **more}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    sig = hmac.new(bytes.fromhex(key), canonical, hashlib.sha256).hexdigest()
    return json.dumps(body | {"sig": sig}).encode()


def controller(*told: bytes, relay: bool | None = False, key: str | None = KEY) -> Controller:
    """One that has been told and is cut off."""
    made = Controller(Hardware("c", relay=relay), Random(1), grant_key=key)
    made.boot(NOW)
    for each in told:
        made.grants(each)
    return made


def taps(cut_off: Controller) -> list[tuple[str, bool | None, str | None]]:
    """What it tells of its cards: action, granted, grant."""
    cut_off.connected(NOW + 10 * HOUR)
    told = []
    while message := cut_off.take():
        cut_off.delivered()
        if message.topic.endswith("/card"):
            card = json.loads(message.payload)
            assert card["hist"] is True
            told.append((card["action"], card.get("granted"), card.get("grant")))
    return told


def test_a_card_opens_and_closes_the_relay() -> None:
    cut_off = controller(signed(FIRST, SECOND))
    cut_off.tap(NOW, LI)
    assert cut_off.relay is True
    assert cut_off.powered_since_ms == NOW
    cut_off.tap(NOW + 30 * MIN, LI.lower())
    assert cut_off.relay is False
    assert taps(cut_off) == [("in", True, "g1"), ("out", True, "g1")]


def test_one_of_the_group_may_go_out_for_another() -> None:
    cut_off = controller(signed(FIRST))
    cut_off.tap(NOW, LI)
    cut_off.tap(NOW + MIN, ZHAO)
    assert taps(cut_off) == [("in", True, "g1"), ("out", True, "g1")]


@pytest.mark.parametrize(("minute", "granted"), [(-11, False), (-10, True), (59, True), (60, False)])
def test_a_window_is_half_open(minute: int, *, granted: bool) -> None:
    cut_off = controller(signed(FIRST))
    cut_off.tap(NOW + minute * MIN, LI)
    assert cut_off.relay is granted
    assert [each[1] for each in taps(cut_off)] == [granted]


def test_it_goes_by_its_own_clock() -> None:
    cut_off = controller(signed(FIRST))
    cut_off.skew_ms = 2 * HOUR
    cut_off.tap(NOW, LI)
    assert cut_off.relay is False
    cut_off.skew_ms = 25 * HOUR
    cut_off.grants(signed(window("g3", 24 * 60, 26 * 60, LI), version=2))
    cut_off.tap(NOW, LI)
    assert cut_off.relay is False, "the window holds, but all of it has expired by then"


def test_somebody_else_waits_until_they_are_out_or_their_time_is_over() -> None:
    cut_off = controller(signed(FIRST, SECOND))
    cut_off.tap(NOW, LI)
    cut_off.tap(NOW + 55 * MIN, WANG)
    cut_off.tap(NOW + 61 * MIN, WANG)
    assert taps(cut_off) == [("in", True, "g1"), ("tap", False, None), ("in", True, "g2")]


def test_who_is_in_gets_out_whatever_has_become_of_the_grant() -> None:
    cut_off = controller(signed(FIRST))
    cut_off.tap(NOW, LI)
    cut_off.grants(signed(version=2))
    cut_off.tap(NOW + 30 * HOUR, LI)
    assert cut_off.relay is False
    assert taps(cut_off)[-1] == ("out", True, "g1")


@pytest.mark.parametrize(
    "told",
    [
        b"no json",
        b"[]",
        b"{}",
        signed(FIRST, key="11" * 32),
        signed(FIRST).replace(b'"g1"', b'"g9"'),
        signed(FIRST).replace(b'"sig"', b'"gis"'),
        signed(FIRST, windows=7),
        signed({"grant": "g1"}),
    ],
)
def test_what_is_not_signed_or_makes_no_sense_is_not_believed(told: bytes) -> None:
    cut_off = controller(told)
    cut_off.tap(NOW, LI)
    assert (cut_off.relay, cut_off.doorkeeper.refused) == (False, 1)


def test_without_a_key_nothing_is_believed() -> None:
    cut_off = controller(signed(FIRST), key=None)
    cut_off.tap(NOW, LI)
    assert cut_off.relay is False


def test_a_version_never_goes_back_not_even_over_a_reboot() -> None:
    cut_off = controller(signed(version=5), signed(FIRST, version=4))
    cut_off.boot(NOW)
    cut_off.grants(signed(FIRST, version=4))
    cut_off.tap(NOW, LI)
    assert (cut_off.relay, cut_off.doorkeeper.grants.version, cut_off.doorkeeper.refused) == (False, 5, 2)


def test_fields_that_it_does_not_know_are_signed_like_all_others() -> None:
    cut_off = controller(signed(FIRST, remark="中文"))
    cut_off.tap(NOW, LI)
    assert cut_off.relay is True


@pytest.mark.parametrize(
    ("cut", "states"), [("at_once", [False] * 3), ("when_idle", [True, True, False]), ("never", [True] * 3)]
)
def test_power_is_cut_as_it_was_told(cut: str, states: list[bool]) -> None:
    cut_off = controller(signed(FIRST, cut=cut))
    cut_off.tap(NOW, LI)
    cut_off.tap(NOW + MIN, LI)
    found = [cut_off.relay]
    for second, power_w in ((1, 40.0), (2, 39.0)):
        cut_off.read(NOW + MIN + second * 1000, power_w)
        found.append(cut_off.relay)
    assert found == states


def test_who_comes_while_it_waits_to_cut_keeps_the_power() -> None:
    cut_off = controller(signed(FIRST, cut="when_idle"))
    for second in range(3):
        cut_off.tap(NOW + second, LI)
    cut_off.read(NOW + MIN, 0.0)
    assert cut_off.relay is True


def test_where_power_was_on_before_it_does_not_know_who_comes_or_goes() -> None:
    cut_off = controller(signed(FIRST), relay=True)
    cut_off.tap(NOW, LI)
    assert cut_off.relay is True
    assert taps(cut_off) == [("tap", True, "g1")]


def test_without_a_relay_the_service_finds_out() -> None:
    cut_off = controller(signed(FIRST), relay=None)
    cut_off.tap(NOW, LI)
    cut_off.tap(NOW + MIN, LI)
    assert taps(cut_off) == [("tap", True, "g1")] * 2


def _switch(on_line: Controller, at_ms: int, *, on: bool) -> None:
    command = {"id": f"{at_ms}", "ts": at_ms, "expires": at_ms + 9000, "do": "relay", "relay": on, "reason": "session"}
    on_line.command(at_ms, json.dumps(command).encode())


def test_who_was_let_in_by_the_service_goes_out_by_card_or_somebody_of_the_group() -> None:
    for card in (LI, ZHAO):
        on_line = controller(signed(FIRST))
        on_line.connected(NOW)
        on_line.tap(NOW, LI)
        _switch(on_line, NOW + 200, on=True)
        on_line.lost()
        on_line.tap(NOW + MIN, card)
        assert on_line.relay is False
        assert taps(on_line)[-1] == ("out", True, "g1")


def test_a_card_that_the_service_did_not_answer_in_time_is_nobodys() -> None:
    on_line = controller(signed(FIRST))
    on_line.connected(NOW)
    on_line.tap(NOW, WANG)
    _switch(on_line, NOW + MIN, on=True)  # somebody at a screen
    on_line.lost()
    on_line.tap(NOW + 2 * MIN, WANG)
    assert on_line.relay is True
    assert taps(on_line)[-1] == ("tap", False, None)


def test_whom_the_service_ended_is_out() -> None:
    on_line = controller(signed(FIRST))
    on_line.connected(NOW)
    on_line.tap(NOW, LI)
    _switch(on_line, NOW + 200, on=True)
    _switch(on_line, NOW + MIN, on=False)
    on_line.lost()
    on_line.tap(NOW + 2 * MIN, LI)
    assert on_line.relay is True
    assert taps(on_line)[-1] == ("in", True, "g1")
