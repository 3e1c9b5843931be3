"""`twin replay`: the log told again."""

import os
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console

from twin.cli.options import explained, run
from twin.cli.replay_shown import print_verified, print_what_if, what_if_csv
from twin.replay.extent import first_moment, last_moment, parsed_moment, site_zone
from twin.replay.overrides import OverrideError, read_overrides
from twin.replay.records import Window
from twin.replay.run import Progress
from twin.replay.verify import Verified, verify
from twin.replay.whatif import WhatIf, what_if
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

    twin replay --tariff night.toml --from 2026-03-01     # night.toml: night_percent = 50
"""


def replay(
    *,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="WHEN", help="RFC 3339, or a date in the site's time zone. [default: all]"),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="WHEN", help="The end, not included. [default: the end of the log]")
    ] = None,
    instrument: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE", help="Only this one; may be repeated. What others charged to projects is left out then."
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--verify", help="Compare with what is stored.")] = False,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Try other policies: TOML or JSON.", exists=True, dir_okay=False)
    ] = None,
    tariff: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Try other prices: TOML or JSON.", exists=True, dir_okay=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help=f"List every difference, not just {_MOST}.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The comparison as CSV.")] = False,
) -> None:
    """Run the stored log through the rules again: check what is stored, or see what other rules would have brought.

    `--verify` compares sessions, ledger, alerts and charges with what is stored; exit code 1 if anything differs.
    `--policy` and `--tariff` show what would have been billed and alerted by other policies and prices. Nothing is ever
    written, and a running service is not disturbed: one snapshot of the database is read.
    """
    if check == bool(policy or tariff):
        raise typer.BadParameter("choose either --verify, or --policy and --tariff")
    if as_csv and check:
        raise typer.BadParameter("is for --policy and --tariff", param_hint="--csv")
    errors = Console(stderr=True)
    with explained(errors), _files(), console_progress(errors) as progress:
        codes = instrument or []
        if check:
            found: Verified | WhatIf = run(_with_log(from_, to, codes, progress, verify))
        else:
            overrides = read_overrides(policy, tariff)
            found = run(_with_log(from_, to, codes, progress, lambda *wanted: what_if(overrides, *wanted)))
    _show(found, None if everything else _MOST, as_json=as_json, as_csv=as_csv)
    if isinstance(found, Verified) and found.differences:
        raise typer.Exit(1)


@contextmanager
def _files() -> Iterator[None]:
    try:
        yield
    except OverrideError as error:
        raise typer.BadParameter(str(error)) from error


def _show(found: Verified | WhatIf, most: int | None, *, as_json: bool, as_csv: bool) -> None:
    console = Console(highlight=False)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    elif isinstance(found, Verified):
        print_verified(console, found, most)
    elif as_csv:
        typer.echo(what_if_csv(found), nl=False)
    else:
        print_what_if(console, found)


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
