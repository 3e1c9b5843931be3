"""A whole site in this process: servers where none are given, the service, the web; stopped in the opposite order."""

import asyncio
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec
import structlog

from twin.models.registry import Controller
from twin.running import Running
from twin.servers import (
    Account,
    Servers,
    controller_account,
    hash_password,
    kept_running,
    private_servers,
    service_account,
)
from twin.servers.packages import Progress
from twin.service import TwinService, open_database, open_service
from twin.settings import Settings
from twin.stream.broker import BrokerAddress, parse_broker
from web.app import create_app
from web.server import serving

log = structlog.get_logger(__name__)

Prepare = Callable[[str], Awaitable[Sequence[Account]]]
"""Given the database, fills the registry before the service reads it; gives further accounts for our own broker."""


class Hosted(msgspec.Struct, frozen=True):
    """A site that is up."""

    service: TwinService
    http: str
    broker: BrokerAddress
    database_url: str

    async def until_stopped(self, stop: asyncio.Event) -> None:
        """Wait for `stop`. Raises what ended the service, if that comes first."""
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, self.service.finished}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self.service.finished.done():
            self.service.finished.result()

    def running(self) -> Running:
        """What others need to join, without any account."""
        return msgspec.convert(
            {
                "http": self.http,
                "mqtt": {"host": self.broker.host, "port": self.broker.port},
                "database_url": self.database_url,
            },
            Running,
        )


@asynccontextmanager
async def hosted(settings: Settings, home: Path, progress: Progress, prepare: Prepare) -> AsyncIterator[Hosted]:
    """A site on the servers of the settings, or on its own in `home`, while the block runs.

    Raises:
        ServersError: our own servers cannot be had or started; the message says what to do.
        OSError, asyncpg.PostgresError: given ones cannot be used, or the HTTP address is taken.

    """
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(
            private_servers(
                home, database_url=settings.database_url, own_broker=settings.mqtt_url is None, progress=progress
            )
        )
        await stack.enter_async_context(kept_running(servers))
        progress("Preparing the database", None)
        async with open_database(servers.database_url):
            accounts = await prepare(servers.database_url)
            mqtt_url = settings.mqtt_url or await _own_broker_url(servers, settings, accounts)
        settings = msgspec.structs.replace(settings, database_url=servers.database_url, mqtt_url=mqtt_url)
        progress("Restoring the twins", None)
        service = await stack.enter_async_context(open_service(settings))
        if servers.broker is not None:
            # Were it to crash now, it would not know the service, and forget what is published until that is back.
            await service.subscribed.wait()
            servers.broker.save()
        port = await stack.enter_async_context(serving(create_app(service), settings.http_host, settings.http_port))
        host = f"[{settings.http_host}]" if ":" in settings.http_host else settings.http_host
        log.info("service.ready", http=f"http://{host}:{port}")
        yield Hosted(service, f"http://{host}:{port}", parse_broker(mqtt_url), servers.database_url)


async def _own_broker_url(servers: Servers, settings: Settings, accounts: Sequence[Account]) -> str:
    """Give the broker its accounts: the service's is new at every start, so nothing of it need be kept."""
    assert servers.broker is not None  # noqa: S101 - no MQTT_URL, so there is one of our own
    password = secrets.token_urlsafe(18)
    service = service_account(hash_password(password), settings.topic_prefix)
    known = await Controller.all().values_list("name", "password_hash")
    controllers = [controller_account(name, digest, settings.topic_prefix) for name, digest in known]
    await servers.broker.set_accounts([service, *accounts, *controllers])
    return f"mqtt://{quote(service.username)}:{quote(password)}@{servers.broker.host}:{servers.broker.port}"


def stop_on_signals() -> asyncio.Event:
    """An event that Ctrl-C and SIGTERM set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop
