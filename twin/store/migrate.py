"""Bringing a database to the present version: one at a time, and harmless when done again."""

from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import structlog
from tortoise import Tortoise
from tortoise.migrations.api import migrate as migrate_tables

log = structlog.get_logger(__name__)

MIGRATION_LOCK: Final = 0x75736572735F6D69
"""Advisory lock: whoever holds it migrates, the others wait and find nothing left to do."""


def tortoise_config(database_url: str) -> dict[str, Any]:
    """Tortoise's settings for this database."""
    parts = urlsplit(database_url)
    return {
        "connections": {"default": "asyncpg" + database_url[len(parts.scheme) :]},
        "apps": {
            "models": {
                "models": [f"twin.models.{each}" for each in ("registry", "people", "money", "times")],
                "default_connection": "default",
                "migrations": "twin.models.migrations",
            }
        },
        "use_tz": True,
        "timezone": "UTC",
    }


async def migrate(database_url: str) -> None:
    """Apply what is missing. Raises asyncpg.PostgresError where the database lacks TimescaleDB or rights."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        await migrate_tables(config=tortoise_config(database_url), direction="forward")
    finally:
        await Tortoise.close_connections()
        await connection.close()
    log.info("database.migrated")
