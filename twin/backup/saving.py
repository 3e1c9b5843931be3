"""`twin backup`: one moment of the database in a file, beside a service that goes on."""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import asyncpg

from twin.backup.errors import BackupError
from twin.backup.programs import run, without_password
from twin.servers.clients import client_programs
from twin.servers.homes import private_opener
from twin.servers.packages import Progress

_DUMPING = re.compile(r'dumping contents of table "(?P<table>[^"]+)"')
_SIZES = """
SELECT quote_ident(nspname) || '.' || quote_ident(relname) AS name, pg_table_size(pg_class.oid) AS bytes
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r' AND nspname IN ('public', '_timescaledb_internal')
"""


async def save(database_url: str, file: Path, cache: Path, progress: Progress) -> int:
    """Write a backup of a twin's database; gives its size in bytes.

    The file appears when it is whole, in place of an older one, and only its owner can read it.

    Raises:
        BackupError: it could not be made; what there was of the file is gone.
        ServersError: there is no pg_dump for this server.
        asyncpg.PostgresError, OSError: the database cannot be asked.

    """
    sizes, server = await _sizes(database_url)
    program = await client_programs(server, cache, progress)
    address, secret = without_password(database_url)
    with _whole_or_nothing(file) as output:
        told = _Dumped(f"Writing {file.name}", sizes, progress)
        # The lock that the service holds is none on tables, and pg_dump only reads: neither waits for the other.
        command = ["pg_dump", "--format=custom", f"--dbname={address}"]
        await run(program, command, told, secrets=secret, output=output)
        return os.fstat(output.fileno()).st_size


async def _sizes(database_url: str) -> tuple[dict[str, int], int]:
    """The bytes of every table, and the server's major version."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        if await connection.fetchval("SELECT to_regclass('checkpoint')") is None:
            raise BackupError("There is nothing to back up: no service has used this database.")
        rows = await connection.fetch(_SIZES)
        return {row["name"]: row["bytes"] for row in rows}, connection.get_server_version().major
    finally:
        await connection.close()


class _Dumped:
    """Tells of progress by the bytes of the tables that pg_dump has done with."""

    def __init__(self, what: str, sizes: dict[str, int], progress: Progress) -> None:
        self._what = what
        self._sizes = sizes
        self._all = max(1, sum(sizes.values()))
        self._progress = progress
        self._done = self._current = 0

    def __call__(self, line: str) -> None:
        if found := _DUMPING.match(line):
            self._done += self._current
            self._current = self._sizes.get(found["table"], 0)
            self._progress(self._what, min(1.0, self._done / self._all))


@contextmanager
def _whole_or_nothing(file: Path) -> Iterator[IO[bytes]]:
    """Write beside the file, and let it take its place in one step, on disk; or leave nothing."""
    unfinished = file.with_name(f"{file.name}.unfinished-{secrets.token_hex(4)}")
    try:
        with open(unfinished, "xb", opener=private_opener) as output:
            yield output
            os.fsync(output.fileno())
        unfinished.replace(file)
        _sync_folder(file.parent)
    except OSError as error:
        raise BackupError(f"{file} cannot be written: {error.strerror}.") from error
    except BackupError as error:
        raise BackupError(f"{file} was not written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Only then does a power cut not take the name away again."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
