"""Connections to the database: opened, and left again also where it does not answer any more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress

import asyncpg

LEAVE_WITHIN_S = 5.0


@asynccontextmanager
async def open_pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections for who reads. Raises asyncpg.PostgresError or OSError."""
    pool = await asyncpg.create_pool(database_url, min_size=1, max_size=8)
    try:
        yield pool
    finally:
        await left(pool.close())


async def left(closing: Awaitable[None]) -> None:
    """Close in order. asyncpg breaks off whatever it cannot close in time: a database that hangs keeps nobody."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_WITHIN_S):
            await closing
