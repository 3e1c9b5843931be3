"""`twin doctor`: is everything there that the service needs?"""

from typing import Annotated

import msgspec
import typer
from rich.console import Console

from twin.checkup import Finding, examine
from twin.cli.options import Host, Port, explained, run, settings_with
from twin.settings import Settings

_SIGNS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[red]✗[/]"}


def doctor(
    *,
    host: Host = None,
    port: Port = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Check database, extension and licence, broker, clock, ports and permissions, and say what to do.

    Exit code 1 if the service could not run. Example: `DATABASE_URL=postgresql://... twin doctor`
    """
    with explained(Console(stderr=True)):
        findings = run(_findings(settings_with(http_host=host, http_port=port)))
    if as_json:
        typer.echo(msgspec.json.encode(findings).decode())
    else:
        _print(findings)
    if any(finding.level == "failed" for finding in findings):
        raise typer.Exit(1)


async def _findings(settings: Settings) -> list[Finding]:
    return [finding async for finding in examine(settings)]


def _print(findings: list[Finding]) -> None:
    console = Console(highlight=False)
    for finding in findings:
        console.print(f"{_SIGNS[finding.level]} {finding.check}: {finding.saw}", soft_wrap=True)
        if finding.advice:
            console.print(f"    → {finding.advice}", soft_wrap=True)
