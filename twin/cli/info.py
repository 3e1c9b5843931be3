"""`twin info`: how to join a running service."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from twin.running import Running, find_running


def info(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: passwords included, so keep it safe.")] = False,
) -> None:
    """Show where the running service is.

    With `--json` everything another program needs to join it: HTTP, MQTT, database, and a demo's accounts.

    Example: `twin info --json | controllers-sim run --controllers 300 --join -`
    """
    running = find_running()
    if running is None:
        Console(stderr=True).print("No service runs here. Start one: twin demo, or twin up.")
        raise typer.Exit(1)
    if as_json:
        typer.echo(msgspec.json.encode(running).decode())
    else:
        Console().print(_table(running))


def _table(running: Running) -> Table:
    table = Table(show_header=False, box=None)
    table.add_row("Board", running.http)
    table.add_row("Broker", f"{running.mqtt.host}:{running.mqtt.port}")
    table.add_row("Accounts", ", ".join(account.username for account in running.accounts) or "-")
    return table
