"""A small campus in memory: a complete `Service` that changes only when a test says so.

`python -m tests.unit.web.campus [port] [count]` serves it, lively, to be looked at in a browser.
"""

import asyncio
import random
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from math import sin
from typing import Any, cast
from zoneinfo import ZoneInfo

import msgspec

from tests.unit.web.desk import Desk
from twin.interface import (
    Health,
    Instrument,
    LedgerDay,
    LedgerSegment,
    Listener,
    Platform,
    PowerSeries,
)
from twin.state import Category, LinkState, OccupancyState
from twin.views import AlertBrief, ClassName, PowerView, RelayView, SessionBrief, TwinView, rfc3339

START_MS = 1_760_000_000_000
"""2025-10-09 16:53:20 in Shanghai."""
PLATFORMS = (
    Platform("ANALYSIS", "校级分析测试中心", "Analytical Centre", "university", None),
    Platform("MATERIALS", "材料学院平台", "School of Materials", "college", "ANALYSIS"),
    Platform("MICROSCOPY", "电镜室", "Microscopy Laboratory", "department", "MATERIALS"),
    Platform("HEAT", "热处理室", "Heat Treatment", "department", "MATERIALS"),
    Platform("CHEMISTRY", "化学学院平台", "School of Chemistry", "college", None),
    Platform("ENERGY", "能源平台", "Energy", "university", None),
)
KINDS = (
    ("SEM", "场发射扫描电镜", "Field-emission SEM", "Apreo 2S", "MICROSCOPY", 1450.0),
    ("TEM", "透射电子显微镜", "Transmission electron microscope", "Talos F200X", "MICROSCOPY", 3900.0),
    ("FUR", "箱式气氛炉", "Box atmosphere furnace", "KSL-1700X", "HEAT", 5200.0),
    ("XRD", "X射线衍射仪", "X-ray diffractometer", "SmartLab 9kW", "MATERIALS", 2600.0),
    ("LC", "高效液相色谱", "HPLC", "1260 Infinity II", "CHEMISTRY", 180.0),
    ("NMR", "核磁共振波谱仪", "NMR spectrometer 400 MHz", "Avance NEO", "CHEMISTRY", 900.0),
)
STATES = tuple(Category)
_WATTS = {Category.OFF: 0.4, Category.STANDBY: 21.0, Category.IDLE: 25.0, Category.COOLDOWN: 30.0}


class Campus(Desk):
    """Instruments of which all but every fifth have a controller. Accounts: `desk.PEOPLE`, password `right`."""

    def __init__(self, count: int = 15, clock_ms: int = START_MS) -> None:
        super().__init__(clock_ms)
        self.health_status: Health = Health("ok", {"broker": {"status": "ok"}, "database": {"status": "ok"}})
        self.listeners: list[Listener] = []
        self.ledgers_asked: list[tuple[str, date]] = []
        self.recent_asked = 0
        self._rev = 0
        self._instruments = {i.code: i for i in map(_instrument, range(count))}
        self._views: dict[str, TwinView] = {}
        for number, instrument in enumerate(self._instruments.values()):
            if instrument.controller is not None:
                self._views[instrument.code] = self._first_view(instrument, STATES[number % len(STATES)])

    @property
    def timezone(self) -> ZoneInfo:
        return ZoneInfo("Asia/Shanghai")

    def now_ms(self) -> int:
        return self.clock_ms

    def platforms(self) -> Sequence[Platform]:
        return PLATFORMS

    def instruments(self) -> Sequence[Instrument]:
        return list(self._instruments.values())

    def instrument(self, code: str) -> Instrument | None:
        return self._instruments.get(code)

    def views(self) -> Sequence[TwinView]:
        return [self._told(view) for view in self._views.values()]

    def view(self, code: str) -> TwinView | None:
        view = self._views.get(code)
        return None if view is None else self._told(view)

    def _told(self, view: TwinView) -> TwinView:
        """A twin with what stands at the desk."""
        session = self.running(view.instrument)
        brief = session and SessionBrief(session.id, "open", session.requested, session.due)
        firing = [alert for alert in self.firing.values() if alert.instrument == view.instrument]
        alerts = tuple(AlertBrief(a.id, a.kind, cast("Any", a.severity), a.since) for a in firing)
        return msgspec.structs.replace(view, session=brief or view.session, alerts=alerts)

    def touch(self, code: str | None) -> None:
        if code in self._views:
            self.change(code)

    def rev(self) -> int:
        return self._rev

    def listen(self, listener: Listener) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    async def ledger(self, code: str, day: date) -> LedgerDay:
        self.ledgers_asked.append((code, day))
        return _ledger_day(code, day, self.timezone, self.clock_ms)

    async def power(self, code: str, start_ms: int, end_ms: int, points: int) -> PowerSeries:
        step_s = (end_ms - start_ms) / 1000 / points
        mean_w = tuple(_mean_w(code, start_ms / 1000 + n * step_s) for n in range(points))
        max_w = tuple(None if w is None else w * 1.15 + 5 for w in mean_w)
        return PowerSeries(rfc3339(start_ms), rfc3339(end_ms), step_s, mean_w, max_w)

    async def recent_power(self, minutes: int) -> dict[str, tuple[float | None, ...]]:
        self.recent_asked += 1
        times = [self.clock_ms / 1000 - 60 * n for n in range(minutes, 0, -1)]
        return {code: tuple(_mean_w(code, t * 9) for t in times) for code in self._views}

    async def health(self) -> Health:
        return self.health_status

    def metrics(self) -> bytes:
        return b"# HELP twin_twins Twins\n# TYPE twin_twins gauge\ntwin_twins 12\n"

    def change(
        self, code: str, *, state: Category | None = None, watts: float | None = None, tell: bool = True
    ) -> None:
        """Change a twin, and tell the listeners unless they are to be told later."""
        self._rev += 1
        view = self._views[code]
        now = rfc3339(self.clock_ms)
        state = state or view.state
        self._views[code] = msgspec.structs.replace(
            view,
            state=state,
            since=view.since if state is view.state else now,
            power=msgspec.structs.replace(view.power, watts=view.power.watts if watts is None else watts),
            stale=state is Category.UNKNOWN,
            link=LinkState.OFFLINE if state is Category.UNKNOWN else LinkState.ONLINE,
            seen=now,
            rev=self._rev,
        )
        if tell:
            self.tell([code])

    def tell(self, codes: Sequence[str]) -> None:
        """Tell the listeners."""
        for listener in tuple(self.listeners):
            listener(codes)

    def add(self, instrument: Instrument) -> None:
        """List one more instrument, with a twin where it has a controller."""
        self._instruments[instrument.code] = instrument
        if instrument.controller is not None:
            self._rev += 1
            self._views[instrument.code] = self._first_view(instrument, Category.OFF)
            self.tell([instrument.code])

    def remove(self, code: str) -> None:
        """Take an instrument from the catalogue."""
        self._rev += 1
        del self._instruments[code]
        self._views.pop(code, None)
        self.tell([code])

    def _first_view(self, instrument: Instrument, state: Category) -> TwinView:
        unknown = state is Category.UNKNOWN
        watts = _WATTS.get(state, KINDS[int(instrument.code[-3:]) % len(KINDS)][5])
        since = rfc3339(self.clock_ms - 1000 * 60 * (7 + 41 * STATES.index(state)))
        power_class: ClassName = "active" if watts >= 40 else "standby" if watts >= 5 else "off"
        return TwinView(
            instrument=instrument.code,
            controller=instrument.controller or "",
            state=state,
            since=since,
            link=LinkState.OFFLINE if unknown else LinkState.ONLINE,
            link_since=since,
            seen=rfc3339(self.clock_ms - (600_000 if unknown else 4000)),
            stale=unknown,
            power=PowerView(watts, power_class, power_class, since),
            relay=RelayView(None, "off" if state is Category.OFF else "on"),
            occupancy=OccupancyState.OCCUPIED if state is Category.USE else OccupancyState.VACANT,
            occupancy_since=since,
            door="closed",
            intrusion="confirmed" if state is Category.UNAUTHORISED else "no",
            session=None,
            booking=None,
            alerts=(),
            rev=self._rev,
        )


def _instrument(number: int) -> Instrument:
    kind, name_zh, name_en, model, platform, _watts = KINDS[number % len(KINDS)]
    return Instrument(
        code=f"{kind}-{number:03d}",
        name_zh=name_zh,
        name_en=name_en,
        model=model,
        place=f"主楼 {300 + number}",
        platform=platform,
        category="010102",
        value_cny=f"{150 + 37 * number}000.00",
        in_service_since="2019-09-01",
        controller=None if number % 5 == 4 else f"c-{number:03d}",
    )


def _mean_w(code: str, at_s: float) -> float | None:
    """A made-up curve that is the same whenever it is asked for."""
    seed = sum(code.encode())
    if seed % 7 == 3 and at_s % 86_400 < 12_000:
        return None
    wave = sin(at_s / 3000 + seed) + 0.5 * sin(at_s / 611 + seed * 3)
    return round(max(2.0, 300 + 10 * (seed % 90) + 400 * wave), 1)


def _ledger_day(code: str, day: date, zone: ZoneInfo, now_ms: int) -> LedgerDay:
    """A day cut at fixed hours, up to now."""
    midnight = datetime.combine(day, time(), zone)
    end = min(datetime.combine(day + timedelta(days=1), time(), zone), datetime.fromtimestamp(now_ms / 1000, zone))
    cuts = (
        (0, Category.OFF),
        (7.5, Category.STANDBY),
        (8.2, Category.USE),
        (11.4, Category.IDLE),
        (12, Category.UNKNOWN),
        (12.6, Category.USE),
        (15, Category.OVERRUN),
        (15.4, Category.COOLDOWN),
        (16, Category.UNAUTHORISED),
        (16.3, Category.MAINTENANCE),
        (19, Category.OFF),
    )
    starts = [(midnight + timedelta(hours=hour), category) for hour, category in cuts]
    ends = [*(start for start, _ in starts[1:]), end]
    segments = tuple(
        LedgerSegment(
            start.isoformat(), min(stop, end).isoformat(), category, (min(stop, end) - start) / timedelta(minutes=1)
        )
        for (start, category), stop in zip(starts, ends, strict=True)
        if start < end
    )
    minutes = {c: sum(s.minutes for s in segments if s.category is c) for c in Category}
    return LedgerDay(code, day.isoformat(), "Asia/Shanghai", segments, minutes, sum(minutes.values()))


def _now_ms() -> int:
    return round(datetime.now().astimezone().timestamp() * 1000)


async def _live(campus: Campus) -> None:
    chance = random.Random(1)  # noqa: S311 - only to look lively
    while True:
        await asyncio.sleep(0.1)
        campus.clock_ms = _now_ms()
        for view in chance.sample(campus.views(), min(5, len(campus.views()))):
            watts = max(0.0, (view.power.watts or 0) * chance.uniform(0.9, 1.1) + chance.uniform(-1, 1))
            state = chance.choice(STATES) if chance.random() < 0.02 else None
            campus.change(view.instrument, watts=round(watts, 1), state=state)


async def _main(port: int, count: int) -> None:
    from web.app import create_app  # noqa: PLC0415
    from web.server import serving  # noqa: PLC0415

    campus = Campus(count, _now_ms())
    for number, view in enumerate(campus.views()):
        if view.state in {Category.USE, Category.IDLE, Category.OVERRUN}:
            campus.begin(view.instrument, ("li", "wang", "keeper")[number % 3], ago_min=number + 5)
        if view.state is Category.UNAUTHORISED:
            campus.fire(view.instrument, "POWER_WITHOUT_SESSION", "critical")
        if view.state is Category.IDLE:
            campus.fire(view.instrument)
    async with serving(create_app(campus), "127.0.0.1", port) as bound:
        sys.stdout.write(f"http://127.0.0.1:{bound}\n")
        sys.stdout.flush()
        await _live(campus)


if __name__ == "__main__":
    asyncio.run(_main(int((sys.argv[1:] or ["8765"])[0]), int((sys.argv[2:] or ["63"])[0])))
