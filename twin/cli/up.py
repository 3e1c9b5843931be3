"""`twin up`: the service."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from rich.console import Console

from twin.cli.hosting import hosted, stop_on_signals
from twin.cli.options import Host, Port, explained, run, settings_with
from twin.logs import set_up_logs
from twin.running import announced
from twin.servers import Account, claim_home
from twin.servers.progress import console_progress
from twin.settings import Settings

EPILOG = """
Examples:

    twin up

    twin up --port 9000

    DATABASE_URL=postgresql://... MQTT_URL=mqtt://... TWIN_LOG_FORMAT=json twin up
"""


def up(host: Host = None, port: Port = None) -> None:
    """Run the service: twins, ledger, board and API in one process, until Ctrl-C or SIGTERM.

    Without `DATABASE_URL` and `MQTT_URL` it starts a private TimescaleDB and a private broker.
    """
    errors = Console(stderr=True)
    with explained(errors):
        settings = settings_with(http_host=host, http_port=port)
        set_up_logs(settings.log_format, settings.log_level)
        run(_up(settings, errors))


async def _up(settings: Settings, console: Console) -> None:
    stop = stop_on_signals()
    with claim_home("site") as home:
        async with AsyncExitStack() as stack:
            with console_progress(console) as progress:
                site = await stack.enter_async_context(hosted(settings, home, progress, _nothing_more))
            with announced(home, site.running()):
                await site.until_stopped(stop)


async def _nothing_more(_database_url: str) -> Sequence[Account]:
    return ()
