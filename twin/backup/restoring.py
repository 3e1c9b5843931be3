"""`twin restore`: a backup into a database that nobody uses, whole or not at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from pkgutil import iter_modules

import asyncpg
import msgspec

from twin.backup.archive import Archive, Counted
from twin.backup.errors import BackupError
from twin.backup.programs import run, without_password
from twin.models import migrations
from twin.servers.clients import client_programs, major_version
from twin.servers.packages import Progress
from twin.servers.programs import Program
from twin.store.commit import WRITER_LOCK
from twin.store.migrate import MIGRATION_LOCK

_KNOWS_TRANSACTION_TIMEOUT = 17
"""pg_restore from this version on sets it, and an older server does not know it."""
_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'f')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e') ORDER BY relname
"""
_TWINS = {"controller", "checkpoint", "writer", "tortoise_migrations"}
_HELD = """
SELECT (SELECT count(*) FROM instrument) AS instruments, (SELECT count(*) FROM controller) AS twins,
    (SELECT count(*) FROM session) AS sessions, (SELECT count(*) FROM charge_line) AS charges,
    (SELECT to_char(max(received) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') FROM reading) AS latest
"""
_OWNED = """
SELECT format('ALTER %s public.%I OWNER TO %I', CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relname,
    (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database())) AS statement
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')
    AND relowner <> (SELECT datdba FROM pg_database WHERE datname = current_database())
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype IN ('e', 'a', 'i'))
"""


_MAY_RESTORE = """
SELECT CASE WHEN to_regclass('_timescaledb_catalog.hypertable') IS NULL
    THEN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    ELSE has_table_privilege('_timescaledb_catalog.hypertable', 'INSERT') END
"""
_SUPERUSER = "Restore as a superuser of the database: what is restored belongs to the database's owner all the same."


class Held(msgspec.Struct, frozen=True):
    """What a twin's database holds."""

    instruments: int
    twins: int
    sessions: int
    charges: int
    latest: str | None
    """When the last reading was received."""

    def __str__(self) -> str:
        until = "no readings" if self.latest is None else f"readings up to {self.latest}"
        return (
            f"{self.instruments:,} instruments, {self.twins:,} twins, {self.sessions:,} sessions, "
            f"{self.charges:,} charges, {until}"
        )


class Target:
    """A database into which a backup is to go; nobody else writes to it, or brings its tables up to date, meanwhile."""

    def __init__(self, database_url: str, connection: asyncpg.Connection, tables: list[str]) -> None:
        self._url = database_url
        self._connection = connection
        self.tables = tables
        """What is there now."""

    @property
    def postgres(self) -> int:
        """Its server's major version."""
        return self._connection.get_server_version().major

    async def held(self) -> Held:
        """What is there now. Raises BackupError where that is not the twin's: it is left alone."""
        if not set(self.tables) >= _TWINS:
            some = ", ".join(self.tables[:5])
            raise BackupError(f"The database holds tables of something else ({some}): choose an empty one.")
        return await self._held()

    async def _held(self) -> Held:
        try:
            return msgspec.convert(dict(await self._connection.fetchrow(_HELD) or {}), Held)
        except asyncpg.UndefinedTableError as error:
            raise BackupError(f"The database is incomplete ({error}): choose an empty one.") from error

    async def check(self, archive: Archive) -> None:
        """Raise BackupError where the backup does not fit this server, or this program."""
        if unknown := archive.migrations - {each.name for each in iter_modules(migrations.__path__)}:
            raise BackupError(
                f"{archive.file} was made by a newer version of this program, which has "
                f"{', '.join(sorted(unknown))}: restore it with that version."
            )
        if archive.postgres > self.postgres:
            raise BackupError(
                f"{archive.file} is from PostgreSQL {archive.postgres}; this server has {self.postgres}: "
                f"restore it into one of version {archive.postgres} or newer."
            )
        await self._check_extension(archive)
        if not await self._connection.fetchval(_MAY_RESTORE):
            raise BackupError(f"This account may not write TimescaleDB's own tables. {_SUPERUSER}")

    async def _check_extension(self, archive: Archive) -> None:
        wanted = archive.timescaledb
        installed = await self._connection.fetchval("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
        if installed is None and await self._connection.fetchval(
            "SELECT 1 FROM pg_available_extension_versions WHERE name = 'timescaledb' AND version = $1", wanted
        ):
            return
        if installed != wanted:
            has = "cannot provide that" if installed is None else f"has {installed}"
            raise BackupError(
                f"{archive.file} needs TimescaleDB {wanted}; this database {has}. TimescaleDB takes a backup into the "
                "same version only: restore it there, and update the extension afterwards."
            )

    async def fill(self, archive: Archive, cache: Path, progress: Progress) -> Held:
        """Put the backup in the place of whatever is there. Raises BackupError; nothing is there then."""
        program = await restoring_program(self.postgres, cache, progress)
        connection = self._connection
        await self._empty()
        await connection.execute(f"CREATE EXTENSION IF NOT EXISTS timescaledb VERSION '{archive.timescaledb}'")
        await connection.execute("SELECT public.timescaledb_pre_restore()")
        try:
            await self._run(archive, program, progress)
        finally:
            await connection.execute("SELECT public.timescaledb_post_restore()")
        progress("Taking stock", None)
        for row in await connection.fetch(_OWNED):
            await connection.execute(row["statement"])
        await connection.execute("ANALYZE")
        return await self._held()

    async def _empty(self) -> None:
        async with self._connection.transaction():
            for name in self.tables:
                await self._connection.execute(f'DROP TABLE IF EXISTS public."{name}" CASCADE')

    async def _run(self, archive: Archive, program: Program, progress: Progress) -> None:
        address, secret = without_password(self._url)
        how = ("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-comments")
        told = Counted(f"Restoring {archive.file.name}", archive.contents, progress)
        try:
            await run(program, ["pg_restore", *how, f"--dbname={address}", str(archive.file)], told, secrets=secret)
        except BackupError as error:
            raise BackupError(f"It was not restored, and the database is empty now: {error}") from error


async def restoring_program(server: int, cache: Path, progress: Progress) -> Program:
    """pg_restore for a server. Raises ServersError or BackupError where there is none that it understands."""
    program = await client_programs(server, cache, progress)
    version = major_version(program.path / "pg_restore")
    if server < _KNOWS_TRANSACTION_TIMEOUT <= version:
        raise BackupError(
            f"pg_restore {version} cannot restore into PostgreSQL {server}: install that version's, "
            "and put its folder on PATH."
        )
    return program


@asynccontextmanager
async def open_target(database_url: str) -> AsyncIterator[Target]:
    """A database that is kept from everybody else while the block runs.

    Raises:
        BackupError: a service writes to it.
        asyncpg.PostgresError, OSError: it cannot be used.

    """
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        for lock in (WRITER_LOCK, MIGRATION_LOCK):
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock):
                raise BackupError("A service uses this database: stop it first.")
        tables = [row["relname"] for row in await connection.fetch(_TABLES)]
        yield Target(database_url, connection, tables)
    finally:
        await connection.close()
