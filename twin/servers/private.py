"""The two servers the service needs, started where the caller has none of their own."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from twin.servers.accounts import Account
from twin.servers.homes import cache_folder
from twin.servers.mosquitto import Mosquitto, private_mosquitto
from twin.servers.packages import Progress, quiet
from twin.servers.postgres import Postgres, private_postgres


@dataclass(frozen=True, slots=True)
class Servers:
    """What runs. `postgres` and `broker` are None where the caller brought their own."""

    database_url: str
    postgres: Postgres | None
    broker: Mosquitto | None


@asynccontextmanager
async def private_servers(
    home: Path,
    accounts: Iterable[Account] = (),
    *,
    database_url: str | None = None,
    own_broker: bool = True,
    settings: Mapping[str, str] | None = None,
    progress: Progress = quiet,
    cache: Path | None = None,
) -> AsyncIterator[Servers]:
    """TimescaleDB and Mosquitto in `home` (see `claim_home`); stopped in order at the end, the broker first.

    The first use of a machine downloads them. With a `database_url` no database is started, without `own_broker` no
    broker. `settings` are PostgreSQL's. Raises `ServersError` with a message for the person at the keyboard.
    """
    cache = cache or cache_folder()
    async with AsyncExitStack() as stack:
        postgres = broker = None
        if database_url is None:
            running = private_postgres(home, settings=settings, cache=cache, progress=progress)
            postgres = await stack.enter_async_context(running)
            database_url = postgres.url
        if own_broker:
            broker = await stack.enter_async_context(private_mosquitto(home, accounts, cache=cache, progress=progress))
        yield Servers(database_url, postgres, broker)
