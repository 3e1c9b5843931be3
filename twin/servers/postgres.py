"""A PostgreSQL with TimescaleDB of one's own: loopback only, password and data kept in the home folder."""

import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from twin.servers.homes import make_server_folder, server_user, write_secret
from twin.servers.packages import Progress, quiet
from twin.servers.ports import LOOPBACK, on_free_port
from twin.servers.process import Launch, ServerProcess, end_orphan, run, start
from twin.servers.programs import Program, postgres_programs

DATABASE = "twin"
_USER = "twin"
_STOP_TIMEOUT_S = 60.0
_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_locks_per_transaction": "256",  # a query over a hypertable locks every chunk it may touch
    "wal_compression": "on",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "timezone": "GMT",  # the one zone that needs no zone files
    "log_timezone": "GMT",
    "log_min_messages": "warning",
}


class Postgres:
    """A database server in a folder; `private_postgres` starts and stops it."""

    def __init__(self, program: Program, home: Path, settings: Mapping[str, str]) -> None:
        self._program = program
        self._home = home
        self._settings = {**_SETTINGS, **settings}
        self._user = server_user()
        self._folder = home / "postgres"
        self._data = self._folder / "data"
        self._server: ServerProcess | None = None
        self.host = LOOPBACK
        self.port = 0

    @property
    def url(self) -> str:
        """The database of the twin, with its account."""
        return self.url_of(DATABASE)

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._server.pid if self._server and self._server.running else None

    def url_of(self, database: str) -> str:
        """The address of another database of this server."""
        return f"postgresql://{_USER}:{self._password()}@{self.host}:{self.port}/{database}"

    async def start(self) -> None:
        """Start it, with a new data folder the first time; raises `ServersError`."""
        make_server_folder(self._folder, self._user)
        await self._end_leftover()
        if not self._data.is_dir():
            await self._create()
        self.port = await on_free_port(self._home / "postgres.port", self._start_on)

    async def stop(self) -> None:
        """Stop it in order: running transactions are rolled back, everything committed is on disk."""
        if self._server:
            await self._server.stop(signal.SIGINT, _STOP_TIMEOUT_S)

    async def kill(self) -> None:
        """End it as a crash would."""
        if self._server:
            await self._server.kill()

    async def create_database(self, name: str) -> str:
        """Create an empty database that has TimescaleDB, unless it is there; returns its address."""
        connection = await asyncpg.connect(self.url_of("postgres"))
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name):
                await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()
        await _provide_extension(self.url_of(name))
        return self.url_of(name)

    async def drop_database(self, name: str) -> None:
        """Drop a database, and the connections to it."""
        connection = await asyncpg.connect(self.url_of("postgres"))
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        finally:
            await connection.close()

    def _password(self) -> str:
        return (self._home / "postgres.password").read_text(encoding="ascii").strip()

    async def _create(self) -> None:
        write_secret(self._home / "postgres.password", secrets.token_urlsafe(24))
        password = self._folder / "password"
        write_secret(password, self._password(), self._user)
        # Only a folder that initdb has finished gets the name that counts.
        unfinished = self._folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        how = (f"--username={_USER}", f"--pwfile={password}", "--auth=scram-sha-256", "--encoding=UTF8")
        await run(self._launch("initdb", "-D", str(unfinished), *how, "--locale=C.UTF-8"))
        password.unlink()
        with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as config:
            config.write("include = 'twin.conf'\n")
        unfinished.rename(self._data)

    async def _start_on(self, port: int) -> None:
        lines = [f"{name} = '{value}'\n" for name, value in {**self._settings, "port": str(port)}.items()]
        write_secret(self._data / "twin.conf", "".join(lines), self._user)
        self._server = await start(self._launch("postgres", "-D", str(self._data)), self._is_ready)

    def _is_ready(self, pid: int) -> bool:
        lines = self._pid_file()
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _pid_file(self) -> list[str]:
        """Process id, data folder, start time, port, socket folder, address, shared memory, state: one a line."""
        path = self._data / "postmaster.pid"
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []

    async def _end_leftover(self) -> None:
        """End a server whose owner was killed. The claim on the home says that it belongs to nobody now."""
        if lines := self._pid_file():
            await end_orphan(int(lines[0]), "postgres", str(self._data), signal.SIGINT, _STOP_TIMEOUT_S)
            # Should the id belong to another program by now, PostgreSQL would take that one for itself and refuse.
            (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self, program: str, *arguments: str) -> Launch:
        command = (str(self._program.path / program), *arguments)
        log = self._home / "postgres.log"
        return Launch(command, self._folder, log, self._user, signal.SIGINT, self._program.environment)


@asynccontextmanager
async def private_postgres(
    home: Path, *, settings: Mapping[str, str] | None = None, cache: Path, progress: Progress = quiet
) -> AsyncIterator[Postgres]:
    """A running server with the twin's database; stopped in order at the end."""
    program = await postgres_programs(cache, progress)
    postgres = Postgres(program, home, settings or {})
    progress("Starting TimescaleDB", None)
    try:
        await postgres.start()
        await postgres.create_database(DATABASE)
        yield postgres
    finally:
        await postgres.stop()


async def _provide_extension(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    finally:
        await connection.close()
