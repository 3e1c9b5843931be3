"""Large relational tables row by row, where a model for every row would cost more than all that is done with it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from tortoise import Tortoise

_AT_ONCE = 2_000


async def table_rows(query: str, *values: Any) -> AsyncIterator[Mapping[str, Any]]:
    """The rows of a query to the database that is open, a few thousand of them in memory at a time."""
    async with Tortoise.get_connection("default").acquire_connection() as connection, connection.transaction():
        async for row in connection.cursor(query, *values, prefetch=_AT_ONCE):
            yield row
