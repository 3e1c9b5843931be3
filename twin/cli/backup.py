"""`twin backup` and `twin restore`: the database as one file, and back."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal

from twin.backup.archive import Archive, check_file, read_archive, read_whole
from twin.backup.errors import BackupError
from twin.backup.restoring import Held, Target, open_target, restoring_program
from twin.backup.saving import save
from twin.cli.options import explained, run, settings_with
from twin.running import find_running
from twin.servers import ServersError, private_postgres
from twin.servers.homes import base_folder, cache_folder, hold_home
from twin.servers.progress import console_progress

Demo = Annotated[bool, typer.Option("--demo", help="The demo's own database, not that of `twin up`.")]

BACKUP_EPILOG = """
Examples:

    twin backup /var/backups/twin-$(date +%F).backup

    DATABASE_URL=postgresql://... twin backup twin.backup

    twin backup demo.backup --demo
"""
RESTORE_EPILOG = """
Examples:

    DATABASE_URL=postgresql://... twin restore twin.backup

    twin restore twin.backup --replace          # says what it would destroy, and asks

    twin restore demo.backup --demo --replace --yes
"""


def backup(
    file: Annotated[Path, typer.Argument(help="Where to; an older file of that name is replaced.", dir_okay=False)],
    *,
    demo: Demo = False,
) -> None:
    """Back up the whole database, as it is at one moment, into FILE; a service may run meanwhile.

    The database is `DATABASE_URL`, else that of the service that runs here, else that of the last one that did.
    Personal data and the digests of passwords stand in the file: only its owner can read it.
    """
    console = Console(stderr=True)
    with explained(console):
        size = run(_backup(file, console, demo=demo))
    Console(highlight=False).print(f"{file}: {decimal(size)}", soft_wrap=True)


async def _backup(file: Path, console: Console, *, demo: bool) -> int:
    if not file.parent.is_dir():
        raise BackupError(f"{file} cannot be written: there is no folder {file.parent}.")
    async with AsyncExitStack() as stack:
        url = settings_with().database_url or _of_running(demo=demo)
        if url is None:
            url = await stack.enter_async_context(_own_database(console, demo=demo, new=False))
        with console_progress(console) as progress:
            return await save(url, file, cache_folder(), progress)


def restore(
    file: Annotated[Path, typer.Argument(help="A backup.")],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also into a database that is not empty: what is there is destroyed.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --replace: do not ask.")] = False,
    demo: Demo = False,
) -> None:
    """Restore FILE, which `twin backup` has written, into an empty database. No service may use it.

    The database is `DATABASE_URL`, else that of `twin up` in its data folder. The file is read as a whole before
    anything is touched. Afterwards `twin replay --verify` says whether everything in it follows from its log.
    """
    console = Console(stderr=True)
    with explained(console):
        held = run(_restore(file, console, demo=demo, replace=replace, yes=yes))
    if held is None:
        raise typer.Exit(1)
    Console(highlight=False).print(f"Restored: {held}.", soft_wrap=True)


async def _restore(file: Path, console: Console, *, demo: bool, replace: bool, yes: bool) -> Held | None:
    """What has been restored; None where the person at the keyboard would rather not."""
    check_file(file)
    async with AsyncExitStack() as stack:
        url = settings_with().database_url
        if url is None:
            url = await stack.enter_async_context(_own_database(console, demo=demo, new=True))
        target = await stack.enter_async_context(open_target(url))
        there = await target.held() if target.tables else None
        if there is not None and not replace:
            raise BackupError(f"The database is not empty: it holds {there}. --replace puts the backup in its place.")
        archive = await _checked(file, target, console)
        if there is not None and not yes:
            console.print(f"This database holds {there}.", highlight=False, soft_wrap=True)
            if not typer.confirm(f"Destroy all of it, and restore the backup of {archive.made}?", err=True):
                return None
        with console_progress(console) as progress:
            return await target.fill(archive, cache_folder(), progress)


async def _checked(file: Path, target: Target, console: Console) -> Archive:
    with console_progress(console) as progress:
        program = await restoring_program(target.postgres, cache_folder(), progress)
        archive = await read_archive(file, program)
        await target.check(archive)
        await read_whole(archive, program, progress)
    return archive


def _home(*, demo: bool) -> str:
    return "demo" if demo else "site"


def _of_running(*, demo: bool) -> str | None:
    """The database of a service that runs here."""
    running = find_running(name=_home(demo=True) if demo else "*")
    return None if running is None else running.database_url


@asynccontextmanager
async def _own_database(console: Console, *, demo: bool, new: bool) -> AsyncIterator[str]:
    """The private database of a home that nobody uses, started for this; `new`: made where there is none."""
    name = _home(demo=demo)
    if not new and not (base_folder() / name / "postgres" / "data").is_dir():
        other = "" if demo else " The demo's: --demo."
        raise ServersError(
            f"Nothing to back up: DATABASE_URL is not set, no service runs here, and there is no database in "
            f"{base_folder() / name}.{other}"
        )
    with hold_home(name) as home:
        async with AsyncExitStack() as stack:
            with console_progress(console) as progress:
                server = await stack.enter_async_context(
                    private_postgres(home, cache=cache_folder(), progress=progress)
                )
            yield server.url
