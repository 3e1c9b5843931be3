"""The instruments that have a controller, as the tables have them: what many have in common is one value in memory."""

import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from twin.hours import OpeningHours
from twin.layering import Layers
from twin.policy import Policy
from twin.store import Ids
from twin.store.tables import table_rows

_FITTED = """
SELECT controller.id AS controller_id, controller.name AS controller, instrument.id AS instrument_id, instrument.code,
    platform_id, platform.code AS platform, instrument.policy::text AS policy, instrument.opening::text AS opening,
    grant_key
FROM controller JOIN instrument ON instrument.id = instrument_id JOIN platform ON platform.id = platform_id
ORDER BY instrument.code
"""


class _Placed(msgspec.Struct, frozen=True):
    """What `Layers` asks for."""

    code: str
    platform_id: int
    policy: dict[str, Any]
    opening: dict[str, Any] | None


class Fitted(msgspec.Struct, frozen=True):
    """An instrument with a controller."""

    code: str
    controller: str
    platform: str
    ids: Ids
    policy: Policy
    opening: OpeningHours
    grant_key: str
    """What its grants are signed with; empty: nothing yet."""


async def fitted(layers: Layers) -> AsyncIterator[Fitted]:
    """All of them, by code. Raises RegistryError where what is set for one is wrong."""
    settings: dict[tuple[int, str, str | None], tuple[Policy, OpeningHours]] = {}
    async for row in table_rows(_FITTED):
        key = row["platform_id"], row["policy"], row["opening"]
        if key not in settings:
            placed = _placed(row["code"], *key)
            settings[key] = layers.policy(placed), layers.opening(placed)
        policy, opening = settings[key]
        yield Fitted(
            code=sys.intern(row["code"]),
            controller=sys.intern(row["controller"]),
            platform=sys.intern(row["platform"]),
            ids=Ids(row["controller_id"], row["instrument_id"]),
            policy=policy,
            opening=opening,
            grant_key=row["grant_key"] or "",
        )


def _placed(code: str, platform_id: int, policy: str, opening: str | None) -> _Placed:
    return _Placed(code, platform_id, msgspec.json.decode(policy), msgspec.json.decode(opening) if opening else None)
