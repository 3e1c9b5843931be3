"""Scenarios: who takes part and what happens, from a TOML file, checked before anything starts."""

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from controllers_sim.broker import BrokerTable
from controllers_sim.durations import duration_ms
from controllers_sim.errors import SimulatorError
from controllers_sim.faults import Faults
from controllers_sim.manners import MAX_MISCHIEF
from controllers_sim.plan import Booking, CardUid, read_plan
from controllers_sim.profiles import PROFILES
from controllers_sim.wire import CONTROLLER_ID

Demand = Annotated[float, msgspec.Meta(ge=0, le=5)]
Mischief = Annotated[float, msgspec.Meta(ge=0, le=MAX_MISCHIEF)]
RelayStart = Literal["on", "off", "none"]
MAX_HISTORY_MS = 30 * 24 * 3_600_000
NEVER_CUT = ("freezer", "workstation")
"""Profiles that no session switches: samples would thaw, files would be lost."""
ADVICE = "Every key and an example are in controllers_sim/README.md."


class ControllerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[controllers]]` table: a profile, or a recorded trace to be replayed at its time of day.

    With a password it connects by an account of its own whose name is its id; with the key that it shares with the
    service it believes the grants that it is told. `demand` 1 is a usual number of free
    visits; with `bookings`, be they none, people follow these instead (a recorded trace has no people).
    """

    id: Annotated[str, msgspec.Meta(pattern=CONTROLLER_ID)]
    password: str | None = None
    profile: str | None = None
    trace: str | None = None
    relay: RelayStart | None = None
    demand: Demand = 1.0
    bookings: tuple[Booking, ...] | None = None
    grant_key: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None

    def __post_init__(self) -> None:
        if (self.profile is None) == (self.trace is None):
            raise ValueError(f"{self.id}: give either profile or trace")
        if self.profile is not None and self.profile not in PROFILES:
            raise ValueError(f"{self.id}: profile {self.profile!r} is none of {', '.join(PROFILES)}")

    @property
    def relay_at_start(self) -> RelayStart:
        """How the relay is delivered: as said, else open where sessions decide, else closed."""
        if self.relay is not None:
            return self.relay
        if self.bookings is None or self.trace is not None:
            return "on"
        return "none" if self.profile in NEVER_CUT else "off"


class ServiceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[service]` table of a scenario: where to book, by whom, with which card, and how often on average."""

    url: str
    username: str
    password: str
    card: CardUid
    every: str = "20m"

    def __post_init__(self) -> None:
        duration_ms(self.every)
        at = urlsplit(self.url)
        if at.scheme not in {"http", "https"} or not _is_loopback(at.hostname or ""):
            raise ValueError("url: an address on this machine is wanted, such as http://127.0.0.1:8080")


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole simulation. `interval` is the time between two readings of a controller, `seed` decides all chance.

    With `history` each controller has measured for so long before its first connection, and tells of it. `plan` is a
    file with the bookings of some controllers; `mischief` scales how often their people misbehave, 0 being never.
    With `service` one person books there meanwhile.
    """

    controllers: tuple[ControllerEntry, ...]
    seed: int = 1
    timezone: str = "Asia/Shanghai"
    interval: str = "1s"
    history: str | None = None
    plan: str | None = None
    mischief: Mischief = 1.0
    broker: BrokerTable | None = None
    service: ServiceTable | None = None
    faults: Faults = Faults()

    def __post_init__(self) -> None:
        zone(self.timezone)
        duration_ms(self.interval)
        self._check_history()
        ids = [entry.id for entry in self.controllers]
        twice = {name for name in ids if ids.count(name) > 1} if len(set(ids)) < len(ids) else set()
        if not ids or twice:
            raise ValueError(f"controllers: {', '.join(sorted(twice))} twice" if twice else "controllers: none given")

    def _check_history(self) -> None:
        try:
            history_ms = self.history_ms
        except ValueError as error:
            raise ValueError(f"history: {error}") from None
        if history_ms > MAX_HISTORY_MS:
            raise ValueError(f"history: {self.history} is too long: at most {MAX_HISTORY_MS // 3_600_000}h")

    @property
    def history_ms(self) -> int:
        """How long each controller has measured before its first connection, ms."""
        return 0 if self.history is None else duration_ms(self.history)


def zone(name: str) -> ZoneInfo:
    """Give a time zone.

    Raises:
        ValueError: there is none of that name.

    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"timezone: {name!r} is none; write a name such as Asia/Shanghai") from None


def read_scenario(path: Path) -> Scenario:
    """Read a scenario; plan and traces are found beside it.

    Raises:
        SimulatorError: it cannot be read, or a key is unknown, missing or wrong; it names the file and the key.

    """
    try:
        scenario = msgspec.toml.decode(path.read_bytes(), type=Scenario)
    except OSError as error:
        raise SimulatorError(f"{path}: cannot read the scenario: {error.strerror}.", ADVICE) from None
    except (msgspec.ValidationError, msgspec.DecodeError, ValueError) as error:
        raise SimulatorError(f"{path}: {_plain(error)}.", ADVICE) from None
    entries = tuple(_beside(path, entry) for entry in scenario.controllers)
    return _planned(path, msgspec.structs.replace(scenario, controllers=entries))


def made_up(ids: Sequence[str], seed: int) -> Scenario:
    """Make a scenario of these controllers: a mix of all profiles, some sought after and some hardly used."""
    rng = Random(seed)
    kinds = [name for name, share in _SHARES.items() for _ in range(share)]
    entries = (ControllerEntry(name, profile=rng.choice(kinds), demand=round(rng.uniform(0.3, 1.8), 2)) for name in ids)
    return Scenario(tuple(entries), seed=seed)


_SHARES = {"sem": 3, "xrd": 3, "furnace": 4, "centrifuge": 3, "hplc": 3, "freezer": 2, "workstation": 2}


def _beside(path: Path, entry: ControllerEntry) -> ControllerEntry:
    if entry.trace is None:
        return entry
    trace = path.parent / entry.trace
    if not trace.is_file():
        raise SimulatorError(f"{path}: {entry.id}: trace {trace} is not there.", ADVICE)
    return msgspec.structs.replace(entry, trace=str(trace))


def _planned(path: Path, scenario: Scenario) -> Scenario:
    if scenario.plan is None:
        return scenario
    plan = read_plan(path.parent / scenario.plan)
    unknown = sorted(plan.keys() - {entry.id for entry in scenario.controllers})
    if unknown:
        raise SimulatorError(f"{path}: the plan has bookings of {unknown[0]}, who does not take part.", ADVICE)
    entries = (
        msgspec.structs.replace(entry, bookings=plan.get(entry.id, entry.bookings)) for entry in scenario.controllers
    )
    return msgspec.structs.replace(scenario, controllers=tuple(entries))


def _plain(error: Exception) -> str:
    """Put a validation error as `problem, at controllers[2].relay`."""
    problem, _, where = str(error).partition(" - at `")
    key = where.removesuffix("`").removeprefix("$").removeprefix(".")
    return f"{problem}, at {key}" if key else problem


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
