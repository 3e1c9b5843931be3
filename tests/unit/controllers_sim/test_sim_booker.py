"""Somebody who books by HTTP, at a real server that answers as the service does."""

# ruff: noqa: S311 - seeded chance is what is tested
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from random import Random

import msgspec
import pytest

from controllers_sim.attendance import Attendance
from controllers_sim.booker import NOTICE_QUARTERS, QUARTER_MS, Booker
from controllers_sim.people import Habits
from controllers_sim.plan import Booking
from controllers_sim.profiles import PROFILES
from controllers_sim.scenario import ServiceTable, zone
from tests.booking_desk import Desk, open_desk, until
from tests.unit.web.campus import Campus
from tests.unit.web.served import ask, opened
from twin.views import rfc3339

NOW_MS = 1_772_586_000_000
FREE = {"from": "2026-03-04T12:00:00+08:00", "to": "2026-03-04T13:00:00+08:00"}


class Diary(Attendance):
    """People who also remember what was booked."""

    def __init__(self) -> None:
        super().__init__(Habits(1, PROFILES["sem"], zone("Asia/Shanghai")), (), (), 0.0)
        self.booked: list[Booking] = []

    def book(self, booking: Booking) -> None:
        self.booked.append(booking)
        super().book(booking)


@asynccontextmanager
async def booking_at(desk: Desk, *, known: bool = True) -> AsyncIterator[Diary]:
    table = ServiceTable(desk.url, "booker", "sesame" if known else "wrong-one", "04a1b2c3", "50ms")
    async with booking(table, "c2", NOW_MS) as diary:
        yield diary


@asynccontextmanager
async def booking(table: ServiceTable, controller: str, now_ms: int) -> AsyncIterator[Diary]:
    diary, stop = Diary(), asyncio.Event()
    task = asyncio.create_task(Booker(table, {controller: diary}, Random(1), lambda: now_ms, stop).run())
    try:
        yield diary
    finally:
        stop.set()
        await task


async def test_a_slot_is_booked_and_followed() -> None:
    async with open_desk("c1", "c2") as desk, booking_at(desk) as diary:
        await until(lambda: diary.booked)
    token, wish = desk.wishes[0]
    assert (token, wish["instrument"]) == ("Bearer t1", "I-c2")  # the one whose people follow a plan
    first = diary.booked[0]
    assert (first.card, first.user) == ("04a1b2c3", "booker")
    begin, end = (datetime.fromisoformat(wish[name]) for name in ("from", "to"))
    assert begin.tzinfo is not None
    assert [round(moment.timestamp() * 1000) for moment in (begin, end)] == [first.from_ms, first.to_ms]
    assert first.from_ms % QUARTER_MS == first.to_ms % QUARTER_MS == 0
    assert NOW_MS < first.from_ms <= NOW_MS + 6 * QUARTER_MS
    tapped = [
        card
        for t_ms in range(NOW_MS - 1000, first.to_ms, 1000)
        for card in diary.look(t_ms, None)[1]
    ]  # fmt: skip
    assert tapped
    assert set(tapped) == {"04a1b2c3"}


async def test_where_it_is_taken_an_offered_slot_is_booked_instead() -> None:
    taken = (409, {"code": "CONFLICT", "free": [FREE]})
    async with open_desk("c1", "c2", answers=[taken]) as desk, booking_at(desk) as diary:
        await until(lambda: diary.booked)
    assert datetime.fromisoformat(desk.wishes[1][1]["from"]) == datetime.fromisoformat(FREE["from"])
    assert diary.booked[0].to_ms - diary.booked[0].from_ms == 3_600_000


async def test_what_the_web_itself_offers_is_booked() -> None:
    """A conflict in the service's own words, not in those that a desk of ours puts into its mouth."""
    campus = Campus(1)
    taken_until_ms = campus.clock_ms + (NOTICE_QUARTERS[1] + 1) * QUARTER_MS  # nothing is wished for that begins later
    taken = {"instrument": "SEM-000", "from": rfc3339(campus.clock_ms), "to": rfc3339(taken_until_ms)}
    async with opened(campus) as site:
        assert (await ask(site, "wang", "POST", "/bookings", json=taken)).status_code == 201
        table = ServiceTable(site.url, "li", "right", "04a1b2c3", "50ms")
        async with booking(table, "c-000", campus.clock_ms) as diary:
            await until(lambda: diary.booked)
    first, booked = diary.booked[0], [each for each in campus.booked.values() if each.user == "li"]
    assert first.from_ms >= taken_until_ms
    assert (rfc3339(first.from_ms), rfc3339(first.to_ms)) == (booked[0].start, booked[0].end)


async def test_an_offered_slot_that_is_taken_too_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    taken = (409, {"code": "CONFLICT", "free": [FREE]})
    async with open_desk("c1", "c2", answers=[taken, taken]) as desk, booking_at(desk) as diary:
        await until(lambda: diary.booked)
    assert [message for message in caplog.messages if "booker could not book" in message and "409" in message]
    assert len(desk.wishes) >= 3


async def test_where_nothing_is_offered_nobody_insists() -> None:
    async with open_desk("c1", "c2", answers=[(409, {"code": "CONFLICT"})]) as desk, booking_at(desk) as diary:
        await until(lambda: diary.booked)
    assert len(diary.booked) == len(desk.wishes) - 1


async def test_what_the_service_says_wrong_is_told_and_tried_anew(caplog: pytest.LogCaptureFixture) -> None:
    backward = {"from": FREE["to"], "to": FREE["from"]}
    answers = [(500, {}), (409, {"free": "none"}), (409, {"free": [backward]})]
    async with open_desk("c1", "c2", answers=answers) as desk, booking_at(desk) as diary:
        await until(lambda: diary.booked)
    assert sum("booker could not book" in message for message in caplog.messages) >= 3


async def test_a_wrong_password_is_told_without_showing_it(caplog: pytest.LogCaptureFixture) -> None:
    async with open_desk("c1", "c2") as desk, booking_at(desk, known=False):
        await until(lambda: desk.logins >= 2)
        await until(lambda: any("401" in message for message in caplog.messages))
    assert not desk.wishes
    assert "wrong-one" not in caplog.text


async def test_a_service_that_is_not_there_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with open_desk("c1", "c2") as desk:
        pass
    async with booking_at(desk):
        await until(lambda: any("could not book" in message for message in caplog.messages))


@pytest.mark.parametrize(
    "url", ["http://192.0.2.7:80", "http://example.org", "ftp://127.0.0.1", "127.0.0.1:80", "http://"]
)
def test_only_a_service_on_this_machine_is_booked_at(url: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="an address on this machine"):
        msgspec.convert({"url": url, "username": "u", "password": "p", "card": "aa"}, ServiceTable)


@pytest.mark.parametrize("url", ["http://127.0.0.1:80", "http://[::1]:80", "http://localhost:80"])
def test_every_way_to_say_this_machine_is_understood(url: str) -> None:
    assert ServiceTable(url, "u", "p", "aa").url == url
