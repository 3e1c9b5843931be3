"""Results as tables for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks import ingest, latency, restore
from benchmarks.chaos import run as chaos

if TYPE_CHECKING:
    from benchmarks.simulation.compare import Comparison

_COUNTS = ("unseen", "frames", "lost", "twice")
_PROCESSES = ("subject", "database", "broker", "publisher", "board")


def ingest_table(result: ingest.Result) -> Table:
    """Every turn, then the medians."""
    plan = result.plan
    table = Table(
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title=f"Ingest: QoS 1 readings of {plan.controllers} controllers, {plan.seconds:g} s a turn",
        caption="stored/s: from the first published to the last committed, backlog included; µs: CPU time a message",
    )
    table.add_column("turn", no_wrap=True)
    for heading in ("published/s", "stored/s", *(f"{name}\nµs" for name in _PROCESSES), "a\ncommit", "lost", "twice"):
        table.add_column(heading, justify="right", no_wrap=True)
    for turn in result.turns:
        table.add_row(turn.subject.value, *_cells(turn))
    table.add_section()
    for subject, rate in result.rates.items():
        table.add_row(f"median {subject.value}", "", f"{rate:,.0f}", style="bold")
    table.add_row("service : floor", "", f"{result.ratio:.2f}", style="bold")
    return table


def _cells(turn: ingest.Turn) -> Sequence[str]:
    cpu = [f"{turn.cpu_us[name]:.1f}" if name in turn.cpu_us else "" for name in _PROCESSES]
    rates = f"{turn.publish_rate:,.0f}", f"{turn.rate:,.0f}"
    return *rates, *cpu, _number(turn.messages_a_commit), _number(turn.lost), _number(turn.duplicated)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def latency_table(result: latency.Result) -> Table:
    """The one line."""
    plan = result.plan
    table = Table(
        box=SIMPLE_HEAD, title=f"Latency: published reading to frame at a board, {plan.controllers} controllers"
    )
    warm_up = f"warm-up {plan.warm_up_s:g} s:\nmax ms"
    for heading in ("readings/s", "measured", "p50 ms", "p99 ms", "max ms", warm_up, *_COUNTS):
        table.add_column(heading, justify="right")
    delays = (f"{value:.1f}" for value in (result.p50_ms, result.p99_ms, result.max_ms, result.warm_up_max_ms))
    counts = (result.unseen, result.frames, result.lost, result.duplicated)
    table.add_row(f"{result.publish_rate:,.0f}", f"{result.measured:,}", *delays, *(f"{count:,}" for count in counts))
    return table


def restore_table(result: restore.Result) -> Table:
    """The one line."""
    site = result.site
    table = Table(
        box=SIMPLE_HEAD,
        title=f"Restart: {site.twins:,} twins, {site.open_sessions:,} open sessions, {site.bookings:,} bookings, "
        f"{site.people:,} people; {site.checkpoint_bytes:,.0f} bytes a checkpoint",
    )
    for heading in ("ready s", "ready MB", "CPU s", "abreast s", "abreast MB"):
        table.add_column(heading, justify="right")
    seconds, memory = (result.ready_s, result.ready_cpu_s, result.abreast_s), (result.ready_mb, result.abreast_mb)
    ready_s, cpu_s, abreast_s = (f"{value:.1f}" for value in seconds)
    ready_mb, abreast_mb = (f"{value:,.0f}" for value in memory)
    table.add_row(ready_s, ready_mb, cpu_s, abreast_s, abreast_mb)
    return table


def simulation_table(found: "Comparison") -> Table:
    """The one line."""
    table = Table(box=SIMPLE_HEAD, title=f"Simulation: seeds {found.seeds[0]} to {found.seeds[-1]}")
    for heading in ("instrument-days", "messages", "sessions", "alerts", "refolds", "restarts", "disagreements"):
        table.add_column(heading, justify="right")
    counts = (found.instrument_days, found.messages, found.sessions, found.alerts, found.refolds, found.restarts)
    table.add_row(*(f"{count:,}" for count in counts), f"{len(found.disagreements):,}")
    return table


def chaos_table(result: chaos.Result) -> Table:
    """What went wrong, and what the referee counted."""
    title = f"Chaos: {result.rounds} rounds, seed {result.plan.seed}, {result.seconds:,.0f} s"
    table = Table(box=SIMPLE_HEAD, title=title, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in result.faults.items():
        table.add_row(name, f"{count:,}")
    for name, count in result.not_run.items():
        table.add_row(f"not run here: {name}", f"{count:,}")
    table.add_section()
    for what, count in (
        ("readings acknowledged", result.readings),
        ("messages acknowledged", result.messages),
        ("of these lost by a broker that crashed", result.forgotten),
        ("asked for over HTTP", result.attempts),
        ("sessions", result.sessions),
        ("let in by controllers that were cut off", result.let_in),
        ("sessions that never opened", result.void),
        ("charge lines", result.charges),
        ("ends of the service by itself", result.service_ends),
    ):
        table.add_row(what, f"{count:,}")
    table.add_row("worst time until all was well and caught up", f"{result.worst_catch_up_s:.1f} s")
    table.add_row("differences", f"{len(result.differences):,}", style="bold")
    return table
