"""Which bookings somebody may see, make and give back: their own."""

from twin.interface import BookingView, BookingWish, Person, Service
from web.catalogue import twin_of
from web.clock import moment_ms
from web.problems import Code, Problem


async def booking_of(service: Service, person: Person, key: str) -> BookingView:
    """One of this person's bookings.

    Raises:
        Problem: UNKNOWN_BOOKING, FORBIDDEN.

    """
    booking = await service.booking(key)
    if booking is None:
        raise Problem(Code.UNKNOWN_BOOKING, f"No booking has the id {key!r}.")
    if booking.user != person.username:
        raise Problem(Code.FORBIDDEN, "This booking is somebody else's.")
    return booking


async def book(service: Service, person: Person, wish: BookingWish) -> BookingView:
    """Keep an instrument.

    Raises:
        Problem: UNKNOWN_INSTRUMENT, NO_CONTROLLER, INVALID_PARAMETER.
        ConflictError, SuspendedError, NotRecordedError: nothing was booked.

    """
    twin_of(service, wish.instrument)
    if moment_ms("from", wish.start) >= moment_ms("to", wish.end):
        raise Problem(Code.INVALID_PARAMETER, "`from` must lie before `to`.")
    return await service.book(person, wish)


async def cancel(service: Service, person: Person, key: str) -> BookingView:
    """Give a booking back.

    Raises:
        Problem: UNKNOWN_BOOKING, FORBIDDEN.
        NotRecordedError: it still stands.

    """
    await booking_of(service, person, key)
    cancelled = await service.cancel(person, key)
    if cancelled is None:
        raise Problem(Code.UNKNOWN_BOOKING, f"The booking {key!r} does not stand any more.")
    return cancelled
