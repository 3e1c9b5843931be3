"""The command line: `run` simulates controllers, `replay` sends a recorded trace, `load` measures."""

import asyncio
import json
import logging
import re
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import MofNCompleteColumn, Progress

from controllers_sim import display
from controllers_sim.broker import find_broker
from controllers_sim.client import wait_for
from controllers_sim.durations import duration_ms
from controllers_sim.errors import SimulatorError
from controllers_sim.faults import Faults, read_faults
from controllers_sim.load import Demand, Load, Outcome
from controllers_sim.replay import Replay
from controllers_sim.scenario import Scenario, made_up, read_scenario, zone
from controllers_sim.simulation import Simulation
from controllers_sim.traces import read_trace
from controllers_sim.wire import CONTROLLER_ID

T = TypeVar("T")
console = Console(stderr=True)
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Simulated controllers of laboratory instruments, over MQTT.\n\n"
    "The broker is found by `--join FILE` (what `twin info --json` prints, `-` for standard input), else by "
    "`MQTT_URL=mqtt://user:pass@host:port`, else by the `[broker]` table of the scenario.",
)


def _parsed(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let typer report what a parser of ours objects to."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return convert


Join = Annotated[str | None, typer.Option(metavar="FILE", help="What `twin info --json` prints; - for standard input.")]
Span = Annotated[
    int | None, typer.Option("--for", parser=_parsed(duration_ms), metavar="30s", help="End by itself after so long.")
]
Ids = Annotated[Path | None, typer.Option(metavar="FILE", help="Controller ids, one a line.")]
Count = Annotated[int, typer.Option(min=1, max=100_000, help="How many controllers, c0001 and on.")]


@app.command(
    epilog="Examples:\n\n`twin info --json | controllers-sim run --controllers 300 --join -`\n\n"
    "`controllers-sim run --scenario lab.toml --for 10m`\n\n"
    "`MQTT_URL=mqtt://me:secret@127.0.0.1:1883 controllers-sim run --controllers 20 --faults drop=0.01,reboot=0.001`"
)
def run(
    *,
    controllers: Count = 50,
    scenario: Annotated[Path | None, typer.Option(metavar="FILE", help="A scenario (TOML) in place of a mix.")] = None,
    ids: Ids = None,
    seed: Annotated[int | None, typer.Option(help="Decides all chance; the same seed, the same people.")] = None,
    for_ms: Span = None,
    interval: Annotated[str | None, typer.Option(metavar="1s", help="Time between two readings.")] = None,
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="Where the people live.")] = None,
    faults: Annotated[
        Faults | None,
        typer.Option(parser=_parsed(read_faults), metavar="drop=0.01,...", help=", ".join(Faults.__struct_fields__)),
    ] = None,
    join: Join = None,
) -> None:
    """Simulate controllers and the people who use their instruments, until Ctrl-C.

    People come and go freely; where a scenario names a plan they follow its bookings, more or less (see README.md).
    """
    chosen = read_scenario(scenario) if scenario else made_up(_ids(controllers, ids), 1 if seed is None else seed)
    given = {"seed": seed, "interval": interval, "timezone": timezone, "faults": faults}
    chosen = _changed(chosen, {key: value for key, value in given.items() if value is not None})
    _end_with(_run(Simulation(chosen, find_broker(join, chosen.broker)), for_ms))


@app.command(
    epilog="Examples:\n\n`controllers-sim replay freezer.csv.gz --controller fr-01 --speed 60 --join info.json`\n\n"
    "`controllers-sim replay freezer.csv.gz --controller fr-01 --history --date 2026-03-01`"
)
def replay(
    trace: Annotated[Path, typer.Argument(metavar="TRACE.csv[.gz]", help="Lines of dd/mm/yyyy HH:MM:SS;watts;watts.")],
    *,
    controller: Annotated[str, typer.Option(metavar="ID", help="The controller that speaks.")],
    speed: Annotated[float, typer.Option(min=0.01, help="How many times as fast as recorded.")] = 1.0,
    history: Annotated[bool, typer.Option("--history", help="Send it as buffered history, all at once.")] = False,
    date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="The local day of the history.")
    ] = None,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Whose day that is.")] = "Asia/Shanghai",
    join: Join = None,
) -> None:
    """Publish a recorded power trace as one controller: live (stamped with the real clock), or as history of a day."""
    if history != (date is not None):
        raise typer.BadParameter("--history and --date go together", param_hint="--date")
    _option("--timezone", zone, timezone)
    _check_id(controller)
    samples, broker = read_trace(trace), find_broker(join, None)

    async def work() -> None:
        with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as progress:
            player = Replay(samples, controller, broker, _stop_event(), progress)
            live = player.live(speed) if date is None else player.history(date.date(), zone(timezone))
            count = await live
        console.print(f"{controller}: {count} of {len(samples)} samples sent", highlight=False)

    _end_with(work())


@app.command(
    epilog="Examples:\n\n`controllers-sim load --controllers 5000 --for 30s --join info.json`\n\n"
    "`controllers-sim load --controllers 500 --rate 2000 --messages 60000 --last-seq --join info.json`"
)
def load(
    *,
    controllers: Count = 1000,
    ids: Ids = None,
    connections: Annotated[int, typer.Option(min=1, max=64, help="Connections the controllers share.")] = 4,
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Messages a second; else as fast as acknowledged.")
    ] = None,
    for_ms: Span = None,
    messages: Annotated[int | None, typer.Option(min=1, help="End after so many messages.")] = None,
    in_flight: Annotated[int, typer.Option(min=1, max=30_000, help="Unacknowledged messages a connection.")] = 1000,
    last_seq: Annotated[bool, typer.Option("--last-seq", help="Report each controller's last seq.")] = False,
    join: Join = None,
) -> None:
    """Publish readings of many controllers as cheaply as possible and print one JSON line about it."""
    if for_ms is None and messages is None:
        raise typer.BadParameter("say when to end: --for 30s or --messages 100000", param_hint="--for")
    demand = Demand(rate=rate, messages=messages, for_ms=for_ms, in_flight=in_flight)
    names, broker = _ids(controllers, ids), find_broker(join, None)

    async def work() -> Outcome:
        with console.status(f"speaking for {len(names)} controllers ..."):
            return await Load(names, broker, demand, connections, _stop_event()).run()

    outcome = _end_with(work())
    report = msgspec.to_builtins(outcome) | {"controllers": len(names), "connections": min(connections, len(names))}
    typer.echo(json.dumps(report if last_seq else {key: report[key] for key in report if key != "last_seq"}))
    if outcome.acknowledged < outcome.sent:
        raise SimulatorError(
            f"{outcome.sent - outcome.acknowledged} messages were never acknowledged.", "See the broker's log."
        )


async def _run(simulation: Simulation, for_ms: int | None) -> None:
    simulation.stop = _stop_event()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(display.watch(simulation, console))
        if for_ms is not None:
            group.create_task(_stop_after(simulation.stop, for_ms))
        await simulation.run()
        await watching
    console.print(display.summary(simulation))


async def _stop_after(stop: asyncio.Event, for_ms: int) -> None:
    await wait_for(stop, for_ms / 1000)
    stop.set()


def _stop_event() -> asyncio.Event:
    """Make the event that Ctrl-C and SIGTERM set."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _check_id(name: str) -> None:
    if not re.match(CONTROLLER_ID, name):
        problem = f"{name!r} is no controller id: letters, digits, _ and -, up to 64"
        raise typer.BadParameter(problem, param_hint="--controller")


def _changed(scenario: Scenario, given: dict[str, Any]) -> Scenario:
    if "timezone" in given:
        _option("--timezone", zone, given["timezone"])
    if "interval" in given:
        _option("--interval", duration_ms, given["interval"])
    return msgspec.structs.replace(scenario, **given)


def _option(name: str, parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=name) from None


def _ids(count: int, path: Path | None) -> list[str]:
    if path is None:
        return [f"c{number:04d}" for number in range(1, count + 1)]
    try:
        found = path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise SimulatorError(f"{path}: cannot read the ids: {error.strerror}.", "Give one id a line.") from None
    bad = next((name for name in found if not re.match(CONTROLLER_ID, name)), None)
    if bad is not None or len(set(found)) < len(found) or not found:
        problem = f"{bad!r} is no controller id" if bad else "an id stands twice" if found else "no id in it"
        raise SimulatorError(f"{path}: {problem}.", "One id a line, of letters, digits, _ and -, up to 64.")
    return found


def _end_with(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; what a person can put right comes out of task groups as itself."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except BaseExceptionGroup as group:
        wrong = group.subgroup(SimulatorError)
        if wrong is None:
            raise
        raise _first(wrong) from None


def _first(group: BaseExceptionGroup[SimulatorError]) -> SimulatorError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def main() -> None:
    """Run the command line; a problem a person can put right is printed plainly and ends with code 2."""
    logging.basicConfig(
        level=logging.INFO, format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # what was booked is said by whoever booked it
    try:
        app()
    except SimulatorError as error:
        console.print(error.problem, style="bold red", markup=False, highlight=False)
        console.print(error.advice, markup=False, highlight=False)
        sys.exit(2)
