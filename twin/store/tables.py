"""Large tables row by row, where a model for every row would cost more than all that is done with it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeAlias, cast

import asyncpg
from tortoise import Tortoise

_AT_ONCE = 2_000
_Connection: TypeAlias = "asyncpg.Connection | asyncpg.pool.PoolConnectionProxy"


async def table_rows(query: str, *values: Any) -> AsyncIterator[Mapping[str, Any]]:
    """The rows of a query to the database that Tortoise has open."""
    async with Tortoise.get_connection("default").acquire_connection() as connection:
        async for row in rows_of(connection, query, *values):
            yield row


async def rows_of(connection: _Connection, query: str, *values: Any) -> AsyncIterator[Mapping[str, Any]]:
    """The rows of a query, a few thousand of them in memory at a time; the next ones come while these are worked on."""
    async with connection.transaction():
        cursor = await connection.cursor(query, *values)
        coming = asyncio.ensure_future(cursor.fetch(_AT_ONCE))
        try:
            while rows := await coming:
                coming = asyncio.ensure_future(cursor.fetch(_AT_ONCE))
                await asyncio.sleep(0)  # so that it is asked for now
                for row in rows:
                    yield cast("Mapping[str, Any]", row)
        finally:
            await asyncio.wait({coming})  # the connection is busy until then
