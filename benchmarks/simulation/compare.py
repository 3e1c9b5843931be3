"""One simulation after another, each held against the oracle: what both count, and where they disagree."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

import numpy as np

from benchmarks.simulation.fleet_subject import FleetSubject
from benchmarks.simulation.ledger_oracle import CATEGORIES
from benchmarks.simulation.oracle import Story, tell_stories
from benchmarks.simulation.site import START_S, Equipment, make_site
from benchmarks.simulation.world import simulate
from twin.alerts import AlertKind
from twin.state import Category

KINDS = frozenset(
    {
        AlertKind.POWER_WITHOUT_SESSION,
        AlertKind.IDLE_SESSION,
        AlertKind.CONTROLLER_OFFLINE,
        AlertKind.COMMAND_FAILED,
        AlertKind.NO_SHOW,
        AlertKind.UNSAFE_TO_CUT,
        AlertKind.OVERRUN,
    }
)
"""The kinds that the oracle has an opinion about."""


Charged: TypeAlias = Mapping[str, tuple[Decimal, Decimal]]
"""By session, gross and net."""


@dataclass
class Comparison:
    """What simulations came to."""

    seeds: list[int] = field(default_factory=list)
    instrument_days: int = 0
    messages: int = 0
    sessions: int = 0
    alerts: int = 0
    refolds: int = 0
    restarts: int = 0
    disagreements: list[str] = field(default_factory=list)


def compare(seed: int, instruments: int, days: int, into: Comparison) -> None:
    """Simulate the site of a seed, and note what fleet and oracle agree and disagree about."""
    site = make_site(seed, instruments, days)
    subject = FleetSubject(site)
    trace = simulate(site, subject)
    stories, charged = tell_stories(trace), subject.charged()
    into.seeds.append(seed)
    into.instrument_days += instruments * days
    into.messages += len(trace.told)
    into.refolds += subject.lab.refolded
    into.restarts += trace.restarts
    for one in site.equipment:
        story = stories[one.fact.code]
        into.sessions += len(story.uses)
        into.alerts += len(story.alerts)
        found = [
            *_sessions(one, story, subject, charged, calm=site.calm),
            *_alerts(one, story, subject),
            *_ledger(one, story, subject),
        ]
        into.disagreements += [f"seed {seed}, {one.fact.code}: {each}" for each in found]


def _sessions(one: Equipment, story: Story, subject: FleetSubject, charged: Charged, *, calm: bool) -> list[str]:
    told = {
        (record.user, (record.opened_ms or 0) // 1000): (
            None if record.ended_ms is None else record.ended_ms // 1000,
            None if record.reason is None else record.reason.value,
            _money(charged.get(record.id), calm=calm),
        )
        for record in subject.lab.sessions.values()
        if record.instrument == one.fact.code and record.opened_ms is not None
    }
    expected = {
        (use.user, use.opened_s): (
            use.ended_s,
            use.reason,
            _money(None if use.bill is None else (use.bill.gross_cny, use.bill.net_cny), calm=calm),
        )
        for use in story.uses
    }
    keys = sorted(told.keys() | expected.keys(), key=lambda key: key[1])
    return [
        f"session of {key[0]} at {_clock(key[1])}: {told.get(key)}, expected {expected.get(key)}"
        for key in keys
        if told.get(key) != expected.get(key)
    ]


def _money(charged: tuple[Decimal, Decimal] | None, *, calm: bool) -> tuple[Decimal, ...] | None:
    """What a session costs; what allowance and fund had left is certain only where nothing came late."""
    return charged if calm or charged is None else charged[:1]


def _alerts(one: Equipment, story: Story, subject: FleetSubject) -> list[str]:
    fired = {
        (record.fired_ms // 1000, record.alert.kind)
        for record in subject.lab.alerts.values()
        if record.instrument == one.fact.code and record.alert.kind in KINDS and record.fired_ms
    }
    differ = sorted(fired ^ set(story.alerts))
    return [f"{kind} at {_clock(at_s)}: {'fired' if (at_s, kind) in fired else 'expected'}" for at_s, kind in differ]


def _ledger(one: Equipment, story: Story, subject: FleetSubject) -> list[str]:
    book = np.full(len(story.ledger), CATEGORIES.index(Category.UNKNOWN), np.int8)
    for span in subject.lab.ledger(one.fact.controller):
        book[max(0, span.start_ms // 1000 - START_S) :] = CATEGORIES.index(span.category)
    differ = np.flatnonzero(book != story.ledger)
    if not len(differ):
        return []
    first = int(differ[0])
    found, expected = CATEGORIES[book[first]], CATEGORIES[story.ledger[first]]
    return [f"ledger: {len(differ)} s, the first at {_clock(first + START_S)}: {found}, expected {expected}"]


def _clock(at_s: int) -> str:
    """Day and time of the simulation."""
    passed = at_s - START_S
    return f"day {passed // 86_400} {passed % 86_400 // 3600:02}:{passed % 3600 // 60:02}:{passed % 60:02}"
