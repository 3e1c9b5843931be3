"""The private servers for real: accounts, restarts, crashes, leftovers."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiomqtt
import asyncpg
import pytest

from tests.brokers import BrokerInTest
from twin.servers import (
    Postgres,
    controller_account,
    hash_password,
    private_mosquitto,
    private_postgres,
    private_servers,
    service_account,
)
from twin.servers.homes import cache_folder
from twin.servers.process import is_server

_OWNER = """
import asyncio, signal, sys
from pathlib import Path
from twin.servers import private_servers
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts us in the background ignores it
async def main():
    async with private_servers(Path(sys.argv[1])) as servers:
        print(servers.postgres.pid, servers.broker.pid, servers.postgres.port, servers.broker.port, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


def _client(url: str, **settings: object) -> aiomqtt.Client:
    username, _, rest = url.removeprefix("mqtt://").partition(":")
    password, _, address = rest.partition("@")
    host, _, port = address.partition(":")
    return aiomqtt.Client(host, int(port), username=username, password=password, **settings)


async def _next(client: aiomqtt.Client) -> aiomqtt.Message:
    async with asyncio.timeout(30):
        return await anext(aiter(client.messages))


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - processes that are not ours cannot wake us
            await asyncio.sleep(0.02)


async def test_a_database_has_hypertables_durability_and_unicode(bare_database_url: str) -> None:
    connection = await asyncpg.connect(bare_database_url)
    await connection.execute("CREATE TABLE reading (at timestamptz NOT NULL, power_w float8)")
    await connection.execute("SELECT create_hypertable('reading', by_range('at'))")
    tables = await connection.fetch("SELECT hypertable_name FROM timescaledb_information.hypertables")
    settings = [await connection.fetchval(f"SHOW {name}") for name in ("fsync", "server_encoding", "listen_addresses")]
    lower = await connection.fetchval("SELECT lower('ÄÖ') || '仪器'")
    await connection.close()
    assert [table["hypertable_name"] for table in tables] == ["reading"]
    assert settings == ["on", "UTF8", "127.0.0.1"]
    assert lower == "äö仪器"


async def test_a_database_asks_for_its_password(postgres: Postgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host=postgres.host, port=postgres.port, user="twin", password="guess", database="twin")


async def test_what_was_committed_survives_a_crash_of_the_database(postgres: Postgres, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    await postgres.kill()
    assert postgres.pid is None
    await postgres.start()
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT answer FROM kept") == 42
    await connection.close()


async def test_the_broker_refuses_strangers_and_wrong_passwords(broker: BrokerInTest) -> None:
    await broker.account("c1", "right")
    for username, password in (("c1", "wrong"), ("nobody", "right")):
        with pytest.raises(aiomqtt.MqttError):
            async with _client(broker.url_of(username, password)):
                pass
    with pytest.raises(aiomqtt.MqttError):
        async with aiomqtt.Client(broker.host, broker.port):
            pass


async def test_a_controller_is_heard_for_itself_only(broker: BrokerInTest) -> None:
    url = await broker.account("c1", "secret")
    async with _client(broker.url) as service, _client(url) as controller:
        await service.subscribe("users/v1/#", qos=1)
        for topic in (
            "users/v1/c2/reading",
            "users/v1/c1/command",
            "users/v1/twin/SEM",
            "other",
            "users/v1/c1/reading",
        ):
            await controller.publish(topic, topic, qos=1)
        message = await _next(service)
    assert str(message.topic) == "users/v1/c1/reading"


async def test_a_controller_hears_its_own_commands_only(broker: BrokerInTest) -> None:
    url = await broker.account("c1", "secret")
    async with _client(broker.url) as service, _client(url) as controller:
        await controller.subscribe("#", qos=1)
        for topic in ("users/v1/c2/command", "users/v1/c1/reading", "users/v1/c1/command"):
            await service.publish(topic, b"{}", qos=1)
        message = await _next(controller)
    assert str(message.topic) == "users/v1/c1/command"


async def test_the_speaker_speaks_for_every_controller_and_hears_twins(broker: BrokerInTest) -> None:
    async with _client(broker.url) as service, _client(broker.speaker_url) as speaker:
        await service.subscribe("users/v1/+/reading", qos=1)
        await speaker.subscribe("users/v1/twin/#", qos=1)
        await speaker.publish("users/v1/any/reading", b"1", qos=1)
        await service.publish("users/v1/twin/SEM-1", b"2", qos=1)
        assert (await _next(service)).payload == b"1"
        assert (await _next(speaker)).payload == b"2"


async def test_five_thousand_accounts_are_in_force(broker: BrokerInTest) -> None:
    accounts = [controller_account(f"c{number}", hash_password(f"p{number}")) for number in range(5000)]
    service = service_account(hash_password(broker.service_password))
    await broker.server.set_accounts([service, *accounts])
    async with _client(broker.url_of("c4999", "p4999")):
        pass


async def test_accounts_are_in_force_however_soon_they_follow_one_another(broker: BrokerInTest) -> None:
    secret = hash_password("secret")
    many = [controller_account(f"c{number}", secret) for number in range(5000)]  # to read them takes a while
    for newest in range(4990, 5000):
        await broker.server.set_accounts(many[: newest + 1])
    async with _client(broker.url_of("c4999", "secret")):
        pass


async def test_who_loses_the_account_is_disconnected(broker: BrokerInTest) -> None:
    url = await broker.account("c1", "secret")
    async with AsyncExitStack() as stack:
        controller = await stack.enter_async_context(_client(url))
        await broker.server.set_accounts([])
        with pytest.raises(aiomqtt.MqttError):
            await _next(controller)
        stack.pop_all()  # nobody is left to say goodbye to


async def test_a_megabyte_passes(broker: BrokerInTest) -> None:
    payload = os.urandom(1_000_000)
    async with _client(broker.url) as service, _client(broker.speaker_url) as speaker:
        await service.subscribe("users/v1/c1/reading", qos=1)
        await speaker.publish("users/v1/c1/reading", payload, qos=1)
        assert (await _next(service)).payload == payload


async def test_messages_for_an_absent_service_survive_a_restart_of_the_broker(broker: BrokerInTest) -> None:
    port = broker.port
    stay = {"identifier": "service", "clean_session": False}
    async with _client(broker.url, **stay) as service:
        await service.subscribe("users/v1/+/reading", qos=1)
    async with _client(broker.speaker_url) as speaker:
        for number in range(2000):  # more than Mosquitto keeps by default
            await speaker.publish(f"users/v1/c{number}/reading", str(number), qos=1)
    await broker.stop()
    await broker.start()
    assert broker.port == port
    async with _client(broker.url, **stay) as service:
        received = [int((await _next(service)).payload) for _ in range(2000)]
    assert received == list(range(2000))


async def test_a_second_start_makes_nothing_anew_and_keeps_data_password_and_ports(servers_home: Path) -> None:
    which = "SELECT system_identifier FROM pg_control_system()"
    async with private_servers(servers_home) as first:
        before = first.database_url, first.broker.port
        connection = await asyncpg.connect(first.database_url)
        made = await connection.fetchval(which)
        await connection.execute("CREATE TABLE kept ()")
        await connection.close()
    async with private_servers(servers_home) as second:
        assert (second.database_url, second.broker.port) == before
        connection = await asyncpg.connect(second.database_url)
        assert await connection.fetchval(which) == made
        await connection.execute("DROP TABLE kept")
        await connection.close()


async def test_a_taken_port_is_left_to_whoever_has_it(servers_home: Path) -> None:
    async with private_mosquitto(servers_home, cache=cache_folder()) as broker:
        port = broker.port
    with socket.create_server(("127.0.0.1", port)):
        async with private_mosquitto(servers_home, cache=cache_folder()) as broker:
            assert broker.port != port


async def test_each_server_can_be_switched_off(servers_home: Path) -> None:
    async with private_servers(servers_home, database_url="postgresql://elsewhere", own_broker=False) as servers:
        assert (servers.database_url, servers.postgres, servers.broker) == ("postgresql://elsewhere", None, None)
    assert list(servers_home.iterdir()) == []


def _owner(home: Path) -> tuple[subprocess.Popen[str], list[int]]:
    command = [sys.executable, "-c", _OWNER, str(home)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert owner.stdout is not None
    return owner, [int(word) for word in owner.stdout.readline().split()]


def _alive(pid: int, home: Path) -> bool:
    arguments = (("postgres", str(home / "postgres/data")), ("mosquitto", str(home / "mosquitto/mosquitto.conf")))
    return any(is_server(pid, program, argument) for program, argument in arguments)


async def test_the_servers_end_when_their_owner_is_killed(servers_home: Path) -> None:
    owner, (database, broker, *_ports) = await asyncio.to_thread(_owner, servers_home)
    with owner:
        assert _alive(database, servers_home)
        assert _alive(broker, servers_home)
        owner.kill()
    await _until(lambda: not _alive(database, servers_home) and not _alive(broker, servers_home))


async def test_an_interrupt_from_the_terminal_reaches_the_owner_first(servers_home: Path) -> None:
    owner, (database, broker, *_ports) = await asyncio.to_thread(_owner, servers_home)
    with owner:
        assert os.getpgid(database) != os.getpgid(owner.pid)
        assert os.getpgid(broker) != os.getpgid(owner.pid)
        owner.send_signal(signal.SIGINT)
    assert not _alive(database, servers_home)
    assert not _alive(broker, servers_home)
    assert "database system is shut down" in (servers_home / "postgres.log").read_text()


async def test_a_server_left_over_by_a_killed_owner_is_ended_first(servers_home: Path) -> None:
    async with (
        private_postgres(servers_home, cache=cache_folder()) as leftover,
        private_mosquitto(servers_home, cache=cache_folder()) as old,
    ):
        orphans = leftover.pid, old.pid
        async with (
            private_postgres(servers_home, cache=cache_folder()) as postgres,
            private_mosquitto(servers_home, cache=cache_folder()) as broker,
        ):
            assert None not in orphans
            assert orphans[0] != postgres.pid
            assert not any(_alive(pid, servers_home) for pid in orphans if pid)
            assert (postgres.port, broker.port) == (leftover.port, old.port)


async def test_a_process_id_that_belongs_to_another_program_now_is_left_alone(servers_home: Path) -> None:
    async with private_postgres(servers_home, cache=cache_folder()):
        lines = (servers_home / "postgres/data/postmaster.pid").read_text().splitlines()
    with subprocess.Popen(["/bin/sleep", "60"]) as other:
        stale = "\n".join([str(other.pid), *lines[1:], ""])
        (servers_home / "postgres/data/postmaster.pid").write_text(stale)
        async with private_postgres(servers_home, cache=cache_folder()) as postgres:
            assert postgres.pid is not None
            assert other.poll() is None
        other.kill()


async def test_no_secret_is_in_arguments_or_for_others_to_read(servers_home: Path) -> None:
    async with private_servers(servers_home) as servers:
        password = (servers_home / "postgres.password").read_text()
        words = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (servers.postgres.pid, servers.broker.pid)]
        modes = {path.name: path.stat().st_mode & 0o777 for path in servers_home.iterdir()}
    assert all(password.encode() not in word for word in words)
    assert (modes["postgres"], modes["mosquitto"]) == (0o700, 0o700)
    assert (modes["postgres.password"], modes["postgres.log"], modes["mosquitto.log"]) == (0o600, 0o600, 0o600)
