"""`twin replay`: what is stored follows from the log, what has been tampered with is found, and nothing is written."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from tests.chronicles import DAY_MS, HOUR_MS, START_MS, write_chronicle
from tests.houses import house
from twin.cli import app
from twin.views import rfc3339


@pytest.fixture
async def chronicle(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The address of a database with a log of two days."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    async with house(database_url):
        await write_chronicle(database_url)
        yield database_url


async def replay(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["replay", *arguments])


async def verified(*arguments: str) -> dict[str, Any]:
    result = await replay("--verify", "--json", *arguments)
    assert result.exit_code in {0, 1}, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == bool(found["differences"])
    return found


async def execute(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        assert not (await connection.execute(statement)).endswith(" 0")
    finally:
        await connection.close()


async def test_what_is_stored_follows_from_the_log(chronicle: str) -> None:
    found = await verified()
    assert found["differences"] == []
    assert (found["sessions"], found["charges"]) == (3, 3)
    assert found["alerts"] >= 2
    assert found["events"] > 3_000
