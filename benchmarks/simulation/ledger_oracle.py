"""The ledger second by second, by what happened; and the conditions of alerts, by what was heard."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.simulation.access_oracle import end_s
from benchmarks.simulation.seconds import (
    ACTIVE,
    OFF,
    ONLINE,
    Codes,
    Flags,
    Messages,
    Physical,
    known_by_second,
    physical,
)
from benchmarks.simulation.site import START_S, Equipment
from benchmarks.simulation.slot_oracle import Session
from twin.state import Category

CATEGORIES: Final = tuple(Category)


def sessions_by_second(sessions: Iterable[Session], seconds: int) -> tuple[Flags, Flags]:
    """When a session was open, and when one cooled down, by what was heard."""
    opened, cooling = np.zeros(seconds, np.bool_), np.zeros(seconds, np.bool_)
    for session in sessions:
        ended_s = seconds if session.ended_s is None else session.ended_s
        opened[session.opened_s : ended_s] = True
        cooling[ended_s : seconds if session.cooled_s is None else session.cooled_s] = True
    return opened, cooling


def intrusion_by_second(body: Physical, opened: Flags, cooling: Flags, confirm_s: int) -> Flags:
    """When an intrusion was confirmed: neither session nor cooldown, class active, and raw active for long enough.

    Raw active seconds count since the class became active or the session ended, those of a cooldown included.
    """
    confirmed = np.zeros(len(opened), np.bool_)
    for start, end in stretches((body.power == ACTIVE) & ~opened):
        counted = np.cumsum(body.raw[start:end] == ACTIVE)
        confirmed[start + int(np.searchsorted(counted, confirm_s)) + 1 : end] = True
    return confirmed & ~cooling


def stretches(flags: Flags) -> list[tuple[int, int]]:
    """From when and until when they hold."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def ledger(one: Equipment, messages: Messages, sessions: list[Session], seconds: int) -> npt.NDArray[np.int8]:
    """The index of each second's category in `CATEGORIES`. The first that matches wins: the last is written first."""
    policy = one.policy
    body = physical(messages.told, one, seconds)
    opened, _ = sessions_by_second(sessions, seconds)
    cooling = _cooling(sessions, body, one, seconds)
    book = np.full(seconds, CATEGORIES.index(Category.OFF), np.int8)

    def write(category: Category, where: Flags) -> None:
        book[where] = CATEGORIES.index(category)

    write(Category.STANDBY, body.power != OFF)
    write(Category.UNAUTHORISED, intrusion_by_second(body, opened, cooling, policy.confirm_ms // 1000))
    write(Category.COOLDOWN, cooling)
    works = (body.power == ACTIVE) if one.metered else np.ones(seconds, np.bool_)
    write(Category.IDLE, opened & ~works)
    write(Category.USE, opened & works)
    write(Category.OVERRUN, _overrun(sessions, policy.grace_ms // 1000, seconds))
    write(Category.UNKNOWN, ~known_by_second(messages, policy, seconds))
    for each in one.fact.downtimes:
        book[each.from_ms // 1000 - START_S : each.until_ms // 1000 - START_S] = CATEGORIES.index(Category.MAINTENANCE)
    return book


def _cooling(sessions: list[Session], body: Physical, one: Equipment, seconds: int) -> Flags:
    """From each session's end until the class is not active, the next session opens, or it has taken too long."""
    cooling = np.zeros(seconds, np.bool_)
    starts = [*(each.requested_s for each in sessions), seconds][1:]
    for session, next_s in zip(sessions, starts, strict=True):
        if session.ended_s is None or not one.metered:
            continue
        until_s = min(session.ended_s + one.policy.cooldown_max_ms // 1000, next_s)
        calm = np.flatnonzero(body.power[session.ended_s : until_s] != ACTIVE)
        cooling[session.ended_s : session.ended_s + int(calm[0]) if len(calm) else until_s] = True
    return cooling


def _overrun(sessions: list[Session], grace_s: int, seconds: int) -> Flags:
    overrun = np.zeros(seconds, np.bool_)
    for session in sessions:
        if session.booking is not None:
            ended_s = seconds if session.ended_s is None else session.ended_s
            since_s = max(session.opened_s, end_s(session.booking) + grace_s)
            overrun[since_s : max(since_s, ended_s)] = True
    return overrun


def fires(holds: Flags, link: Codes, *, for_s: int, clear_s: int, stands_still: bool) -> list[int]:
    """When an alert begins to fire whose condition holds in these seconds; if it does again as it ends, it goes on."""
    index = np.flatnonzero(link == ONLINE) if stands_still else np.arange(len(holds))
    told = holds[index]
    fired: list[int] = []
    cleared = 0
    active = False
    for start, end in stretches(told):
        if active and start - cleared > clear_s:
            active = False
        if not active and end - start >= max(for_s, 1):
            active = True
            fired.append(int(index[start + for_s - 1]) + 1 if for_s else int(index[start]))
        cleared = end
    return fired


def fires_singly(moments: Iterable[int], *, clear_s: int) -> list[int]:
    """When an alert about single events begins to fire."""
    fired: list[int] = []
    over = -1
    for moment in sorted(moments):
        if moment >= over:
            fired.append(moment)
        over = moment + clear_s
    return fired
