"""`twin demo`: a university to look at, with one command."""

import asyncio
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.lived.living import HasPastError, live_through
from twin.cli.hosting import Hosted, hosted, stop_on_signals
from twin.cli.options import Duration, Host, Port, explained, run, seconds, settings_with
from twin.clock import system_clock
from twin.demo import community, lifetime, opening, people, site, week
from twin.demo.opening import Part
from twin.demo.people import Secrets
from twin.demo.prices import tariffs
from twin.demo.simulation import is_new, scenario, simulated, write_plan
from twin.demo.watch import BoardWatch
from twin.logs import set_up_logs
from twin.registration import (
    grant_keys,
    register_controllers,
    register_instruments,
    register_platforms,
    register_site,
    register_tariffs,
)
from twin.running import Running, announced
from twin.servers import Account, claim_home, hash_password, speaker_account
from twin.servers.homes import empty_home
from twin.servers.packages import Progress
from twin.servers.progress import console_progress
from twin.settings import Settings, SettingsError
from twin.store.rows import to_ms

LIVE_WITHIN_S = 60.0
MOST_DAYS = 90
TRACE_ENDINGS = (".csv", ".csv.gz")


def demo(
    host: Host = None,
    port: Port = None,
    ends_after: Duration = None,
    traces: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder with recorded power traces (CSV, .gz) to replay."),
    ] = None,
    past: Annotated[
        str | None,
        typer.Option(metavar="30d", help="Simulate so many days of history first. Only a new demo can have a past."),
    ] = None,
    *,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget the earlier demo and start anew.")] = False,
) -> None:
    """Run a demo site: 280 instruments on three levels of platforms, 50 of them connected and streaming live.

    Prints the board's address and the accounts, and runs until Ctrl-C. With `--for` it ends by itself: exit code 0 if
    the board went live, else 1 and the reason.

    With `--past 30d` the site has a month behind it: bookings, sessions, bills and alerts, recorded as if the service
    had run all the while. `twin replay` has that to work on.

    Examples: `twin demo` · `twin demo --for 30s` · `twin demo --past 30d` ·
    `twin demo --traces ../shared/data/power-traces`
    """
    console = Console()
    with explained(Console(stderr=True)):
        settings = settings_with(http_host=host, http_port=port)
        set_up_logs(settings.log_format, "warning" if settings.log_level == "info" else settings.log_level)
        wanted = _Wanted(_traces_in(traces), seconds(ends_after), _days(past), fresh)
        reason = run(_demo(settings, wanted, console))
    if reason is not None:
        Console(stderr=True).print(f"[bold red]The board did not go live:[/] {reason}", highlight=False)
        raise typer.Exit(1)


def _traces_in(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    found = sorted(path for path in folder.iterdir() if path.name.endswith(TRACE_ENDINGS))
    if not found:
        raise typer.BadParameter(f"no .csv or .csv.gz in {folder}", param_hint="--traces")
    return found[: site.CONNECTED]


def _days(past: str | None) -> int:
    if past is None:
        return 0
    match = re.fullmatch(r"(\d{1,3})d", past)
    if match is None or not 1 <= int(match[1]) <= MOST_DAYS:
        raise typer.BadParameter(f"{past!r}: write 1d to {MOST_DAYS}d", param_hint="--past")
    return int(match[1])


class _Wanted(NamedTuple):
    """What was asked for on the command line."""

    traces: Sequence[Path]
    ends_after_s: float | None
    past_days: int
    fresh: bool


async def _demo(settings: Settings, wanted: _Wanted, console: Console) -> str | None:
    """Run the demo; the reason why it did not go live, or None."""
    started_s = time.monotonic()
    stop = stop_on_signals()
    with claim_home("demo") as home:
        if wanted.fresh or (wanted.past_days and lifetime.was_cut_short(home)):
            empty_home(home)
        kept = people.load_secrets(home)
        async with AsyncExitStack() as stack:
            with console_progress(console) as progress:
                seeding = _Seeding(home, kept, settings, wanted.past_days, progress)
                running = await stack.enter_async_context(hosted(settings, home, progress, seeding))
                access = _access(running, seeding.kept, own_broker=settings.mqtt_url is None)
                stack.enter_context(announced(home, access))
                # A database given to us may have been told already.
                history = settings.database_url is None and is_new(home) and not lifetime.is_lived(home)
                write_plan(home, await opening.plan(datetime.now(UTC), seeding.parts))
                keys = await grant_keys()
                toml = _scenario(settings, running, seeding.kept, wanted.traces, keys, history=history)
                await stack.enter_async_context(simulated(home, toml))
                progress("Waiting for the instruments to come online", None)
                watch = BoardWatch(running.http, site.CONNECTED)
                reason = await _until_live(watch, running, stop, wanted.ends_after_s or LIVE_WITHIN_S)
            if reason is not None:
                return reason
            console.print(_welcome(access, time.monotonic() - started_s))
            sys.stdout.flush()
            await _until_end(running, stop, wanted.ends_after_s, started_s)
    return None


class _Seeding:
    """Fills the tables: the site, its controllers, people, prices, bookings. Nothing is done twice."""

    def __init__(self, home: Path, kept: Secrets, settings: Settings, past_days: int, progress: Progress) -> None:
        self._home = home
        self._past_days = past_days
        self._progress = progress
        self._prefix = settings.topic_prefix
        self._timezone = settings.timezone
        self.kept = kept
        self.parts: Sequence[Part] = ()
        """Who plays a part in what is under way at the start."""

    async def __call__(self, database_url: str) -> Sequence[Account]:
        await register_site(site.university(self._timezone))
        await register_platforms(site.platforms())
        await register_instruments(site.instruments())
        fitted = {controller: code for controller, (code, _) in site.connected().items()}
        passwords = await register_controllers(fitted, self.kept.controllers)
        if passwords != self.kept.controllers:
            self.kept = msgspec.structs.replace(self.kept, controllers=passwords)
            people.save_secrets(self._home, self.kept)
        await register_tariffs(tariffs())
        await community.enrol()
        await people.register_people(self.kept)
        zone, now = ZoneInfo(self._timezone), datetime.now(UTC)
        await week.register_week(zone, now)
        if self._past_days and not lifetime.is_lived(self._home):
            await self._live(database_url, zone, now)
        self.parts = await opening.set_up(zone, datetime.now(UTC))
        return [speaker_account(hash_password(self.kept.speaker), self._prefix)]

    async def _live(self, database_url: str, zone: ZoneInfo, now: datetime) -> None:
        """Live through the days before, up to the present."""
        await week.register_past(zone, now, self._past_days)
        since_ms = to_ms(now - timedelta(days=self._past_days))
        with lifetime.lived(self._home):
            try:
                await live_through(database_url, zone, since_ms, system_clock, staff="manager", progress=self._progress)
            except HasPastError:
                raise SettingsError("this demo has run before: give it a past with --fresh --past") from None
        await week.register_week(zone, datetime.now(UTC))


def _access(running: Hosted, kept: Secrets, *, own_broker: bool) -> Running:
    open_to_all = running.running()
    mqtt = open_to_all.mqtt
    if own_broker:
        speaker = speaker_account("").username
        mqtt = msgspec.structs.replace(mqtt, username=speaker, password=kept.speaker)
    else:
        mqtt = msgspec.structs.replace(mqtt, username=running.broker.username, password=running.broker.password)
    return msgspec.structs.replace(open_to_all, mqtt=mqtt, accounts=people.accounts(kept))


def _scenario(
    settings: Settings,
    running: Hosted,
    kept: Secrets,
    traces: Sequence[Path],
    keys: Mapping[str, str],
    *,
    history: bool,
) -> str:
    broker = running.broker
    if settings.mqtt_url is None:
        broker = msgspec.structs.replace(broker, username=None, password=None)
    profiles = {controller: profile for controller, (_, profile) in site.connected().items()}
    passwords = kept.controllers
    return scenario(
        broker, settings.timezone, profiles, passwords, traces, grant_keys=keys, history=history, planned=True
    )


async def _until_live(watch: BoardWatch, running: Hosted, stop: asyncio.Event, within_s: float) -> str | None:
    waiting = {asyncio.create_task(watch.run()), asyncio.create_task(running.until_stopped(stop))}
    done, pending = await asyncio.wait(waiting, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()
    return None if watch.live.is_set() or stop.is_set() else watch.reason()


async def _until_end(running: Hosted, stop: asyncio.Event, ends_after_s: float | None, started_s: float) -> None:
    left_s = None if ends_after_s is None else max(0.0, ends_after_s - (time.monotonic() - started_s))
    try:
        async with asyncio.timeout(left_s):
            await running.until_stopped(stop)
    except TimeoutError:
        return


def _welcome(access: Running, after_s: float) -> Table:
    table = Table(title=f"The board is live (after {after_s:.0f} s)", show_header=False, title_justify="left", box=None)
    table.add_row("Board 看板", f"[bold]{access.http}/[/]")
    table.add_row("Wall screen 大屏", f"{access.http}/?wall=1")
    table.add_row("API", f"{access.http}/schema/openapi.json")
    for account in access.accounts:
        table.add_row("Account 账户", f"{account.username} / {account.password}  ({account.role})")
    table.add_row("", "Ctrl-C ends it. Other programs join with: twin info --json")
    return table
