"""Reading the checkpoints back."""

import asyncpg

from twin.station import Station
from twin.store.rows import unpacked_station

_CHECKPOINTS = "SELECT name, version, state FROM checkpoint JOIN controller ON controller.id = controller_id"


async def read_checkpoints(pool: asyncpg.Pool) -> dict[str, Station]:
    """The stations as last recorded, by controller. Raises IncompatibleVersionError."""
    twins = {}
    async with pool.acquire() as connection, connection.transaction():
        async for row in connection.cursor(_CHECKPOINTS, prefetch=1000):
            twins[row["name"]] = unpacked_station(row["version"], row["state"])
    return twins
