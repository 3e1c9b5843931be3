"""Bookings in the real table: made, refused with alternatives, estimated, given back, listed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.houses import house
from twin.bookings import Bookings
from twin.interface import BookingQuery, BookingView, BookingWish, ConflictError
from twin.models.registry import Instrument
from twin.models.times import Downtime
from twin.store.rows import to_ms

NOW = datetime(2026, 3, 2, 0, tzinfo=UTC)  # 08:00 in Beijing
HOUR = timedelta(hours=1)
BOOKINGS = Bookings(ZoneInfo("Asia/Shanghai"))


@pytest.fixture(autouse=True)
async def _house(database_url: str) -> AsyncIterator[None]:
    async with house(database_url):
        yield


async def book(
    hour: float, hours: float = 1, user: str = "ada", project: str | None = None, group: str | None = None
) -> BookingView:
    start = NOW + hour * HOUR
    wish = BookingWish("SEM", start, start + hours * HOUR, project, group)
    view, _ = await BOOKINGS.create(user, wish, lambda: to_ms(NOW))
    return view


def hours_from_now(*stretches: tuple[str, str]) -> list[float]:
    return [(datetime.fromisoformat(start) - NOW) / HOUR for start, _ in stretches]


async def test_a_booking_is_kept_told_and_estimated() -> None:
    start = NOW + HOUR
    wish = BookingWish("SEM", start, start + 2 * HOUR, "P1", "G")
    view, fact = await BOOKINGS.create("ada", wish, lambda: to_ms(NOW))
    assert (view.instrument, view.user, view.group, view.project) == ("SEM", "ada", "G", "P1")
    assert (view.state, view.estimate) == ("confirmed", "240.00")
    assert fact.booking is not None
    assert (fact.booking.start_ms, fact.booking.end_ms) == (to_ms(start), to_ms(start + 2 * HOUR))
    assert (fact.booking.group, fact.booking.project, fact.booking.estimate_cny) == ("G", "P1", Decimal("240.00"))
    assert await BOOKINGS.get(view.id) == view


async def test_an_estimate_goes_by_local_time_and_by_the_bands_of_the_tariff() -> None:
    assert (await book(13, 2)).estimate == "180.00"  # 21:00 to 23:00


@pytest.mark.parametrize(
    ("hour", "hours", "message"), [(1, 0, "ends after"), (1, -1, "ends after"), (-1, 2, "future"), (1, 721, "30 days")]
)
async def test_times_that_cannot_be_are_refused(hour: float, hours: float, message: str) -> None:
    with pytest.raises(ConflictError, match=message):
        await book(hour, hours)


async def test_a_booking_that_could_not_be_kept_before_it_begins_is_none() -> None:
    times = iter([NOW, NOW + HOUR + timedelta(seconds=1)])
    with pytest.raises(ConflictError, match="future"):
        await BOOKINGS.create("ada", BookingWish("SEM", NOW + HOUR, NOW + 2 * HOUR), lambda: to_ms(next(times)))
    assert await BOOKINGS.list(BookingQuery()) == ([], 0)


@pytest.mark.parametrize(("project", "group"), [("P1", None), (None, "G"), ("P9", None)])
async def test_nobody_books_for_others_groups_or_projects(project: str | None, group: str | None) -> None:
    with pytest.raises(ConflictError, match="cy"):
        await book(1, user="cy", project=project, group=group)


async def test_an_instrument_that_is_not_there_cannot_be_booked() -> None:
    with pytest.raises(ConflictError, match="NMR"):
        await BOOKINGS.create("ada", BookingWish("NMR", NOW + HOUR, NOW + 2 * HOUR), lambda: to_ms(NOW))


async def test_who_comes_too_late_is_told_of_the_nearest_free_times() -> None:
    await book(2, 2)
    await book(5, 1)
    with pytest.raises(ConflictError, match="SEM is booked") as refused:
        await book(3, 1, "bo")
    assert hours_from_now(*refused.value.free) == [4, 1, 0]


async def test_free_times_lie_ahead_and_not_in_an_outage() -> None:
    await book(0.25, 1)
    sem = await Instrument.get(code="SEM")
    await Downtime.create(instrument=sem, cause="outage", since=NOW + 1.25 * HOUR, until=NOW + 4 * HOUR)
    with pytest.raises(ConflictError) as refused:
        await book(0.5, 1, "bo")
    assert hours_from_now(*refused.value.free) == [4, 5, 6]


async def test_of_many_at_once_one_gets_it() -> None:
    outcomes = await asyncio.gather(*(book(1) for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in outcomes if not isinstance(each, BookingView)] == [ConflictError] * 4


@pytest.mark.parametrize(("hour", "state"), [(3, "cancelled"), (2, "cancelled"), (1.9, "late_cancelled")])
async def test_a_booking_given_back_is_free_for_others(hour: float, state: str) -> None:
    booked = await book(hour)
    given_back = await BOOKINGS.cancel(booked.id, to_ms(NOW))
    assert given_back is not None
    view, fact = given_back
    assert (view.state, fact.id, fact.booking) == (state, booked.id, None)
    assert await BOOKINGS.cancel(booked.id, to_ms(NOW)) is None
    assert (await book(hour, user="bo")).user == "bo"


async def test_what_is_over_or_never_was_cannot_be_given_back() -> None:
    booked = await book(1)
    assert await BOOKINGS.cancel(booked.id, to_ms(NOW + 2 * HOUR)) is None
    for unknown in ("0", "x", "-1", "²", "9" * 30):
        assert await BOOKINGS.cancel(unknown, to_ms(NOW)) is None
        assert await BOOKINGS.get(unknown) is None


async def test_bookings_are_found_by_what_is_asked_for_a_page_at_a_time() -> None:
    first, second, third = await book(5, user="bo"), await book(1), await book(3)
    await BOOKINGS.cancel(third.id, to_ms(NOW))

    async def found(**wanted: object) -> tuple[list[str], int]:
        views, total = await BOOKINGS.list(BookingQuery(**wanted))  # type: ignore[arg-type] - by name
        return [view.id for view in views], total

    assert await found() == ([second.id, third.id, first.id], 3)
    assert await found(limit=1, offset=1) == ([third.id], 3)
    assert await found(user="ada", state="confirmed") == ([second.id], 1)
    assert await found(start_ms=to_ms(NOW + 2 * HOUR), end_ms=to_ms(NOW + 5 * HOUR)) == ([third.id], 1)
    assert await found(instruments=frozenset({"XRD"})) == ([], 0)
