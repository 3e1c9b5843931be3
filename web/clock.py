"""Local time of the site, and moments as callers write them."""

from datetime import date, datetime

from twin.interface import Service
from web.problems import Code, Problem


def local_today(service: Service) -> date:
    """Today's date where the instruments stand."""
    return datetime.fromtimestamp(service.now_ms() / 1000, service.timezone).date()


def moment_ms(name: str, moment: datetime) -> int:
    """A moment that the caller calls `name`, in ms since the epoch.

    Raises:
        Problem: INVALID_PARAMETER where it has no offset.

    """
    if moment.tzinfo is None:
        raise Problem(Code.INVALID_PARAMETER, f"`{name}` needs an offset, such as Z or +08:00.")
    return round(moment.timestamp() * 1000)


def stretch_ms(start: datetime | None, end: datetime | None) -> tuple[int | None, int | None]:
    """The stretch of time that `from` and `to` limit, in ms since the epoch.

    Raises:
        Problem: INVALID_PARAMETER where one has no offset, or they are in the wrong order.

    """
    start_ms = None if start is None else moment_ms("from", start)
    end_ms = None if end is None else moment_ms("to", end)
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise Problem(Code.INVALID_PARAMETER, "`from` must lie before `to`.")
    return start_ms, end_ms
