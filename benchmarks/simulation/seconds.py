"""A controller's messages, laid out second by second: as they were heard, and as they happened.

Second `s` is `[s, s + 1)`, counted from the start of the simulation. Values are those after everything of that second.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from benchmarks.simulation.site import START_S, Equipment
from benchmarks.simulation.trace import Heard, Spoken, spoken
from twin.events import Ack, Birth, Card, Death, Reading
from twin.policy import Policy

Codes: TypeAlias = npt.NDArray[np.int8]
Flags: TypeAlias = npt.NDArray[np.bool_]

NEVER, ONLINE, STALE, OFFLINE = range(4)
OFF, STANDBY, ACTIVE = range(3)
UNSAID: Final = -1


@dataclass(frozen=True)
class Counted:
    """A message that counts, with the second that it tells of and the one in which it was received."""

    at_s: int
    received_s: int
    message: Spoken

    @property
    def key(self) -> tuple[int, str, int]:
        """Its place in time."""
        return self.at_s, self.message.boot, self.message.seq

    @property
    def buffered(self) -> bool:
        """Was it kept while there was no connection?"""
        return isinstance(self.message, Reading | Card) and self.message.hist


@dataclass(frozen=True)
class Messages:
    """What one controller said, once each."""

    told: list[Counted]
    live: list[Counted]
    """Those newer than all before them."""
    deaths: list[int]
    """Of the boot that was current."""


@dataclass(frozen=True)
class Physical:
    """An instrument's measured values second by second."""

    raw: Codes
    power: Codes
    """The class, with its hold."""
    occupied: Flags
    """With its hold; False where nobody can say."""
    relay: Codes
    """As reported: 0, 1 or `UNSAID`."""


def sort_out(heard: Iterable[Heard], policy: Policy) -> Messages:
    """Which messages count, which move live state, and when the controller died."""
    told: list[Counted] = []
    live: list[Counted] = []
    deaths: list[int] = []
    identities = set()
    for each in heard:
        received_s = each.at_s - START_S
        if isinstance(each.message, Death):
            if live and live[-1].message.boot == each.message.boot:
                deaths.append(received_s)
            continue
        message = spoken(each.message)
        if (message.boot, message.seq) in identities:
            continue
        identities.add((message.boot, message.seq))
        counted = Counted(_time_of(message, each.at_s, policy) - START_S, received_s, message)
        told.append(counted)
        if not counted.buffered and (not live or counted.key > live[-1].key):
            live.append(counted)
    return Messages(told, live, deaths)


def _time_of(message: Spoken, received_s: int, policy: Policy) -> int:
    said_s = message.ts // 1000
    hist = isinstance(message, Reading | Card) and message.hist
    return said_s if hist or abs(said_s - received_s) <= policy.clock_tolerance_ms // 1000 else received_s


def link_by_second(messages: Messages, policy: Policy, seconds: int) -> Codes:
    """The live link, by receive time."""
    link = np.full(seconds, NEVER, np.int8)
    heard = [each.received_s for each in messages.told]
    stale_s, offline_s = policy.stale_after_ms // 1000, policy.offline_after_ms // 1000
    for moment_s, until_s in zip(heard, [*heard, seconds][1:], strict=True):
        link[moment_s:until_s] = OFFLINE
        link[moment_s : min(moment_s + offline_s, until_s)] = STALE
        link[moment_s : min(moment_s + stale_s, until_s)] = ONLINE
        for death_s in messages.deaths:
            if moment_s <= death_s < until_s:
                link[death_s:until_s] = OFFLINE
    return link


def known_by_second(messages: Messages, policy: Policy, seconds: int) -> Flags:
    """For which seconds some message vouches, however late it came.

    A message vouches for `stale_after` from the time it tells of and from its receipt, unless the controller died after
    it was received; a buffered one also for the time since the message before it of the same boot, if not longer ago.
    """
    known = np.zeros(seconds, np.bool_)
    stale_s = policy.stale_after_ms // 1000
    for each in messages.told:
        for since_s in {each.at_s, each.received_s}:
            until_s = min([since_s + stale_s, *(death for death in messages.deaths if death >= each.received_s)])
            known[since_s : max(since_s, until_s)] = True
    ordered = sorted(messages.told, key=lambda each: each.key)
    for earlier, later in pairwise(ordered):
        near = later.at_s - earlier.at_s <= stale_s
        if later.buffered and near and later.message.boot == earlier.message.boot:
            known[earlier.at_s : later.at_s] = True
    return known


def physical(told: Iterable[Counted], one: Equipment, seconds: int) -> Physical:
    """What these messages, in the order of their times, say of the instrument."""
    policy = one.policy
    ordered = sorted(told, key=lambda each: each.key)
    readings = [(each.at_s, each.message) for each in ordered if isinstance(each.message, Reading)]
    raw = _steps([(at_s, _raw(reading.power_w, policy)) for at_s, reading in readings], OFF, seconds)
    occupied = _steps(
        [(at_s, int(reading.occupied)) for at_s, reading in readings if reading.occupied is not None], 0, seconds
    )
    relays = [(each.at_s, each.message.relay) for each in ordered if isinstance(each.message, Reading | Ack | Birth)]
    return Physical(
        raw,
        _held(raw, policy.power_hold_ms // 1000),
        _held(occupied, policy.vacancy_hold_ms // 1000).astype(np.bool_),
        _steps([(at_s, int(relay)) for at_s, relay in relays if relay is not None], UNSAID, seconds),
    )


def _raw(watts: float, policy: Policy) -> int:
    if watts >= policy.active_w:
        return ACTIVE
    return STANDBY if watts >= policy.standby_w else OFF


def _steps(changes: list[tuple[int, int]], before: int, seconds: int) -> Codes:
    """A value that holds until the next one."""
    line = np.full(seconds, before, np.int8)
    ends = [*(at_s for at_s, _ in changes), seconds][1:]
    for (at_s, value), until_s in zip(changes, ends, strict=True):
        line[at_s:until_s] = value
    return line


def _held(line: Codes, hold_s: int) -> Codes:
    """The highest value in force at any moment of `(s - hold, s]`: that which second `s - hold` began with included."""
    held = line.copy()
    for back_s in range(1, hold_s + 1):
        np.maximum(held[back_s:], line[:-back_s], out=held[back_s:])
    return held
