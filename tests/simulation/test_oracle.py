"""The oracle against what can be worked out by hand."""

from dataclasses import dataclass

import numpy as np

from benchmarks.simulation.ledger_oracle import CATEGORIES, fires, fires_singly, ledger
from benchmarks.simulation.seconds import ACTIVE, OFFLINE, ONLINE, STALE, Messages, link_by_second, physical, sort_out
from benchmarks.simulation.site import START_S, Equipment
from benchmarks.simulation.trace import Heard
from twin.directory import InstrumentFact
from twin.events import Death, Message, Reading
from twin.state import Category

ONE = Equipment(InstrumentFact(code="i", controller="c"), metered=True, relay=True, presence=True, beat_s=60)


@dataclass(frozen=True)
class Said:
    at_s: int
    watts: float
    received_s: int | None = None


def heard(*said: Said | tuple[int, Message]) -> Messages:
    told = []
    for number, each in enumerate(said):
        if isinstance(each, Said):
            received_s = each.at_s if each.received_s is None else each.received_s
            hist = each.received_s is not None
            message: Message = Reading("b", number, (START_S + each.at_s) * 1000, each.watts, hist=hist)
        else:
            received_s, message = each
        told.append(Heard(number, START_S + received_s, "c", message))
    return sort_out(told, ONE.policy)


def booked(messages: Messages, seconds: int) -> list[tuple[int, Category]]:
    book = ledger(ONE, messages, [], seconds)
    changes = [0, *(int(each) + 1 for each in np.flatnonzero(np.diff(book)))]
    return [(at_s, CATEGORIES[book[at_s]]) for at_s in changes]


def test_the_class_rises_at_once_and_falls_a_minute_late() -> None:
    power = physical(heard(Said(10, 300), Said(50, 0)).told, ONE, 200).power
    assert [power[9], power[10], power[109], power[110]] == [0, ACTIVE, ACTIVE, 0]


def test_a_link_goes_stale_offline_and_dies() -> None:
    link = link_by_second(heard(Said(0, 0), Said(400, 0), (430, Death("b"))), ONE.policy, 500)
    assert [link[at_s] for at_s in (89, 90, 299, 300, 400, 430)] == [ONLINE, STALE, STALE, OFFLINE, ONLINE, OFFLINE]


def test_power_without_session_is_unauthorised_after_half_a_minute() -> None:
    messages = heard(Said(0, 0), Said(20, 300), Said(60, 0))
    assert booked(messages, 150) == [
        (0, Category.OFF),
        (20, Category.STANDBY),
        (50, Category.UNAUTHORISED),
        (120, Category.OFF),
    ]


def test_what_was_buffered_takes_the_place_of_unknown() -> None:
    cut_off = (Said(0, 0), Said(300, 0))
    assert booked(heard(*cut_off), 350) == [(0, Category.OFF), (90, Category.UNKNOWN), (300, Category.OFF)]
    told = heard(*cut_off, *(Said(at_s, 20, received_s=310) for at_s in (80, 160, 240)))
    assert booked(told, 350) == [(0, Category.OFF), (80, Category.STANDBY)]


def test_an_alert_stands_still_while_the_link_is_down() -> None:
    link = np.full(200, ONLINE, np.int8)
    holds = np.zeros(200, np.bool_)
    holds[10:150] = True
    assert fires(holds, link, for_s=60, clear_s=30, stands_still=True) == [70]
    link[50:80] = STALE
    assert fires(holds, link, for_s=60, clear_s=30, stands_still=True) == [100]
    assert fires(holds, link, for_s=60, clear_s=30, stands_still=False) == [70]


def test_single_events_close_together_are_one_alert() -> None:
    assert fires_singly([10, 30, 59, 100], clear_s=30) == [10, 100]
