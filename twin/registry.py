"""The registry in memory: what is catalogued, which controller stands for which instrument, by which policy."""

import sys
from collections.abc import Mapping, Sequence

import msgspec

from twin import interface
from twin.fitted import fitted
from twin.layering import load_layers
from twin.models.registry import Platform
from twin.policy import Policy
from twin.store import Ids
from twin.store.tables import table_rows

_INSTRUMENTS = """
SELECT instrument.code, instrument.name_zh, instrument.name_en, model, place, platform.code AS platform, category,
    value_cny::text AS value_cny, in_service_since::text AS in_service_since, controller.name AS controller
FROM instrument JOIN platform ON platform.id = platform_id
    LEFT JOIN controller ON controller.instrument_id = instrument.id ORDER BY instrument.code
"""


class Connected(msgspec.Struct, frozen=True, gc=False):
    """An instrument with a controller."""

    controller: str
    instrument: str
    ids: Ids
    policy: Policy
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
    layers = await load_layers()
    connected = {
        each.controller: Connected(each.controller, each.code, each.ids, each.policy, each.grant_key)
        async for each in fitted(layers)
    }
    instruments = [_instrument(row) async for row in table_rows(_INSTRUMENTS)]
    return Registry(
        platforms=_parents_first([_platform(each) for each in platforms]),
        instruments={each.code: each for each in instruments},
        connected=connected,
        controllers={each.instrument: each.controller for each in connected.values()},
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


def _instrument(row: Mapping[str, str | None]) -> interface.Instrument:
    """Names, models and places are those of many: each text is one value in memory."""
    texts = {name: None if value is None else sys.intern(value) for name, value in row.items()}
    return msgspec.convert(texts, interface.Instrument)
