"""Other policies and prices than those that were in force, read from files, laid over the facts of a log.

A file is TOML or JSON. What stands at its top is for every instrument, what stands in `[instrument.CODE]` for that one:

    idle_release_ms = 900_000        # a policy

    [instrument.SEM-1]
    grace_ms = 0

    night_percent = 50               # a tariff: what the night costs, in percent of what it did
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec.structs import replace

from twin.directory import Fact, InstrumentFact, SiteFact
from twin.policy import Policy, layered
from twin.tariffs import FEN, MAX_PERCENT, Band, PriceList, Rates, Tariff

_NIGHT_MIN, _DAY_MIN = 2 * 60, 14 * 60


class OverrideError(ValueError):
    """A file of policies or prices cannot be used; the message says why."""


class _Scales(msgspec.Struct, frozen=True):
    """Prices in percent of what they were."""

    rate_percent: Annotated[int, msgspec.Meta(ge=0, le=MAX_PERCENT)] = 100
    night_percent: Annotated[int, msgspec.Meta(ge=0, le=MAX_PERCENT)] = 100


class Overrides(msgspec.Struct, frozen=True):
    """What is to be tried."""

    policy: Mapping[str | None, Mapping[str, Any]] = {}
    """Policy values by instrument; None: for all."""
    prices: Mapping[str | None, Mapping[str, Any]] = {}
    """Changes to tariffs, likewise."""
    tariffs: Mapping[str, PriceList] = {}
    """Tariffs that take the place of those there were."""

    def applied(self, fact: Fact) -> Fact:
        """What is told instead of a fact.

        Raises:
            OverrideError: something cannot be.

        """
        try:
            match fact:
                case SiteFact():
                    return replace(fact, policy=_laid_over(fact.policy, self.policy.get(None, {})))
                case InstrumentFact():
                    return self._instrument(fact)
                case _:
                    return fact
        except msgspec.ValidationError as error:
            raise OverrideError(f"{fact.key}: {error}") from error

    def _instrument(self, fact: InstrumentFact) -> InstrumentFact:
        policy = _laid_over(fact.policy, self.policy.get(None, {}), self.policy.get(fact.code, {}))
        changes = {**self.prices.get(None, {}), **self.prices.get(fact.code, {})}
        versions = self.tariffs.get(fact.code, fact.prices).versions
        prices = PriceList(versions=tuple(changed_tariff(each, changes) for each in versions))
        return replace(fact, policy=policy, prices=prices)


def read_overrides(policy: Path | None, tariff: Path | None) -> Overrides:
    """What the files say.

    Raises:
        OverrideError: a file cannot be read, or says what cannot be.
        OSError: there is no such file.

    """
    policies, prices = _tables(policy, _POLICY_NAMES), {}
    tariffs: dict[str, PriceList] = {}
    if tariff is not None and isinstance(content := _content(tariff), list):
        tariffs = _price_lists(tariff, content)
    else:
        prices = _tables(tariff, _PRICE_NAMES)
    return Overrides(policies, prices, tariffs)


def changed_tariff(tariff: Tariff, changes: Mapping[str, Any]) -> Tariff:
    """A tariff with changes: `rate_percent` and `night_percent` are of what it says, all else takes its place.

    Raises:
        msgspec.ValidationError: it cannot be.

    """
    if not changes:
        return tariff
    scales = msgspec.convert({name: each for name, each in changes.items() if name in _SCALES}, _Scales)
    left = {name: each for name, each in changes.items() if name not in _SCALES}
    new = msgspec.convert({**msgspec.to_builtins(tariff), **left}, Tariff)
    rates = Rates(**{name: _percent(getattr(new.rates, name), scales.rate_percent) for name in Rates.__struct_fields__})
    bands = tuple(_night(each, scales.night_percent) for each in new.bands)
    return replace(new, rates=rates, bands=bands)


def _percent(amount: Decimal, percent: int) -> Decimal:
    return (amount * percent / 100).quantize(FEN, ROUND_HALF_UP)


def _night(band: Band, percent: int) -> Band:
    """A band of the night holds at 2:00 and not at 14:00."""
    if _holds(band, _NIGHT_MIN) and not _holds(band, _DAY_MIN):
        return replace(band, percent=(2 * band.percent * percent + 100) // 200)
    return band


def _holds(band: Band, minute: int) -> bool:
    if band.from_minute < band.until_minute:
        return band.from_minute <= minute < band.until_minute
    return minute >= band.from_minute or minute < band.until_minute


def _laid_over(policy: Policy, *overrides: Mapping[str, Any]) -> Policy:
    if not any(overrides):
        return policy
    return layered(msgspec.to_builtins(policy), *map(dict, overrides))


_POLICY_NAMES = frozenset(Policy.__struct_fields__)
_SCALES = frozenset(_Scales.__struct_fields__)
_PRICE_NAMES = frozenset(Tariff.__struct_fields__) - {"instrument", "from_ms"} | _SCALES


def _content(path: Path) -> Any:
    decode = msgspec.json.decode if path.suffix == ".json" else msgspec.toml.decode
    try:
        return decode(path.read_bytes())
    except msgspec.DecodeError as error:
        raise OverrideError(f"{path} cannot be read: {error}") from error


def _tables(path: Path | None, names: frozenset[str]) -> dict[str | None, Mapping[str, Any]]:
    """What is for all, and for each instrument."""
    if path is None:
        return {}
    content = _content(path)
    own = content.pop("instrument", {}) if isinstance(content, dict) else None
    if not isinstance(own, dict) or not all(isinstance(each, dict) for each in own.values()):
        raise OverrideError(f"{path}: settings of one instrument belong in a table [instrument.CODE]")
    tables: dict[str | None, Mapping[str, Any]] = {None: content, **own}
    if unknown := {name for table in tables.values() for name in table} - names:
        raise OverrideError(f"{path}: unknown name: {', '.join(sorted(unknown))}")
    return tables


def _price_lists(path: Path, content: Iterable[Any]) -> dict[str, PriceList]:
    """Tariffs written out, as they are registered."""
    versions: defaultdict[str, list[Tariff]] = defaultdict(list)
    try:
        for each in msgspec.convert(content, list[Tariff]):
            versions[each.instrument].append(each)
        ordered = {code: sorted(each, key=lambda tariff: tariff.from_ms) for code, each in versions.items()}
        return {code: PriceList(versions=tuple(each)) for code, each in ordered.items()}
    except ValueError as error:
        raise OverrideError(f"{path}: {error}") from error
