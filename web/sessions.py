"""Which sessions somebody may see, and how much of them."""

import msgspec

from twin.interface import ChargeView, LineView, Person, Service, SessionQuery, SessionView
from web import rights
from web.paging import Part
from web.problems import Code, Problem
from web.rights import Deed

NOBODY = "-"
"""Stands for a person whose name is not shown."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions somebody asks for; what is None does not matter."""

    instrument: str | None = None
    user: str | None = None
    state: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None


def query_for(person: Person, wanted: Wanted, part: Part) -> SessionQuery:
    """What is looked up for this person: their own sessions, and those of instruments where they may see more.

    Raises:
        Problem: FORBIDDEN.

    """
    instruments, user = _limits(person, wanted)
    return SessionQuery(
        instruments=instruments,
        user=user,
        state=wanted.state,
        start_ms=wanted.start_ms,
        end_ms=wanted.end_ms,
        limit=part.limit,
        offset=part.offset,
    )


def _limits(person: Person, wanted: Wanted) -> tuple[frozenset[str] | None, str | None]:
    """On which instruments (None: all) and of whom (None: anybody)."""
    asked = None if wanted.instrument is None else frozenset({wanted.instrument})
    if wanted.user == person.username:
        return asked, person.username
    if wanted.user is not None:  # to ask for somebody by name is to learn the name
        return _where_allowed(person, Deed.SEE_NAMES, wanted.instrument), wanted.user
    visible = rights.where(person, Deed.SEE_SESSIONS)
    if visible == frozenset() or (asked is not None and not rights.may(person, Deed.SEE_SESSIONS, wanted.instrument)):
        return asked, person.username
    return asked or visible, None


def _where_allowed(person: Person, deed: Deed, instrument: str | None) -> frozenset[str] | None:
    """The instruments to look at, or the one asked for. Raises FORBIDDEN where nothing is left."""
    if instrument is not None:
        rights.demand(person, deed, instrument)
        return frozenset({instrument})
    allowed = rights.where(person, deed)
    if allowed == frozenset():
        rights.demand(person, deed, None)
    return allowed


async def session_of(service: Service, person: Person, key: str) -> SessionView:
    """One session with its charge, as this person may see it.

    Raises:
        Problem: UNKNOWN_SESSION, FORBIDDEN.

    """
    session = await service.session(key)
    if session is None:
        raise Problem(Code.UNKNOWN_SESSION, f"No session has the id {key!r}.")
    if session.user != person.username:
        rights.demand(person, Deed.SEE_SESSIONS, session.instrument)
    return veiled(person, session)


def veiled(person: Person, session: SessionView) -> SessionView:
    """A session without names, where this person may not see them."""
    if session.user == person.username or rights.may(person, Deed.SEE_NAMES, session.instrument):
        return session
    charge = None if session.charge is None else _without_authors(session.charge)
    return msgspec.structs.replace(session, user=NOBODY, override_reason=None, charge=charge)


def _without_authors(charge: ChargeView) -> ChargeView:
    lines: tuple[LineView, ...] = tuple(msgspec.structs.replace(line, author=NOBODY) for line in charge.lines)
    return msgspec.structs.replace(charge, lines=lines)
