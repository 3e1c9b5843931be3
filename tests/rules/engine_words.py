"""How tables about whole instruments write moments, and what follows from an event."""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from twin.rules.billing import LineCause
from twin.rules.outcome import (
    ChargeRecord,
    Command,
    Consequences,
    CreditRecord,
    Do,
    NoticeRecord,
    SessionRecord,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
MIDNIGHT = datetime(2026, 3, 2, tzinfo=SHANGHAI)
HERE = "SEM-01"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def clock_ms(text: str) -> int:
    """`09:00`, `09:00:01.5`, `Tue 09:00`: milliseconds."""
    day, _, clock = text.rpartition(" ")
    told = re.fullmatch(r"(\d\d):(\d\d)(?::([\d.]+))?", clock)
    assert told is not None, f"not a time: {text!r}"
    hours, minutes, seconds = told.groups("0")
    length = timedelta(days=_DAYS.index(day or "Mon"), hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    return round((MIDNIGHT + length).timestamp() * 1000)


def clock(at_ms: int) -> str:
    """A moment as tables write it."""
    at = datetime.fromtimestamp(at_ms / 1000, SHANGHAI)
    seconds = f"{at:%S}" + (f".{at_ms % 1000:03}" if at_ms % 1000 else "")
    day = "" if at.date() == MIDNIGHT.date() else f"{at:%a} "
    return f"{day}{at:%H:%M}" + ("" if seconds == "00" else f":{seconds}")


def _said(at_ms: int, now_ms: int, words: str) -> str:
    return words if at_ms == now_ms else f"{clock(at_ms)} {words}"


def decided(follows: Iterable[Consequences], now_ms: int) -> Iterator[str]:
    """Answers that are no, sessions, commands, bookings."""
    for each in follows:
        for answer in each.answers:
            if answer.decision is not None and answer.decision.reason is not None:
                yield f"refused {answer.decision.reason}"
        yield from (_session(record, now_ms) for record in each.sessions)
        yield from (_command(command, now_ms) for command in each.commands)
        yield from (f"booking of {record.id} {record.state}" for record in each.bookings)


def _session(record: SessionRecord, now_ms: int) -> str:
    at_ms = record.ended_ms or record.opened_ms or record.requested_ms
    words = [record.user, record.status, record.reason or ""]
    words += [f"because {record.override_reason}"] if record.override_reason and not record.opened_ms else []
    return _said(at_ms, now_ms, " ".join(filter(None, words)))


def _command(command: Command, now_ms: int) -> str:
    text = (command.text or "").partition(" · ")[2]
    words = f"relay {'on' if command.relay else 'off'}" if command.do is Do.RELAY else f"says {text}"
    return _said(command.at_ms, now_ms, words)


def costs(follows: Iterable[Consequences], now_ms: int) -> Iterator[str]:
    """Lines of accounts, and of credit."""
    for each in follows:
        yield from (_line(record, now_ms) for record in each.charges)
        yield from (_credit(record, now_ms) for record in each.credit)


def _line(record: ChargeRecord, now_ms: int) -> str:
    line = record.line
    sign = "+" if line.cause is LineCause.CORRECTION and line.net_cny >= 0 else ""
    cause = "" if line.cause is LineCause.SESSION else f"{line.cause} "
    return _said(record.at_ms, now_ms, f"{cause}{sign}{line.net_cny}")


def _credit(record: CreditRecord, now_ms: int) -> str:
    line = record.line
    return _said(line.at_ms, now_ms, f"credit of {record.user} {line.points:+} {line.cause}")


def told(follows: Iterable[Consequences], now_ms: int) -> Iterator[str]:
    """Who is told of the alerts of the instrument and the site, or why nobody is."""
    for each in follows:
        yield from (_notice(record, now_ms) for record in each.notices if record.alert.startswith((HERE, "site")))


def _notice(record: NoticeRecord, now_ms: int) -> str:
    notice = record.notice
    words = [notice.kind, notice.step, notice.withheld or f"to {', '.join(notice.to)}"]
    return _said(notice.at_ms, now_ms, " ".join(words))
