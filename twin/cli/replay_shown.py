"""How `twin replay` shows what it has found: for people, and as CSV."""

import csv
from collections.abc import Iterator
from io import StringIO

from rich.console import Console
from rich.table import Table

from twin.replay.records import Window
from twin.replay.verify import Verified
from twin.replay.whatif import Sums, WhatIf
from twin.views import rfc3339


def print_verified(console: Console, verified: Verified, most: int | None) -> None:
    """The differences, at most so many, and what was compared."""
    found = verified.differences
    if found:
        console.print(_differences(verified, most))
    if most is not None and len(found) > most:
        console.print(f"... and {len(found) - most} more: --all lists them.")
    console.print(
        f"{_stretch(verified.window)}: {verified.instruments} instruments, "
        f"{verified.sessions} sessions, {verified.alerts} alerts, {verified.charges} charges.",
        soft_wrap=True,
    )
    console.print(_speed(verified), soft_wrap=True)
    console.print(f"[bold {'red' if found else 'green'}]{len(found)} differences[/]")


def _differences(verified: Verified, most: int | None) -> Table:
    table = Table("Kind", "Instrument", "What", "Stored", "Replayed")
    for each in verified.differences[:most]:
        table.add_row(each.kind, each.instrument, each.what, each.stored, each.replayed)
    return table


def print_what_if(console: Console, found: WhatIf) -> None:
    """Each instrument as it was, and below that as it would have been."""
    console.print(_stretch(found.window), soft_wrap=True)
    table = Table("Instrument", "", "Charged", "Minutes", "Gross CNY", "Net CNY", "Alerts")
    for each in found.instruments:
        table.add_row(each.instrument, "was", *_cells(each.was))
        table.add_row("", "would be", *_cells(each.would_be), end_section=True)
    console.print(table)
    console.print(_speed(found), soft_wrap=True)


def _cells(sums: Sums) -> Iterator[str]:
    measures = _measures(sums)
    yield from (measures.pop(name) for name in ("charged", "minutes", "gross_cny", "net_cny"))
    yield "\n".join(f"{count} {kind}" for kind, count in measures.items())


def what_if_csv(found: WhatIf) -> str:
    """A line for each instrument and measure."""
    text = StringIO()
    lines = csv.writer(text)
    lines.writerow(["instrument", "measure", "was", "would_be"])
    for each in found.instruments:
        was, new = _measures(each.was), _measures(each.would_be)
        for name in {**was, **new}:
            lines.writerow([each.instrument, name, was.get(name, "0"), new.get(name, "0")])
    return text.getvalue()


def _measures(sums: Sums) -> dict[str, str]:
    money = {"gross_cny": f"{sums.gross_cny:.2f}", "net_cny": f"{sums.net_cny:.2f}"}
    counts = {kind: str(count) for kind, count in sums.alerts.items()}
    return {"charged": str(sums.charged), "minutes": str(sums.minutes), **money, **counts}


def _stretch(window: Window) -> str:
    return f"{rfc3339(window.from_ms)} to {rfc3339(window.until_ms)}"


def _speed(found: Verified | WhatIf) -> str:
    return (
        f"{found.events:,} events in {found.seconds:.1f} s; a second and core {_rate(found.events, found.core_s)}, "
        f"without reading {_rate(found.events, found.telling_s)}."
    )


def _rate(events: int, seconds: float) -> str:
    return f"{events / seconds:,.0f}" if seconds else "-"
