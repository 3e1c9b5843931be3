"""The registry in memory: what is catalogued, which controller stands for which instrument, by which policy."""

from collections.abc import Sequence

import msgspec

from twin import interface
from twin.layering import Layers, load_layers
from twin.models.registry import Controller, Instrument, Platform
from twin.policy import Policy
from twin.store import Ids


class Connected(msgspec.Struct, frozen=True):
    """An instrument with a controller."""

    controller: str
    instrument: str
    ids: Ids
    policy: Policy
    password_hash: str
    grant_key: str
    """What its grants are signed with; empty: nothing yet."""


class Registry(msgspec.Struct, frozen=True):
    """A snapshot of the tables."""

    platforms: Sequence[interface.Platform]
    instruments: dict[str, interface.Instrument]
    connected: dict[str, Connected]
    """By controller."""
    controllers: dict[str, str]
    """Instrument to controller."""


async def load_registry() -> Registry:
    """Read the tables. Raises RegistryError where a stored policy is wrong."""
    platforms = await Platform.all().select_related("parent").order_by("id")
    instruments = await Instrument.all().select_related("platform").order_by("code")
    controllers = await Controller.all().select_related("instrument")
    layers = await load_layers()
    by_instrument = {each.instrument.code: each.name for each in controllers}
    return Registry(
        platforms=_parents_first([_platform(each) for each in platforms]),
        instruments={each.code: _instrument(each, by_instrument.get(each.code)) for each in instruments},
        connected={each.name: _connected(each, layers) for each in controllers},
        controllers=by_instrument,
    )


def _parents_first(platforms: list[interface.Platform]) -> list[interface.Platform]:
    levels = ("university", "college", "department")
    return sorted(platforms, key=lambda each: (levels.index(each.level), each.code))


def _platform(row: Platform) -> interface.Platform:
    parent = row.parent.code if row.parent else None
    return msgspec.convert(
        {"code": row.code, "name_zh": row.name_zh, "name_en": row.name_en, "level": row.level, "parent": parent},
        interface.Platform,
    )


def _instrument(row: Instrument, controller: str | None) -> interface.Instrument:
    return interface.Instrument(
        code=row.code,
        name_zh=row.name_zh,
        name_en=row.name_en,
        model=row.model,
        place=row.place,
        platform=row.platform.code,
        category=row.category,
        value_cny=f"{row.value_cny:.2f}",
        in_service_since=row.in_service_since.isoformat() if row.in_service_since else None,
        controller=controller,
    )


def _connected(row: Controller, layers: Layers) -> Connected:
    return Connected(
        controller=row.name,
        instrument=row.instrument.code,
        ids=Ids(row.id, row.instrument.id),
        policy=layers.policy(row.instrument),
        password_hash=row.password_hash,
        grant_key=row.grant_key or "",
    )
