"""Keeping our own servers running: one that has ended by itself is started again, on the same port and data."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from twin.servers.errors import ServersError
from twin.servers.mosquitto import Mosquitto
from twin.servers.postgres import Postgres
from twin.servers.private import Servers

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.5
"""Also the pause between two attempts: a server that cannot start must not be tried in a tight loop."""


@asynccontextmanager
async def kept_running(servers: Servers) -> AsyncIterator[None]:
    """Look after the servers while the block runs. Stop them in order only after it."""
    looking = asyncio.create_task(_look_after(servers), name="servers")
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait([looking])


async def _look_after(servers: Servers) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        for server in (servers.postgres, servers.broker):
            if server is not None and server.pid is None:
                await _start_again(server)


async def _start_again(server: Postgres | Mosquitto) -> None:
    name = type(server).__name__.lower()
    log.warning("server.ended", server=name)
    try:
        await server.start()
    except (ServersError, OSError) as error:
        log.error("server.not_started", server=name, error=str(error))  # noqa: TRY400 - the message says it all
    else:
        log.info("server.started_again", server=name, port=server.port)
