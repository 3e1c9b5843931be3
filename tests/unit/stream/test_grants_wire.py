"""Grants on the wire: what stands in them, and that nobody else can have written them."""

import hashlib
import hmac
import json

import pytest

from twin.directory import GrantsFact
from twin.grants import Holder, Window
from twin.policy import Cut
from twin.stream.grants import wire_grants

KEY = "00ff" * 16
FACT = GrantsFact(
    controller="c",
    version=7,
    issued_ms=1,
    expires_ms=9,
    cut=Cut.AT_ONCE,
    active_w=40,
    windows=(Window("g", "12", 3, 5, (Holder("李", ("b", "c")), Holder("li", ("a",)))),),
)


def test_a_controller_is_told_cards_and_times_and_no_names() -> None:
    told = json.loads(wire_grants(FACT, KEY))
    signature = told.pop("sig")
    assert told == {
        "version": 7,
        "issued": 1,
        "expires": 9,
        "cut": "at_once",
        "active_w": 40,
        "windows": [{"grant": "g", "cards": ["a", "b", "c"], "from": 3, "to": 5}],
    }
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert signature == hmac.new(bytes.fromhex(KEY), canonical, hashlib.sha256).hexdigest()


def test_another_key_makes_another_signature() -> None:
    assert wire_grants(FACT, KEY) != wire_grants(FACT, "11" * 32)
    assert wire_grants(FACT, KEY) == wire_grants(FACT, KEY)


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="hex"):
        wire_grants(FACT, "no key")
