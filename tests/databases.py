"""Databases of the server of this test process: filled once, copied for each test."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from twin.servers import Postgres


@asynccontextmanager
async def created(postgres: Postgres) -> AsyncIterator[str]:
    """The address of a new database with TimescaleDB and nothing else; dropped at the end."""
    name = _new_name()
    try:
        yield await postgres.create_database(name)
    finally:
        await postgres.drop_database(name)


@asynccontextmanager
async def copied(postgres: Postgres, original: str) -> AsyncIterator[str]:
    """The address of a copy of a database that nobody is connected to; dropped at the end."""
    name = _new_name()
    connection = await asyncpg.connect(postgres.url_of("postgres"))
    try:
        # By its files: by its pages, as is usual, each of some 700 tables and indexes is written to the log, too.
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{name_of(original)}" STRATEGY FILE_COPY')
    finally:
        await connection.close()
    try:
        yield postgres.url_of(name)
    finally:
        await postgres.drop_database(name)


def name_of(url: str) -> str:
    """The database in an address."""
    return url.rpartition("/")[2]


def _new_name() -> str:
    return f"test_{secrets.token_hex(6)}"
