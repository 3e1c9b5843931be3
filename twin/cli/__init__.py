"""The command line: `twin`."""

import typer

from benchmarks.cli import app as bench
from twin.cli.backup import BACKUP_EPILOG, RESTORE_EPILOG, backup, restore
from twin.cli.demo import demo
from twin.cli.doctor import doctor
from twin.cli.info import info
from twin.cli.replay import EPILOG as REPLAY_EPILOG
from twin.cli.replay import replay
from twin.cli.up import up

app = typer.Typer(
    help="Live digital twins of shared scientific instruments.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo)
app.command()(up)
app.command()(info)
app.command()(doctor)
app.command(epilog=REPLAY_EPILOG)(replay)
app.command(epilog=BACKUP_EPILOG)(backup)
app.command(epilog=RESTORE_EPILOG)(restore)
app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command line."""
    app()
