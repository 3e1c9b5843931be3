"""Which alerts somebody may see and answer."""

from collections.abc import Iterator

import msgspec

from twin.alerts import AlertKind
from twin.interface import AlertQuery, AlertView, Person, Service, SilenceView, SilenceWish
from web import rights
from web.catalogue import instrument_of, scope_of
from web.clock import moment_ms
from web.paging import Part
from web.problems import Code, Problem
from web.rights import Deed
from web.scopes import AlertScope

LONGEST_SILENCE_MS = 30 * 24 * 3_600_000
"""A month: what nobody wants to hear of for longer is a matter of policy."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts somebody asks for; what is None does not matter. Times count for those that are over."""

    instrument: str | None = None
    kind: str | None = None
    severity: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None


def scope_for(person: Person, instrument: str | None = None) -> AlertScope:
    """The alerts that this person may see, all or those of one instrument.

    Raises:
        Problem: FORBIDDEN.

    """
    visible = rights.where(person, Deed.SEE_ALERTS)
    if instrument is not None or visible == frozenset():
        rights.demand(person, Deed.SEE_ALERTS, instrument)
    return AlertScope(visible if instrument is None else frozenset({instrument}))


def firing(service: Service, person: Person, wanted: Wanted) -> list[AlertView]:
    """The alerts that fire, the worst first, then the newest. Raises FORBIDDEN as `scope_for`."""
    scope = scope_for(person, wanted.instrument)
    found = (alert for alert in service.alerts() if scope.has(alert) and _is_wanted(alert, wanted))
    newest = sorted(found, key=lambda alert: alert.since, reverse=True)
    return sorted(newest, key=lambda alert: (alert.acknowledged is not None, _ORDER.get(alert.severity, 0)))


_ORDER = {"critical": 0, "warning": 1, "info": 2}


def _is_wanted(alert: AlertView, wanted: Wanted) -> bool:
    return wanted.kind in {None, alert.kind} and wanted.severity in {None, alert.severity}


def past_query(person: Person, wanted: Wanted, part: Part) -> AlertQuery:
    """What is looked up of the alerts that are over. Raises FORBIDDEN as `scope_for`."""
    return AlertQuery(
        instruments=scope_for(person, wanted.instrument).instruments,
        kind=wanted.kind,
        severity=wanted.severity,
        start_ms=wanted.start_ms,
        end_ms=wanted.end_ms,
        limit=part.limit,
        offset=part.offset,
    )


async def acknowledge(service: Service, person: Person, key: str) -> AlertView:
    """Take an alert upon oneself.

    Raises:
        Problem: UNKNOWN_ALERT, FORBIDDEN.
        NotRecordedError: nothing has changed.

    """
    _demand(service, person, Deed.ACKNOWLEDGE, key)
    return _known(key, await service.acknowledge(person, key))


async def resolve(service: Service, person: Person, key: str) -> AlertView:
    """Say that an alert is over. Raises as `acknowledge`."""
    _demand(service, person, Deed.RESOLVE, key)
    return _known(key, await service.resolve(person, key))


async def silence(service: Service, person: Person, wish: SilenceWish) -> SilenceView:
    """Have nobody told of some alerts for a while.

    Raises:
        Problem: FORBIDDEN, UNKNOWN_INSTRUMENT, UNKNOWN_PLATFORM, INVALID_PARAMETER.
        NotRecordedError: nothing has changed.

    """
    if wish.instrument is not None:
        instrument_of(service, wish.instrument)
    rights.demand(person, Deed.SILENCE, wish.instrument)
    for problem in _faults(service, wish):
        raise Problem(Code.INVALID_PARAMETER, problem)
    return await service.silence(person, wish)


def _faults(service: Service, wish: SilenceWish) -> Iterator[str]:
    scope_of(service, wish.platform)
    if wish.kind is not None and wish.kind not in set(AlertKind):
        yield f"There is no kind of alert {wish.kind!r}."
    ahead_ms = moment_ms("until", wish.until) - service.now_ms()
    if not 0 < ahead_ms <= LONGEST_SILENCE_MS:
        yield "`until` must lie ahead, by 30 days at most."


def _demand(service: Service, person: Person, deed: Deed, key: str) -> None:
    alert = next((alert for alert in service.alerts() if alert.id == key), None)
    rights.demand(person, deed, _known(key, alert).instrument)


def _known(key: str, alert: AlertView | None) -> AlertView:
    if alert is None:
        raise Problem(Code.UNKNOWN_ALERT, f"No alert that fires has the id {key!r}.")
    return alert
