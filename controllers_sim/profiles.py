"""What instruments draw: each a sum of physical loads that depend on how long it has been on and in use.

A pure function of seed, time and use, so that any moment can be asked for in any order and gives the same watts again:
no simulated second has to pass to know the next one. The figures are typical nameplate and log-book values of
laboratory instruments, in W and s; each instrument differs by up to 8% from its type.
"""

from dataclasses import dataclass
from enum import Enum
from math import exp
from typing import assert_never

MS = 1000
_MASK = (1 << 64) - 1


class While(Enum):
    """When a load is there: as long as the instrument is switched on, or as long as it is being used."""

    ON = "on"
    USED = "used"


@dataclass(frozen=True, slots=True)
class Steady:
    """A constant load that rises to `power_w` with the time constant `rise_s`."""

    during: While
    power_w: float
    rise_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Fading:
    """Extra power at the start that dies away: charging capacitors, pumping down, striking a lamp."""

    during: While
    power_w: float
    fall_s: float


@dataclass(frozen=True, slots=True)
class Cycling:
    """A thermostat's load: `duty` of every `period_s`, each time with an inrush that lasts about half a second."""

    during: While
    power_w: float
    period_s: float
    duty: float
    inrush_w: float = 0.0
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Steps:
    """A programme of (seconds, W), repeated."""

    during: While
    steps: tuple[tuple[float, float], ...]


Load = Steady | Fading | Cycling | Steps


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A type of instrument; each is there once, so it is compared by identity (and cheap as a key).

    `trickle_w` is drawn while it is plugged in and switched off. `always_on` types are never switched off by people.
    `visit_min` is how long one use typically takes, `noise` the standard deviation as a share of the power.
    """

    name: str
    model: str
    trickle_w: float
    loads: tuple[Load, ...]
    noise: float
    always_on: bool
    visit_min: float


@dataclass(frozen=True, slots=True)
class Use:
    """How an instrument is being used: since when it is on and in use, ms; None where it is not."""

    on_since_ms: int | None = None
    used_since_ms: int | None = None


ON, USED = While.ON, While.USED

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            "sem", "scanning electron microscope", 18, noise=0.012, always_on=True, visit_min=110,
            loads=(
                Steady(ON, 410),  # electronics, turbo pump, ion getter pump
                Fading(ON, 900, 0.8),
                Fading(ON, 620, 240),  # pumping the column down
                Cycling(ON, 340, 900, 0.11, inrush_w=1300),  # roughing pump
                Steady(USED, 780, 12),  # high voltage, detectors, stage
                Cycling(USED, 160, 75, 0.3),  # chiller of the lenses
            ),
        ),
        Profile(
            "xrd", "X-ray diffractometer", 12, noise=0.008, always_on=True, visit_min=95,
            loads=(
                Steady(ON, 240),
                Fading(ON, 1500, 0.5),
                Cycling(ON, 520, 420, 0.22, inrush_w=1600),  # chiller
                Steady(USED, 1900, 45),  # tube at 40 kV, 40 mA, ramped up
                Cycling(USED, 480, 140, 0.5, inrush_w=900),
            ),
        ),
        Profile(
            "furnace", "tube furnace", 3, noise=0.01, always_on=False, visit_min=300,
            loads=(
                Steady(ON, 28),
                Steady(USED, 650, 1500),  # losses grow as it gets hot
                Fading(USED, 3300, 1800),  # heating up
                Cycling(USED, 1100, 24, 0.42, after_s=2700),  # holding the temperature
            ),
        ),
        Profile(
            "centrifuge", "refrigerated centrifuge", 4, noise=0.02, always_on=False, visit_min=28,
            loads=(
                Steady(ON, 46),
                Cycling(ON, 290, 480, 0.35, inrush_w=1100),  # cooling
                Steps(USED, ((60, 0), (70, 1550), (720, 620), (45, 90), (150, 0))),  # load, spin up, run, brake, unload
            ),
        ),
        Profile(
            "hplc", "liquid chromatograph", 6, noise=0.015, always_on=True, visit_min=150,
            loads=(
                Steady(ON, 31),
                Fading(ON, 190, 4),  # deuterium lamp
                Steady(USED, 105, 20),  # pumps, detector
                Cycling(USED, 130, 40, 0.35),  # column oven
                Steps(USED, ((18, 65), (702, 0))),  # injection every 12 min
            ),
        ),
        Profile(
            "freezer", "-80 °C freezer", 9, noise=0.02, always_on=True, visit_min=6,
            loads=(
                Steady(ON, 14),
                Cycling(ON, 640, 1560, 0.46, inrush_w=2300),
                Cycling(ON, 310, 1560, 0.40, inrush_w=900),  # second stage
                Steady(USED, 220, 30),  # warm air has come in
            ),
        ),
        Profile(
            "workstation", "analysis workstation", 2.4, noise=0.05, always_on=False, visit_min=85,
            loads=(
                Steady(ON, 68),
                Fading(ON, 120, 25),  # starting up
                Steady(USED, 70, 5),
                Steps(USED, ((95, 30), (140, 210), (40, 60), (310, 15))),  # reconstruction, then looking at it
            ),
        ),
    )
}  # fmt: skip


def power_w(profile: Profile, seed: int, t_ms: int, use: Use) -> float:
    """Give the watts at `t_ms` as a meter would show them, averaged over a second, never below 0."""
    if use.on_since_ms is None or t_ms < use.on_since_ms:
        return _metered(profile.trickle_w, profile.noise, seed, t_ms)
    used_since_ms = use.used_since_ms
    used_s = None if used_since_ms is None or t_ms < used_since_ms else (t_ms - used_since_ms) / MS
    on_s = (t_ms - use.on_since_ms) / MS
    total_w = sum(_load_w(load, on_s if load.during is ON else used_s, seed) for load in profile.loads)
    spread = 0.92 + 0.16 * _uniform(seed, 0)
    return _metered(total_w * spread, profile.noise, seed, t_ms)


def _load_w(load: Load, age_s: float | None, seed: int) -> float:
    if age_s is None:
        return 0.0
    match load:
        case Steady():
            return load.power_w * (1 - exp(-age_s / load.rise_s)) if load.rise_s else load.power_w
        case Fading():
            return load.power_w * exp(-age_s / load.fall_s)
        case Cycling():
            return _cycling_w(load, age_s, seed)
        case Steps():
            return _step_w(load, age_s)
        case _:
            assert_never(load)


def _cycling_w(load: Cycling, age_s: float, seed: int) -> float:
    if age_s < load.after_s:
        return 0.0
    # Instruments of one type must not beat in step, so each has its own period and its own phase.
    period_s = load.period_s * (0.85 + 0.3 * _uniform(seed, 1))
    phase_s = (age_s + period_s * _uniform(seed, 2)) % period_s
    if phase_s >= load.duty * period_s:
        return 0.0
    return load.power_w + (load.inrush_w * exp(-phase_s / 0.5) if load.inrush_w else 0.0)


def _step_w(load: Steps, age_s: float) -> float:
    rest_s = age_s % sum(seconds for seconds, _ in load.steps)
    for seconds, power_w in load.steps:
        if rest_s < seconds:
            return power_w
        rest_s -= seconds
    return 0.0


def _metered(power_w: float, noise: float, seed: int, t_ms: int) -> float:
    # Three uniform draws added are near enough to a bell curve for a meter's noise.
    draws = _mix(seed ^ (t_ms // MS << 20))
    bell = ((draws & 0xFFFF) + (draws >> 16 & 0xFFFF) + (draws >> 32 & 0xFFFF)) / 0x8000 - 3.0
    return max(0.0, power_w * (1 + noise * bell))


def _uniform(seed: int, salt: int) -> float:
    return (_mix(seed * 8 + salt) >> 11) / (1 << 53)


def _mix(value: int) -> int:
    """Scramble 64 bits (the finaliser of SplitMix64): the same input always gives the same noise."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK
    return value ^ value >> 31
