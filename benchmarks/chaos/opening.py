"""A site with all its parts as processes: opened, and closed again whatever state they are in."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from benchmarks.chaos.book import BookReader
from benchmarks.chaos.controllers import Orders
from benchmarks.chaos.disks import small_disk
from benchmarks.chaos.faults import Mischief
from benchmarks.chaos.parts import Broker, Part, Program, Server, Wires
from benchmarks.chaos.proxy import LOOPBACK, Proxy
from benchmarks.chaos.site import TIMEZONE, Site, make_site, register
from benchmarks.chaos.vitals import Vitals
from benchmarks.lab import accounts, servers_folder
from benchmarks.processes import BenchError
from twin.servers import (
    Postgres,
    Progress,
    private_mosquitto,
    private_postgres,
)
from twin.servers.accounts import SERVICE, SPEAKER
from twin.servers.homes import cache_folder, write_secret
from twin.servers.process import until

DISK_MB = 384
_BOOK = "book.jsonl"
_QUIET = "quiet"
_START_S = 90.0
_SETTINGS = {
    "timescaledb.max_background_workers": "0",
    "shared_buffers": "64MB",
    "min_wal_size": "32MB",
    "max_wal_size": "96MB",
}
"""So that it fits on the disk that is filled."""


class Plan(msgspec.Struct, frozen=True):
    """How long and how hard."""

    rounds: int = 100
    seed: int = 1
    sites: int = 3
    """At a time, each of which takes its share of the rounds: most of a round is waiting."""
    busy_s: float = 10.0
    """How long a round goes on before all is put right."""
    scale: float = 0.5
    """Of how long each fault lasts."""
    instruments: int = 8
    people: int = 6
    reading_s: float = 0.25
    tap_s: float = 12.0
    patience_s: float = 90.0
    """How long it may take until all is well again and caught up."""


@dataclass(frozen=True)
class Running:
    """What there is to be attacked, and to look at."""

    site: Site
    http: str
    mischief: Mischief
    vitals: Vitals
    book: BookReader
    quiet: Path
    postgres: Postgres
    service: Program
    controllers: Program

    def database_url(self) -> str:
        """Not by the wire that is cut."""
        return self.postgres.url


@asynccontextmanager
async def opened(plan: Plan, progress: Progress, tables: asyncio.Lock) -> AsyncIterator[Running]:
    """A site of the plan whose service is ready and whose controllers speak.

    `tables` is held while they are filled: Tortoise has the tables of one database open at a time, whoever asks.

    Raises:
        BenchError, ServersError: something cannot be had or does not start.

    """
    site = make_site(plan.instruments, plan.people)
    password, cache = secrets.token_urlsafe(12), cache_folder()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(servers_folder("users-twin-chaos-"))
        disk = stack.enter_context(small_disk(folder / "disk", DISK_MB))
        server = private_postgres(folder / "disk", settings=_SETTINGS, cache=cache, progress=progress)
        postgres = await stack.enter_async_context(server)
        mosquitto = private_mosquitto(folder, accounts(password), cache=cache, progress=progress)
        broker = Broker(await stack.enter_async_context(mosquitto))
        progress("Preparing the site", None)
        async with tables:
            keys = await register(site, postgres.url)
        wires = Wires(broker.address, lambda: (postgres.host, postgres.port))
        for wire in wires.all.values():
            await stack.enter_async_context(wire.opened())
        http_port = _free_port()
        http = f"http://{LOOPBACK}:{http_port}"
        service = _service(
            folder, http_port, _by_way_of(postgres.url, wires.database), _mqtt(SERVICE, password, wires.service)
        )
        controllers = _controllers(folder, plan, site, keys, _mqtt(SPEAKER, password, wires.controllers))
        vitals = Vitals(http)
        for program in (service, controllers):
            stack.push_async_callback(program.stop)
        for wire in wires.all.values():
            stack.callback(wire.heal)  # whatever is wrong in the middle of a round: they end in order
        await stack.enter_async_context(vitals.watched())
        progress("Starting the service", None)
        await service.start()
        await _until_well(vitals, service)
        broker.save()  # or a crash right now would make it forget that there is a service
        await controllers.start()
        parts: dict[str, Part] = {
            each.name: each for each in (service, broker, Server("database", postgres), controllers)
        }
        yield Running(
            site=site,
            http=http,
            mischief=Mischief(parts, wires, disk, vitals, folder / "mosquitto" / "mosquitto.db"),
            vitals=vitals,
            book=BookReader(folder / _BOOK),
            quiet=folder / _QUIET,
            postgres=postgres,
            service=service,
            controllers=controllers,
        )


def _service(folder: Path, http_port: int, database_url: str, mqtt_url: str) -> Program:
    environment = {
        "DATABASE_URL": database_url,
        "MQTT_URL": mqtt_url,
        "TWIN_HOME": str(folder / "home"),
        "TWIN_HTTP_PORT": str(http_port),
        "TWIN_TIMEZONE": TIMEZONE,
        "TWIN_LOG_LEVEL": "warning",
    }
    return Program("service", ["-c", "from twin.cli import main; main()", "up"], environment, folder)


def _controllers(folder: Path, plan: Plan, site: Site, keys: dict[str, str], mqtt_url: str) -> Program:
    orders = Orders(
        controllers=tuple(site.instruments),
        cards=tuple(each.card for each in site.people),
        seed=plan.seed,
        book=str(folder / _BOOK),
        quiet=str(folder / _QUIET),
        reading_s=plan.reading_s,
        tap_s=plan.tap_s,
        keys=keys,
    )
    file = folder / "orders.json"
    write_secret(file, msgspec.json.encode(orders).decode())
    return Program("controllers", ["-m", "benchmarks.chaos.controllers", str(file)], {"MQTT_URL": mqtt_url}, folder)


def _mqtt(username: str, password: str, wire: Proxy) -> str:
    return f"mqtt://{username}:{password}@{LOOPBACK}:{wire.port}"


def _by_way_of(url: str, wire: Proxy) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@{LOOPBACK}:{wire.port}").geturl()


async def _until_well(vitals: Vitals, service: Program) -> None:
    try:
        await until(lambda: vitals.well.since_ms is not None, _START_S)
    except TimeoutError:
        raise BenchError(f"the service was not ready within {_START_S:.0f} s:\n{service.said()}") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
