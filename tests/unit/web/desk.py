"""Who is on a campus, and what they do: sessions, alerts and bookings in memory, which a test sets as it likes."""

import secrets
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import msgspec

from twin.access_views import access_view_of
from twin.interface import (
    AccessView,
    AlertQuery,
    AlertView,
    BookingQuery,
    BookingView,
    BookingWish,
    ChargeView,
    ConflictError,
    LineView,
    NotRecordedError,
    PartView,
    Person,
    SessionQuery,
    SessionView,
    SilenceView,
    SilenceWish,
    Unlocked,
    UnlockWish,
)
from twin.permission import AccessCode, AccessDecision, Check, Refusal, Remedy, Standing
from twin.views import rfc3339

PEOPLE = {
    person.username: person
    for person in (
        Person("manager", "platform_manager", "张晓华"),
        Person("keeper", "user", "钱保管", frozenset({"SEM-000", "TEM-001"})),
        Person("guard", "security", "孙卫"),
        Person("dean", "analyst", "周院长"),
        Person("li", "user", "李同学"),
        Person("wang", "user", "王同学"),
    )
}
CHARGE = ChargeView("120.00", "0.00", "20.00", "100.00", 60, (PartView("use", 100, 50), PartView("idle", 50, 10)))
_Row = TypeVar("_Row", SessionView, AlertView, BookingView)


class Desk:
    """Sessions, alerts and bookings. Nobody is refused but for what `refused` says."""

    def __init__(self, clock_ms: int) -> None:
        self.clock_ms = clock_ms
        self.is_recording = True
        self.refused: dict[str, dict[int, Refusal]] = {}
        """By instrument: the checks that fail."""
        self.held: dict[str, SessionView] = {}
        self.firing: dict[str, AlertView] = {}
        self.over: list[AlertView] = []
        self.booked: dict[str, BookingView] = {}
        self.silences: list[SilenceView] = []
        self.alert_listeners: list[Callable[[], None]] = []
        self.locks: list[tuple[str, str, bool, bool]] = []
        """Who locked what, as staff, in an emergency."""
        self._tokens: dict[str, Person] = {}

    def touch(self, code: str | None) -> None:
        """The twin of an instrument has changed."""

    async def sign_in(self, username: str, password: str) -> str | None:
        if username not in PEOPLE or password != "right":
            return None
        token = secrets.token_urlsafe(16)
        self._tokens[token] = PEOPLE[username]
        return token

    async def person(self, token: str) -> Person | None:
        return self._tokens.get(token)

    async def sign_out(self, token: str) -> None:
        self._tokens.pop(token, None)

    # Access

    def refuse(self, code: str, number: int, reason: AccessCode, remedy: Remedy) -> None:
        """Let a check fail from now on."""
        self.refused.setdefault(code, {})[number] = Refusal(reason, remedy)

    def access(self, code: str, username: str, at_ms: int, wish: UnlockWish) -> AccessView | None:
        if username not in PEOPLE:
            return None
        refused = self.refused.get(code, {})
        checks = tuple(
            Check(n, Standing.FAILED if n in refused else Standing.PASSED, refused.get(n)) for n in range(1, 11)
        )
        return access_view_of(AccessDecision(checks, wish.booking, "P1", wish.override_reason), code, username, at_ms)

    async def unlock(self, person: Person, code: str, wish: UnlockWish) -> Unlocked:
        self._record()
        explain = self.access(code, person.username, self.clock_ms, wish)
        assert explain is not None
        if explain.decision == "denied":
            return Unlocked("denied", explain.reason, explain, None)
        return Unlocked("granted", None, explain, self.begin(code, person.username).id)

    async def lock(self, person: Person, code: str, *, staff: bool, emergency: bool) -> SessionView | None:
        self._record()
        self.locks.append((person.username, code, staff, emergency))
        session = self.running(code)
        if session is None or not (staff or emergency or session.user == person.username):
            return None
        reason = "EMERGENCY" if emergency else "STAFF" if staff else "USER"
        return self.end(session, reason)

    def _record(self) -> None:
        if not self.is_recording:
            raise NotRecordedError

    # Sessions

    def begin(self, code: str, user: str, *, ago_min: int = 0, due_min: int | None = 120) -> SessionView:
        """A session that is open since `ago_min`."""
        since = rfc3339(self.clock_ms - ago_min * 60_000)
        session = SessionView(
            id=f"s{len(self.held) + 1}",
            instrument=code,
            user=user,
            project="P1",
            booking=None,
            state="open",
            requested=since,
            opened=since,
            ended=None,
            due=None if due_min is None else rfc3339(self.clock_ms + due_min * 60_000),
            reason=None,
            override_reason=None,
            maintenance=False,
            charge=CHARGE,
        )
        self.held[session.id] = session
        self.touch(code)
        return session

    def end(self, session: SessionView, reason: str) -> SessionView:
        """The session is over."""
        line = LineView("session", rfc3339(self.clock_ms), "120.00", "0.00", "20.00", "100.00", "", "keeper")
        self.held[session.id] = msgspec.structs.replace(
            session,
            state="closed",
            ended=rfc3339(self.clock_ms),
            due=None,
            reason=reason,
            charge=msgspec.structs.replace(CHARGE, lines=(line,)),
        )
        self.touch(session.instrument)
        return self.held[session.id]

    async def sessions(self, wanted: SessionQuery) -> tuple[Sequence[SessionView], int]:
        found = [s for s in self.held.values() if s.ended is None or _after(s.ended, wanted.start_ms)]
        found = [s for s in found if _before(s.requested, wanted.end_ms)]
        found = [s for s in found if wanted.user in {None, s.user} and wanted.state in {None, s.state}]
        return _part([s for s in reversed(found) if _in(s.instrument, wanted.instruments)], wanted)

    async def session(self, id: str) -> SessionView | None:  # noqa: A002
        return self.held.get(id)

    def running(self, code: str) -> SessionView | None:
        return next((s for s in self.held.values() if s.instrument == code and s.state == "open"), None)

    # Alerts

    def fire(self, code: str | None, kind: str = "IDLE_SESSION", severity: str = "info") -> AlertView:
        """An alert begins."""
        alert = AlertView(
            id=f"a{len(self.firing) + len(self.over) + 1}",
            instrument=code,
            kind=kind,
            severity=severity,
            state="firing",
            since=rfc3339(self.clock_ms - 300_000 + 1000 * len(self.firing)),
            resolved=None,
            acknowledged=None,
            acknowledged_by=None,
            to=("manager", "user"),
        )
        return self._set(alert)

    def clear(self, id: str) -> AlertView:  # noqa: A002
        """An alert is over."""
        alert = msgspec.structs.replace(self.firing.pop(id), state="resolved", resolved=rfc3339(self.clock_ms))
        self.over.insert(0, alert)
        self.touch(alert.instrument)
        self.tell_alerts()
        return alert

    def tell_alerts(self) -> None:
        """Tell the listeners."""
        for listener in tuple(self.alert_listeners):
            listener()

    def _set(self, alert: AlertView) -> AlertView:
        self.firing[alert.id] = alert
        self.touch(alert.instrument)
        self.tell_alerts()
        return alert

    def alerts(self) -> Sequence[AlertView]:
        return list(self.firing.values())

    async def past_alerts(self, wanted: AlertQuery) -> tuple[Sequence[AlertView], int]:
        found = [a for a in self.over if wanted.kind in {None, a.kind} and wanted.severity in {None, a.severity}]
        return _part([a for a in found if _in(a.instrument, wanted.instruments)], wanted)

    async def acknowledge(self, person: Person, id: str) -> AlertView | None:  # noqa: A002
        self._record()
        if id not in self.firing:
            return None
        now = rfc3339(self.clock_ms)
        alert = self.firing[id]
        return self._set(msgspec.structs.replace(alert, acknowledged=now, acknowledged_by=person.username))

    async def resolve(self, person: Person, id: str) -> AlertView | None:  # noqa: A002
        self._record()
        assert person.username in PEOPLE
        return self.clear(id) if id in self.firing else None

    async def silence(self, person: Person, wish: SilenceWish) -> SilenceView:
        self._record()
        until = rfc3339(round(wish.until.timestamp() * 1000))
        silence = SilenceView(until, person.username, wish.reason, wish.instrument, wish.platform, wish.kind)
        self.silences.append(silence)
        return silence

    def listen_alerts(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.alert_listeners.append(listener)
        return lambda: self.alert_listeners.remove(listener)

    # Bookings

    async def bookings(self, wanted: BookingQuery) -> tuple[Sequence[BookingView], int]:
        found = [b for b in self.booked.values() if wanted.user in {None, b.user} and wanted.state in {None, b.state}]
        found = [b for b in found if _after(b.end, wanted.start_ms) and _before(b.start, wanted.end_ms)]
        return _part([b for b in found if _in(b.instrument, wanted.instruments)], wanted)

    async def book(self, person: Person, wish: BookingWish) -> BookingView:
        self._record()
        start, end = (rfc3339(round(moment.timestamp() * 1000)) for moment in (wish.start, wish.end))
        if any(b.instrument == wish.instrument and b.start < end and start < b.end for b in self.booked.values()):
            raise ConflictError("Somebody has booked it then.", [(end, rfc3339(self.clock_ms + 10**8))])
        id_ = f"b{len(self.booked) + 1}"
        self.booked[id_] = BookingView(
            id_, wish.instrument, person.username, wish.group, wish.project, start, end, "booked", "240.00"
        )
        return self.booked[id_]

    async def booking(self, id: str) -> BookingView | None:  # noqa: A002
        return self.booked.get(id)

    async def cancel(self, person: Person, id: str) -> BookingView | None:  # noqa: A002
        self._record()
        assert person.username in PEOPLE
        if self.booked[id].state != "booked":
            return None
        self.booked[id] = msgspec.structs.replace(self.booked[id], state="cancelled")
        return self.booked[id]


def _in(instrument: str | None, instruments: Collection[str | None] | None) -> bool:
    return instruments is None or instrument in instruments


def _after(moment: str, at_ms: int | None) -> bool:
    return at_ms is None or moment > rfc3339(at_ms)


def _before(moment: str, at_ms: int | None) -> bool:
    return at_ms is None or moment < rfc3339(at_ms)


def _part(found: list[_Row], wanted: SessionQuery | AlertQuery | BookingQuery) -> tuple[Sequence[_Row], int]:
    return found[wanted.offset : wanted.offset + wanted.limit], len(found)
