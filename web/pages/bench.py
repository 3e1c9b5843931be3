"""What somebody sees and may do who stands before an instrument: its session, why they are refused, its alerts."""

from typing import NamedTuple

from twin.interface import AlertView, Person, Service, SessionQuery, SessionView, UnlockWish
from twin.views import AlertBrief, BookingBrief, SessionBrief
from web import rights
from web.catalogue import twin_of
from web.pages.explain import Explained, refusals
from web.pages.voice import Voice
from web.paging import Part
from web.rights import Deed
from web.sessions import Wanted, query_for, veiled

LATEST = 5
_IN_USE = 9
"""The number of the check that fails for those who are neither the session's user nor of their group."""


class Bench(NamedTuple):
    """What the template needs of an instrument with a controller."""

    session: SessionBrief | None
    booking: BookingBrief | None
    shown: SessionView | None
    """The session with its cost, for those who may see it."""
    is_known: bool
    """Do the rules know this person at all?"""
    refusals: list[Explained]
    """Why this person may not unlock it now; empty where they may."""
    may_unlock: bool
    may_maintain: bool
    may_override: bool
    may_end: bool
    may_stop: bool
    latest: list[SessionView]
    briefs: tuple[AlertBrief, ...]
    alerts: list[AlertView]
    """With who sees to them, for those who may see that."""


async def bench_of(service: Service, person: Person | None, code: str, voice: Voice) -> Bench:
    """An instrument as somebody, or (None) anybody, sees it now."""
    view = twin_of(service, code)
    running = service.running(code)
    access = None if person is None else service.access(code, person.username, service.now_ms(), UnlockWish())
    why_not = [] if access is None else refusals(access, voice)
    in_theirs = access is not None and access.checks[_IN_USE - 1].code is None
    return Bench(
        session=view.session,
        booking=view.booking,
        shown=None if running is None else await _shown(service, person, running),
        is_known=access is not None,
        refusals=why_not,
        may_unlock=running is None and access is not None and not why_not,
        may_maintain=rights.may(person, Deed.MAINTAIN, code),
        may_override=running is None and bool(why_not) and rights.may(person, Deed.MAINTAIN, code),
        may_end=running is not None and (in_theirs or rights.may(person, Deed.END_FOR_OTHERS, code)),
        may_stop=rights.may(person, Deed.STOP, code),
        latest=[] if person is None else await _latest(service, person, code),
        briefs=view.alerts,
        alerts=_alerts(service, person, code),
    )


async def _shown(service: Service, person: Person | None, running: SessionView) -> SessionView | None:
    if person is None:
        return None
    if running.user != person.username and not rights.may(person, Deed.SEE_SESSIONS, running.instrument):
        return None
    return veiled(person, await service.session(running.id) or running)


async def _latest(service: Service, person: Person, code: str) -> list[SessionView]:
    query: SessionQuery = query_for(person, Wanted(instrument=code), Part(LATEST, 0))
    found, _ = await service.sessions(query)
    return [veiled(person, session) for session in found]


def _alerts(service: Service, person: Person | None, code: str) -> list[AlertView]:
    if not rights.may(person, Deed.SEE_ALERTS, code):
        return []
    return [alert for alert in service.alerts() if alert.instrument == code]
