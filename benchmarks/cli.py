"""`twin bench`: measure on this machine, on servers of its own that are gone afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import ingest as ingest_bench
from benchmarks import latency as latency_bench
from benchmarks import restore as restore_bench
from benchmarks.chaos import run as chaos_bench
from benchmarks.chaos.opening import Plan as ChaosPlan
from benchmarks.processes import BenchError
from benchmarks.tables import chaos_table, ingest_table, latency_table, restore_table, simulation_table
from twin.logs import set_up_logs
from twin.servers import Progress, ServersError
from twin.servers.progress import console_progress

R = TypeVar("R", ingest_bench.Result, latency_bench.Result, restore_bench.Result, chaos_bench.Result)
C = TypeVar("C", ingest_bench.Result, latency_bench.Result)

app = typer.Typer(no_args_is_help=True, help="Measure the service on this machine, with servers of its own.")

Controllers = Annotated[int, typer.Option(min=1, max=100_000, help="Simulated controllers.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON document on standard output.")]


@app.command(
    epilog="Examples: `twin bench ingest` · `twin bench ingest --quick` · `twin bench ingest --rounds 5 --json`"
)
def ingest(
    *,
    controllers: Controllers = 5_000,
    seconds: Annotated[float, typer.Option(min=1, help="How long is published in each turn.")] = 10.0,
    rate: Annotated[float, typer.Option(min=1, help="Messages published a second, above what can be taken.")] = 40_000,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of floor and service each.")] = 3,
    parts: Annotated[bool, typer.Option(help="Measure the reader by itself, too.")] = True,
    quick: Annotated[
        bool, typer.Option("--quick", help="One short round: does it work, and roughly how fast?")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Sustained QoS 1 messages a second through broker, twins, database and board, next to a floor without twins.

    Exit code 1 if a message that the broker had acknowledged was lost or stored twice.
    """
    if quick:
        seconds, rounds, parts = min(seconds, 3.0), 1, False
    plan = ingest_bench.Plan(controllers, seconds, rate, rounds, parts)
    result = _run(lambda progress: ingest_bench.measure(plan, progress))
    for complaint in filter(None, (turn.complaint for turn in result.turns)):
        typer.echo(complaint, err=True)
    _show(result, ingest_table(result), as_json=as_json)


@app.command(epilog="Examples: `twin bench latency` · `twin bench latency --rate 5000 --seconds 60 --json`")
def latency(
    *,
    controllers: Controllers = 5_000,
    seconds: Annotated[float, typer.Option(min=3, help="How long is published.")] = 20.0,
    rate: Annotated[float, typer.Option(min=1, help="Readings published a second.")] = 2_000,
    warm_up: Annotated[float, typer.Option(min=0, help="How many of these seconds are counted apart.")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Time from a published reading to the WebSocket frame that shows it.

    Exit code 1 if a message that the broker had acknowledged was lost or stored twice.
    """
    if warm_up >= seconds:
        raise typer.BadParameter(f"of {seconds:g} s nothing is left to measure", param_hint="--warm-up")
    plan = latency_bench.Plan(controllers, seconds, rate, warm_up)
    result = _run(lambda progress: latency_bench.measure(plan, progress))
    _show(result, latency_table(result), as_json=as_json)


@app.command(epilog="Examples: `twin bench restore` · `twin bench restore --twins 10000 --json`")
def restore(
    *,
    twins: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many the site has.")] = 100_000,
    as_json: AsJson = False,
) -> None:
    """Time and memory from the start of the service until it is ready, on a large site with a day behind it."""
    result = _run(lambda progress: restore_bench.measure(restore_bench.Plan(twins), progress))
    _print(result, restore_table(result), as_json=as_json)


@app.command(epilog="Examples: `twin bench simulate` · `twin bench simulate --seed 7 --sites 20 --json`")
def simulate(
    *,
    seed: Annotated[int, typer.Option(help="Of the first site; the next ones have the numbers after it.")] = 1,
    sites: Annotated[int, typer.Option(min=1, help="How many sites.")] = 2,
    days: Annotated[int, typer.Option(min=1, max=60, help="How long each is simulated.")] = 5,
    instruments: Annotated[int, typer.Option(min=1, max=100, help="How many each has.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Days of whole sites in virtual time, with faults, held against an oracle that goes second by second.

    Exit code 1 if they disagree; the seeds are printed.
    """
    from benchmarks.simulation.compare import Comparison, compare  # noqa: PLC0415 - `twin up` has no use for numpy

    found = Comparison()
    console = Console(stderr=True)
    with console_progress(console) as progress:
        for number in range(seed, seed + sites):
            progress(f"site {number - seed + 1} of {sites}, seed {number}", (number - seed) / sites)
            compare(number, instruments, days, found)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        Console(width=max(120, Console().width)).print(simulation_table(found))
    for each in found.disagreements:
        typer.echo(each, err=True)
    if found.disagreements:
        raise typer.Exit(1)


@app.command(epilog="Examples: `twin bench chaos` · `twin bench chaos --rounds 5 --seed 7 --scale 0.1 --json`")
def chaos(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How many times things go wrong and are put right.")] = 10,
    seed: Annotated[int, typer.Option(help="Decides what goes wrong, and when.")] = 1,
    busy: Annotated[float, typer.Option(min=2, help="How many seconds a round goes on before the referee looks.")] = 10,
    scale: Annotated[
        float, typer.Option(min=0.01, max=1, help="How long outages last: 1 for processes stopped 5 to 60 s.")
    ] = 1.0,
    sites: Annotated[int, typer.Option(min=1, max=20, help="How many sites share the rounds, at the same time.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Service, broker, database and controllers as processes, killed, stopped and cut off at random; then the books.

    A referee who knows what the controllers really did compares after each round. Exit code 1 if anything differs.
    """
    plan = ChaosPlan(rounds=rounds, seed=seed, sites=sites, busy_s=busy, scale=scale)
    result = _run(lambda progress: chaos_bench.run(plan, progress))
    if as_json:
        typer.echo(msgspec.json.encode(result).decode())
    else:
        Console(width=max(120, Console().width)).print(chaos_table(result))
    for each in result.differences:
        typer.echo(each, err=True)
    if result.differences:
        raise typer.Exit(1)


def _run(measure: Callable[[Progress], Awaitable[R]]) -> R:
    set_up_logs("console", "warning")
    console = Console(stderr=True)

    async def work() -> R:
        with console_progress(console) as progress:
            return await measure(progress)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work())
    except (BenchError, ServersError) as error:
        console.print(f"Cannot measure: {error}", style="bold red", markup=False, highlight=False)
        raise typer.Exit(2) from None


def _print(result: msgspec.Struct, table: Table, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(result).decode())
    else:
        Console(width=max(120, Console().width)).print(table)


def _show(result: C, table: Table, *, as_json: bool) -> None:
    _print(result, table, as_json=as_json)
    if result.lost or result.duplicated:
        raise typer.Exit(1)
