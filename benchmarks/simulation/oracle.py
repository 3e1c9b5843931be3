"""What should have come of a simulation: sessions and alerts by what was heard, ledger and bills by what happened."""

import heapq
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from benchmarks.simulation.access_oracle import Standings, end_s, start_s, theirs
from benchmarks.simulation.bill_oracle import amounts, minute_prices, rounded
from benchmarks.simulation.ledger_oracle import (
    CATEGORIES,
    fires,
    fires_singly,
    intrusion_by_second,
    ledger,
    sessions_by_second,
)
from benchmarks.simulation.seconds import (
    ACTIVE,
    OFFLINE,
    ONLINE,
    Codes,
    Flags,
    Messages,
    Physical,
    link_by_second,
    physical,
    sort_out,
)
from benchmarks.simulation.session_oracle import Life
from benchmarks.simulation.site import START_S, Equipment, Site
from benchmarks.simulation.slot_oracle import Session
from benchmarks.simulation.trace import Trace
from twin.alerts import AlertKind
from twin.parties import Booking
from twin.policy import AtSlotEnd
from twin.tariffs import Allowance, Fund


@dataclass(frozen=True)
class Bill:
    """What a session costs, in CNY."""

    gross_cny: Decimal
    allowance_cny: Decimal
    subsidy_cny: Decimal
    net_cny: Decimal


@dataclass(frozen=True)
class Use:
    """A session as it went into the books; s since the epoch."""

    user: str
    opened_s: int
    ended_s: int | None
    reason: str | None
    bill: Bill | None
    """None: it has not ended."""


@dataclass(frozen=True)
class Story:
    """What became of one instrument."""

    uses: tuple[Use, ...]
    alerts: tuple[tuple[int, AlertKind], ...]
    """When each began to fire, s since the epoch."""
    ledger: npt.NDArray[np.int8]
    """Of each second, the index of its category in `CATEGORIES`."""


@dataclass(frozen=True)
class _Lived:
    one: Equipment
    messages: Messages
    live: Physical
    link: Codes
    life: Life
    bookings: list[Booking]


def tell_stories(trace: Trace) -> dict[str, Story]:
    """By instrument, what should have become of it."""
    standings = Standings(trace.site)
    lived = [_prepare(trace, one, standings) for one in trace.site.equipment]
    _live(lived)
    books = {each.one.fact.code: _book(each, trace.site.seconds) for each in lived}
    bills = _bill(lived, books, trace.site, standings)
    return {
        code: Story(_uses(each, bills), _alerts(each), books[code]) for each in lived for code in [each.one.fact.code]
    }


def _prepare(trace: Trace, one: Equipment, standings: Standings) -> _Lived:
    heard = trace.heard(one.fact.controller)
    asked = trace.asked(one.fact.code)
    messages = sort_out(heard, one.policy)
    live = physical(messages.live, one, trace.site.seconds)
    link = link_by_second(messages, one.policy, trace.site.seconds)
    told = sorted([*heard, *asked], key=lambda each: each.number)
    commands = [each for each in trace.commands if each.controller == one.fact.controller]
    bookings = [each for each in trace.site.bookings if each.instrument == one.fact.code]
    life = Life(
        one,
        live=live,
        link=link.tobytes(),
        messages=messages,
        told=told,
        commands=commands,
        bookings=bookings,
        standings=standings,
    )
    return _Lived(one, messages, live, link, life, bookings)


def _live(lived: list[_Lived]) -> None:
    """All lives side by side: whoever has something to decide first, decides first."""
    lives = [each.life.live() for each in lived]
    agenda = [(next(life, None), number) for number, life in enumerate(lives)]
    queue = [(at_s, number) for at_s, number in agenda if at_s is not None]
    heapq.heapify(queue)
    while queue:
        _, number = heapq.heappop(queue)
        at_s = next(lives[number], None)
        if at_s is not None:
            heapq.heappush(queue, (at_s, number))


def _book(each: _Lived, seconds: int) -> npt.NDArray[np.int8]:
    return ledger(each.one, each.messages, each.life.sessions, seconds)


def _bill(
    lived: list[_Lived], books: dict[str, npt.NDArray[np.int8]], site: Site, standings: Standings
) -> dict[tuple[str, int], Bill]:
    """In the order in which the sessions ended; each takes from what those before it have left."""
    left_min = {each.project.id: each.free_min for each in site.projects}
    left_cny = {each.project.id: each.fund.left_cny for each in site.projects}
    bills: dict[tuple[str, int], Bill] = {}
    told = {code: book.tobytes() for code, book in books.items()}
    ended = [
        (session.ended_s, each.one, session) for each in lived for session in each.life.sessions if session.ended_s
    ]
    for ended_s, one, session in sorted(ended, key=lambda each: (each[0], each[1].fact.code)):
        project = standings.project(session.person.user.id)
        name = project.project.id
        tariff, payer = one.fact.prices.versions[0], session.person.payer
        prices = minute_prices(
            lambda second, book=told[one.fact.code]: CATEGORIES[book[second - START_S]],  # type: ignore[misc]  # bound early
            START_S + session.opened_s,
            START_S + ended_s,
            tariff,
            payer,
            zone=one.fact.opening.zone,
        )
        fund = Fund(project.fund.share_percent, left_cny[name])
        gross, allowance, subsidy = amounts(prices, tariff, payer, Allowance(left_min[name]), fund)
        lines = rounded(gross), rounded(allowance), rounded(subsidy)
        left_min[name] -= min(left_min[name], len(prices))
        left_cny[name] -= lines[2]
        bills[one.fact.code, session.opened_s] = Bill(*lines, lines[0] - lines[1] - lines[2])
    return bills


def _uses(each: _Lived, bills: dict[tuple[str, int], Bill]) -> tuple[Use, ...]:
    return tuple(_use(session, bills.get((each.one.fact.code, session.opened_s))) for session in each.life.sessions)


def _use(session: Session, bill: Bill | None) -> Use:
    ended_s = None if session.ended_s is None else START_S + session.ended_s
    return Use(session.person.user.id, START_S + session.opened_s, ended_s, session.reason, bill)


def _alerts(each: _Lived) -> tuple[tuple[int, AlertKind], ...]:
    policy, life, link = each.one.policy, each.life, each.link
    opened, cooling = sessions_by_second(life.sessions, len(link))
    quiet = opened & (each.live.power != ACTIVE) & ~each.live.occupied & each.one.metered
    intrusion = intrusion_by_second(each.live, opened, cooling, policy.confirm_ms // 1000)
    clear_s = policy.clear_ms // 1000

    def of(holds: Flags, for_ms: int, *, stands_still: bool) -> list[int]:
        return fires(holds, link, for_s=for_ms // 1000, clear_s=clear_s, stands_still=stands_still)

    fired = {
        AlertKind.POWER_WITHOUT_SESSION: of(intrusion, policy.intrusion_for_ms, stands_still=True),
        AlertKind.IDLE_SESSION: of(quiet, policy.idle_for_ms, stands_still=True),
        AlertKind.CONTROLLER_OFFLINE: of(link == OFFLINE, policy.offline_for_ms, stands_still=False),
        AlertKind.OVERRUN: of(_in_others_slots(each), policy.overrun_for_ms, stands_still=False),
        AlertKind.COMMAND_FAILED: fires_singly(life.failures, clear_s=clear_s),
        AlertKind.NO_SHOW: fires_singly(life.slots.no_shows, clear_s=clear_s),
        AlertKind.UNSAFE_TO_CUT: fires_singly(_heard_unsafe(each), clear_s=clear_s),
    }
    return tuple(
        sorted((START_S + at_s, kind) for kind, moments in fired.items() for at_s in moments if at_s < len(link))
    )


def _heard_unsafe(each: _Lived) -> list[int]:
    """When a cooldown that ran out could be told: with the link online, and the instrument still working by then."""
    moments = []
    for ran_out_s in each.life.unsafe:
        told_s = next((s for s in range(ran_out_s, len(each.link)) if each.link[s] == ONLINE), None)
        if told_s is not None and each.live.power[told_s] == ACTIVE:
            moments.append(told_s)
    return moments


def _in_others_slots(each: _Lived) -> Flags:
    """When a session was open in the slot of somebody who is not of its people, as long as that booking stood."""
    inside = np.zeros(len(each.link), np.bool_)
    if each.one.policy.at_slot_end is not AtSlotEnd.ALERT:
        return inside
    shows = each.life.slots.freed
    for session in each.life.sessions:
        until_s = len(inside) if session.ended_s is None else session.ended_s
        for booking in each.bookings:
            if not theirs(session.person, booking) and start_s(booking) > session.requested_s:
                over_s = min(end_s(booking), shows.get(booking.id, len(inside)), until_s)
                since_s = max(start_s(booking), session.opened_s)
                inside[since_s : max(since_s, over_s)] = True
    return inside
