"""The public state of a twin, as it goes over the wire."""

import json

import msgspec

from twin.events import Arrival, Death, Message, Reading
from twin.fleet import Fleet
from twin.policy import Policy
from twin.state import NEW_TWIN
from twin.views import AlertBrief, BookingBrief, SessionBrief, TwinView, rfc3339, view_of

NOW = 1_700_000_000_000


def shown(*told: tuple[int, Message], now_ms: int) -> dict[str, object]:
    fleet = Fleet()
    fleet.register("c", Policy())
    for received_ms, message in told:
        fleet.handle(Arrival("c", received_ms, message))
    view: TwinView = view_of("i", "c", fleet.twin("c"), Policy(), now_ms=now_ms, rev=7)
    loaded: dict[str, object] = json.loads(msgspec.json.encode(view))
    return loaded


def test_a_twin_of_which_nothing_is_known() -> None:
    assert shown(now_ms=NOW) == {
        "instrument": "i",
        "controller": "c",
        "state": "unknown",
        "since": "1970-01-01T00:00:00.000+00:00",
        "link": "never",
        "link_since": None,
        "seen": None,
        "stale": True,
        "power": {"watts": None, "class": None, "raw": None, "since": None},
        "relay": {"desired": None, "reported": "unknown"},
        "occupancy": "unknown",
        "occupancy_since": None,
        "door": "unknown",
        "intrusion": "no",
        "session": None,
        "booking": None,
        "alerts": [],
        "rev": 7,
    }


def test_a_twin_of_which_everything_is_known() -> None:
    reading = Reading("b", 0, NOW - 20, 100.0, 5.0, relay=True, occupied=True, door="open")
    assert shown((NOW, reading), now_ms=NOW + 40_000) == {
        "instrument": "i",
        "controller": "c",
        "state": "unauthorised",
        "since": rfc3339(NOW + 40_000),
        "link": "online",
        "link_since": rfc3339(NOW),
        "seen": rfc3339(NOW),
        "stale": False,
        "power": {"watts": 100.0, "class": "active", "raw": "active", "since": rfc3339(NOW - 20)},
        "relay": {"desired": None, "reported": "on"},
        "occupancy": "occupied",
        "occupancy_since": rfc3339(NOW - 20),
        "door": "open",
        "intrusion": "confirmed",
        "session": None,
        "booking": None,
        "alerts": [],
        "rev": 7,
    }


def test_a_dead_controller_keeps_its_values_but_they_are_stale() -> None:
    view = shown((NOW, Reading("b", 0, NOW, 7.0)), (NOW + 1000, Death("b")), now_ms=NOW + 5000)
    assert (view["link"], view["stale"], view["state"]) == ("offline", True, "unknown")
    assert view["power"] == {"watts": 7.0, "class": "standby", "raw": "standby", "since": rfc3339(NOW)}
    assert (view["link_since"], view["since"]) == (rfc3339(NOW + 1000), rfc3339(NOW + 1000))


def test_a_clock_ahead_is_shown_at_once() -> None:
    view = shown((NOW, Reading("b", 0, NOW + 200_000, 7.0, occupied=True)), now_ms=NOW + 1)
    assert (view["link"], view["occupancy"], view["intrusion"]) == ("online", "occupied", "no")
    assert view["power"] == {"watts": 7.0, "class": "standby", "raw": "standby", "since": rfc3339(NOW + 200_000)}


def test_class_and_intrusion_are_of_one_moment() -> None:
    ahead = [
        Reading("b", seq, NOW + 200_000 + s * 1000, w) for seq, (s, w) in enumerate([(0, 99.0), (40, 3.0), (100, 3)])
    ]
    view = shown(*((each.ts - 200_000, each) for each in ahead), now_ms=NOW + 100_000)
    assert view["power"] == {"watts": 3.0, "class": "off", "raw": "off", "since": rfc3339(NOW + 300_000)}
    assert view["intrusion"] == "no"


def test_times_are_rfc_3339_with_offset() -> None:
    assert rfc3339(NOW + 5) == "2023-11-14T22:13:20.005+00:00"
    assert rfc3339(0) == rfc3339(NEW_TWIN.book.spans[0].start_ms)


def test_what_the_rules_say_of_an_instrument_stands_beside_what_it_says_itself() -> None:
    view = view_of(
        "i",
        "c",
        NEW_TWIN,
        Policy(),
        now_ms=NOW,
        rev=1,
        desired="on",
        session=SessionBrief("7", "open", rfc3339(NOW), None),
        booking=BookingBrief(rfc3339(NOW), rfc3339(NOW + 1000)),
        alerts=(AlertBrief("3", "IDLE_SESSION", "info", rfc3339(NOW)),),
    )
    shown = json.loads(msgspec.json.encode(view))
    assert shown["relay"]["desired"] == "on"
    assert shown["session"] == {"id": "7", "state": "open", "since": rfc3339(NOW), "due": None}
    assert shown["booking"] == {"from": rfc3339(NOW), "to": rfc3339(NOW + 1000)}
    assert shown["alerts"] == [{"id": "3", "kind": "IDLE_SESSION", "severity": "info", "since": rfc3339(NOW)}]
