"""How tables about access write moments and what would make it allowed."""

from datetime import datetime
from functools import singledispatch
from zoneinfo import ZoneInfo

from twin.permission import (
    AccountRenewed,
    BackInService,
    FundsAdded,
    LinkOnline,
    Opened,
    ProjectThatPays,
    QualificationHeld,
    Remedy,
    SessionEnded,
    SlotHeld,
    SuspensionOver,
)


def when(at_ms: int | None, zone: ZoneInfo) -> str:
    """A moment as tables write it; `?` where nobody knows."""
    if at_ms is None:
        return "?"
    local = datetime.fromtimestamp(at_ms / 1000, zone)
    clock = local.strftime("%H:%M") if at_ms % 60_000 == 0 else local.time().isoformat("milliseconds")
    if (local.year, local.month, local.day) == (2026, 3, 2):
        return clock
    near = (local.year, local.month) == (2026, 3) and 2 <= local.day <= 8
    return f"{local:%a} {clock}" if near else f"{local:%Y-%m-%d} {clock}"


@singledispatch
def worded(remedy: Remedy, zone: ZoneInfo) -> str:
    """What would make it allowed, as tables write it."""
    raise TypeError(f"no words for {remedy}")


@worded.register
def _(remedy: BackInService, zone: ZoneInfo) -> str:
    return f"{remedy.cause} until {when(remedy.at_ms, zone)}"


@worded.register
def _(remedy: LinkOnline, zone: ZoneInfo) -> str:
    return f"link {remedy.link}"


@worded.register
def _(remedy: AccountRenewed, zone: ZoneInfo) -> str:
    return _joined("disabled" if remedy.disabled else "", _dated("ran out", remedy.expired_ms, zone))


@worded.register
def _(remedy: SuspensionOver, zone: ZoneInfo) -> str:
    ban = f"banned until {when(remedy.until_ms, zone)}" if remedy.banned else ""
    return _joined(f"{remedy.credit_missing} points missing" if remedy.credit_missing else "", ban)


@worded.register
def _(remedy: ProjectThatPays, zone: ZoneInfo) -> str:
    refused = (f"{project} {why}" for project, why in remedy.refused)
    instead = f"instead {' '.join(remedy.instead)}" if remedy.instead else ""
    return _joined(*refused, instead, _dated("from", remedy.from_ms, zone)) or "-"


@worded.register
def _(remedy: QualificationHeld, zone: ZoneInfo) -> str:
    expired, ahead = _dated("ran out", remedy.expired_ms, zone), _dated("held from", remedy.from_ms, zone)
    return _joined(f"{remedy.level} at {remedy.instrument}", expired, ahead)


@worded.register
def _(remedy: FundsAdded, zone: ZoneInfo) -> str:
    return f"{remedy.missing_cny} more for {remedy.project or '?'}: {remedy.available_cny} of {remedy.needed_cny}"


@worded.register
def _(remedy: Opened, zone: ZoneInfo) -> str:
    return f"opens {when(remedy.at_ms, zone)}"


@worded.register
def _(remedy: SessionEnded, zone: ZoneInfo) -> str:
    return f"free {when(remedy.due_ms, zone)}"


@worded.register
def _(remedy: SlotHeld, zone: ZoneInfo) -> str:
    free = f"{when(remedy.free_from_ms, zone)} to {when(remedy.free_until_ms, zone)}"
    return _joined(
        _dated("own opens", remedy.opens_ms, zone),
        _dated("own ended", remedy.over_ms, zone),
        f"walk in {free}" if remedy.walk_in else f"free {free}",
    )


def _dated(words: str, at_ms: int | None, zone: ZoneInfo) -> str:
    return "" if at_ms is None else f"{words} {when(at_ms, zone)}"


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
