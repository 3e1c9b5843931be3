"""PostgreSQL's own programs for backups: those of the machine where they fit the server, else a private copy."""

import re
from pathlib import Path

from twin.servers.errors import ServersError
from twin.servers.packages import Progress, install
from twin.servers.programs import PRIVATE_POSTGRES, RECIPE, Program, answer_of, folder_of, private_postgres_program

MACHINE = Path("/usr/lib/postgresql")
"""Where Debian puts every version that is installed."""
_PROGRAMS = ("pg_dump", "pg_restore")


async def client_programs(server: int, cache: Path, progress: Progress) -> Program:
    """The folder with `pg_dump` and `pg_restore` for a server of this major version: as old as can be, not older.

    Raises `ServersError` where there is none; the message says what to do.
    """
    fitting = [(version, folder) for version, folder in _installed() if version >= server]
    # A newer pg_dump makes what the server's own pg_restore may not read: only the same version is as good as our own.
    exact = [folder for version, folder in fitting if version == server]
    if exact:
        return Program(exact[0])
    if server <= PRIVATE_POSTGRES:
        return await _private(server, cache, progress)
    if fitting:
        return Program(min(fitting)[1])
    raise ServersError(f"The server is PostgreSQL {server}, and nothing here can back it up. {_advice(server)}")


def major_version(program: Path) -> int:
    """The major version of one of PostgreSQL's programs; 0 where it is not there."""
    found = re.search(r"\(PostgreSQL\) (\d+)", answer_of(str(program), "--version"))
    return int(found[1]) if found else 0


def _installed() -> list[tuple[int, Path]]:
    folders = {*MACHINE.glob("*/bin"), *(each for name in _PROGRAMS for each in folder_of(name))}
    whole = (folder for folder in folders if all((folder / name).is_file() for name in _PROGRAMS))
    return sorted((major_version(folder / "pg_dump"), folder) for folder in whole)


async def _private(server: int, cache: Path, progress: Progress) -> Program:
    try:
        return private_postgres_program(await install(RECIPE, cache, progress))
    except ServersError as error:
        raise ServersError(f"{error}\n{_advice(server)}") from error


def _advice(server: int) -> str:
    return f"Install pg_dump and pg_restore of PostgreSQL {server}, and put their folder on PATH."
