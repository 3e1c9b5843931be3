"""What more than one module needs and takes long to make: made once per test process."""

from collections.abc import AsyncIterator

import pytest

from tests.databases import copied
from tests.pasts import lived_through
from twin.servers import Postgres
from twin.service import open_database


@pytest.fixture(scope="session")
async def past(postgres: Postgres, migrated: str) -> AsyncIterator[str]:
    """The address of a database whose five instruments have lived for a day and a half. Nobody changes it."""
    async with copied(postgres, migrated) as url:
        async with open_database(url):
            await lived_through(url)
        yield url
