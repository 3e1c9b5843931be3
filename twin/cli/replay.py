"""`twin replay`: the log told again."""

import os
from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from twin.cli.options import explained, run
from twin.replay.extent import first_moment, last_moment, parsed_moment, site_zone
from twin.replay.records import Window
from twin.replay.run import Progress
from twin.replay.verify import Verified, verify
from twin.running import find_running
from twin.servers.progress import console_progress
from twin.settings import Settings, SettingsError, read_settings
from twin.store.log import Log, open_log
from twin.views import rfc3339

_T = TypeVar("_T")
_MOST = 30

EPILOG = """
Examples:

    twin replay --verify

    twin replay --verify --from 2026-03-01 --to 2026-04-01 --instrument SEM-1
"""


def replay(
    *,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="RFC 3339, or a date where the site is. [default: all]")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="Exclusive. [default: as far as it goes]")
    ] = None,
    instrument: Annotated[
        list[str] | None,
        typer.Option(metavar="CODE", help="Only this one; may be given more than once. Others charge no project then."),
    ] = None,
    check: Annotated[bool, typer.Option("--verify", help="Compare with what is stored.")] = False,
    everything: Annotated[bool, typer.Option("--all", help=f"List every difference, not just {_MOST}.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tell the stored log to the rules again and compare sessions, ledger, alerts and charges with what is stored.

    Nothing is ever written, and a running service is not disturbed: what is compared is one moment. Exit code 1 if
    anything differs.
    """
    if not check:
        raise typer.BadParameter("say what to replay for: --verify", param_hint="--verify")
    errors = Console(stderr=True)
    with explained(errors), console_progress(errors) as progress:
        verified = run(_with_log(from_, to, instrument or [], progress, verify))
    if as_json:
        typer.echo(msgspec.json.encode(verified).decode())
    else:
        _print(verified, None if everything else _MOST)
    if verified.differences:
        raise typer.Exit(1)


async def _with_log(
    from_: str | None,
    to: str | None,
    codes: Collection[str],
    progress: Progress,
    look: Callable[[Log, Window, Collection[str], Progress], Awaitable[_T]],
) -> _T:
    settings = read_settings(os.environ)
    progress("Opening the log", None)
    async with open_log(_database_url(settings)) as log:
        known = set(log.codes.values())
        if unknown := set(codes) - known:
            raise typer.BadParameter(f"no controller at {', '.join(sorted(unknown))}", param_hint="--instrument")
        zone = await site_zone(log, ZoneInfo(settings.timezone))
        first_ms, last_ms = await first_moment(log), await last_moment(log) + 1
        window = Window(_moment("--from", from_, zone, first_ms), min(last_ms, _moment("--to", to, zone, last_ms)))
        if window.from_ms >= window.until_ms:
            raise typer.BadParameter(f"there is nothing before {rfc3339(window.until_ms)}", param_hint="--from")
        return await look(log, window, set(codes) or known, progress)


def _database_url(settings: Settings) -> str:
    if settings.database_url is not None:
        return settings.database_url
    running = find_running()
    if running is None:
        raise SettingsError("no service runs here: set DATABASE_URL to the database with the log")
    return running.database_url


def _moment(option: str, text: str | None, zone: ZoneInfo, otherwise_ms: int) -> int:
    try:
        return otherwise_ms if text is None else parsed_moment(text, zone)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _print(verified: Verified, most: int | None) -> None:
    console = Console(highlight=False)
    found, window = verified.differences, verified.window
    if found:
        console.print(_table(verified, most))
    if most is not None and len(found) > most:
        console.print(f"... and {len(found) - most} more: --all lists them.")
    console.print(
        f"{rfc3339(window.from_ms)} to {rfc3339(window.until_ms)}: {verified.instruments} instruments, "
        f"{verified.sessions} sessions, {verified.alerts} alerts, {verified.charges} charges.",
        soft_wrap=True,
    )
    console.print(
        f"{verified.events:,} events in {verified.seconds:.1f} s: {_rate(verified.events, verified.seconds)} a second, "
        f"{_rate(verified.events, verified.telling_s)} without reading.",
        soft_wrap=True,
    )
    colour = "red" if found else "green"
    console.print(f"[bold {colour}]{len(found)} differences[/]")


def _rate(events: int, seconds: float) -> str:
    return f"{events / seconds:,.0f}" if seconds else "-"


def _table(verified: Verified, most: int | None) -> Table:
    table = Table("Kind", "Instrument", "What", "Stored", "Replayed")
    for each in verified.differences[:most]:
        table.add_row(each.kind, each.instrument, each.what, each.stored, each.replayed)
    return table
