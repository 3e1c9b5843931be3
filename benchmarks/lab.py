"""The laboratory: a database server of our own, and for every turn a fresh site in a fresh database and broker."""

import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import msgspec

from twin.servers import (
    Account,
    Postgres,
    Progress,
    hash_password,
    private_mosquitto,
    private_postgres,
    service_account,
    speaker_account,
)
from twin.servers.accounts import SERVICE, SPEAKER
from twin.servers.homes import cache_folder
from twin.service import open_database

_SETTINGS = {"track_commit_timestamp": "on", "timescaledb.max_background_workers": "0"}
"""When a row was committed tells exactly how fast it was stored. Workers would hold on to the databases we drop."""

_SITE = """
WITH site AS (
    INSERT INTO platform (code, name_zh, name_en, level) VALUES ('bench', '基准', 'Bench', 'university') RETURNING id
), fitted AS (
    INSERT INTO instrument (code, name_zh, name_en, value_cny, platform_id)
    SELECT 'i-' || name, name, name, 500000, site.id FROM unnest($1::text[]) AS name, site RETURNING id, code
)
INSERT INTO controller (name, instrument_id, password_hash) SELECT substr(code, 3), id, '' FROM fitted
"""


class Site(msgspec.Struct, frozen=True):
    """A registered site: what its service and its controllers need to know."""

    database_url: str
    service_mqtt_url: str
    speaker_mqtt_url: str
    controllers: tuple[str, ...]
    folder: Path
    pids: dict[str, int]
    """Of its servers."""

    def environment(self) -> dict[str, str]:
        """For programs that take the service's place."""
        return {
            "DATABASE_URL": self.database_url,
            "MQTT_URL": self.service_mqtt_url,
            "TWIN_HOME": str(self.folder),
            "TWIN_LOG_LEVEL": "warning",
        }

    def ids_file(self) -> Path:
        """The controllers' ids, one a line."""
        file = self.folder / "ids"
        file.write_text("\n".join(self.controllers), encoding="ascii")
        return file


class Lab:
    """The running database server."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @asynccontextmanager
    async def site(self, controllers: int) -> AsyncIterator[Site]:
        """A site of so many instruments with controllers, registered and never heard of.

        Its broker is its own: one that has served before keeps for those who are away what was meant for them.
        """
        names = tuple(f"c{number:04d}" for number in range(1, controllers + 1))
        async with self.empty_site(names) as site:
            await _register(site.database_url, names)
            yield site

    @asynccontextmanager
    async def empty_site(self, names: tuple[str, ...] = ()) -> AsyncIterator[Site]:
        """A database without tables, and a broker of its own, for controllers of these names."""
        name = f"bench_{secrets.token_hex(4)}"
        password = secrets.token_urlsafe(12)
        url = await self._postgres.create_database(name)
        try:
            with servers_folder("users-twin-bench-") as folder:
                async with private_mosquitto(folder, accounts(password), cache=cache_folder()) as broker:
                    at = f"{password}@{broker.host}:{broker.port}"
                    yield Site(
                        database_url=url,
                        service_mqtt_url=f"mqtt://{SERVICE}:{at}",
                        speaker_mqtt_url=f"mqtt://{SPEAKER}:{at}",
                        controllers=names,
                        folder=folder,
                        pids={"database": self._postgres.pid or 0, "broker": broker.pid or 0},
                    )
        finally:
            await self._postgres.drop_database(name)


def accounts(password: str) -> tuple[Account, ...]:
    """For a broker: the service's, and one that speaks for every controller."""
    return service_account(hash_password(password)), speaker_account(hash_password(password))


async def _register(url: str, names: tuple[str, ...]) -> None:
    async with open_database(url):
        pass
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_SITE, list(names))
        await connection.execute("ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


@asynccontextmanager
async def open_lab(progress: Progress) -> AsyncIterator[Lab]:
    """Start a database server in a temporary folder; everything is gone at the end."""
    with servers_folder("users-twin-bench-") as home:
        async with private_postgres(home, settings=_SETTINGS, cache=cache_folder(), progress=progress) as postgres:
            yield Lab(postgres)


@contextmanager
def servers_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder that the servers' user can reach when we are root."""
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder
