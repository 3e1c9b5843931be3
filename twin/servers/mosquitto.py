"""A Mosquitto of one's own: loopback only, one account a controller, everything queued kept over a restart."""

import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiomqtt

from twin.servers.accounts import Account, acl_file, password_file
from twin.servers.homes import make_server_folder, server_user, write_secret
from twin.servers.packages import Progress, quiet
from twin.servers.ports import LOOPBACK, on_free_port
from twin.servers.process import Launch, ServerProcess, end_orphan, start, until
from twin.servers.programs import Program, mosquitto_program

_STOP_TIMEOUT_S = 30.0
_RELOAD_TIMEOUT_S = 30.0
_RUNNING = " running"
_RELOADING = "Reloading config."
_SETTINGS = """\
listener {port} {host}
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/acl
persistence true
persistence_location {folder}/
autosave_interval 10
pid_file {folder}/pid
log_dest stderr
log_type error
log_type warning
log_type notice
log_type information
connection_messages false
set_tcp_nodelay true
# The service acknowledges a message once it is committed: until then, and while the service is away, it waits here.
max_inflight_messages 30000
max_inflight_bytes 67108864
max_queued_messages 1000000
max_queued_bytes 536870912
max_packet_size 4194304
"""


class Mosquitto:
    """A broker in a folder; `private_mosquitto` starts and stops it."""

    def __init__(self, program: Program, home: Path, accounts: Iterable[Account] = ()) -> None:
        self._program = program
        self._home = home
        self._accounts = tuple(accounts)
        self._user = server_user()
        self._folder = home / "mosquitto"
        self._log = home / "mosquitto.log"
        self._server: ServerProcess | None = None
        self.host = LOOPBACK
        self.port = 0

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._server.pid if self._server and self._server.running else None

    async def start(self) -> None:
        """Start it with the accounts it has; raises `ServersError`."""
        make_server_folder(self._folder, self._user)
        await self._end_leftover()
        self._write_accounts()
        self.port = await on_free_port(self._home / "mosquitto.port", self._start_on)

    async def stop(self) -> None:
        """Stop it in order: sessions and queued messages are on disk."""
        if self._server:
            await self._server.stop(signal.SIGTERM, _STOP_TIMEOUT_S)

    async def kill(self) -> None:
        """End it as a crash would: what it had queued since its last save is gone."""
        if self._server:
            await self._server.kill()

    def save(self) -> None:
        """Write sessions and queues to disk now, not only at the next interval."""
        if self._server:
            self._server.send(signal.SIGUSR1)

    async def set_accounts(self, accounts: Iterable[Account]) -> None:
        """Replace all accounts; in force on return. Whoever lost theirs is disconnected.

        Raises:
            TimeoutError: the broker does not take notice.

        """
        self._accounts = tuple(accounts)
        self._write_accounts()
        if self._server and self._server.running:
            await self._reload(self._server)

    async def _reload(self, server: ServerProcess) -> None:
        """Have the files read. It says when it begins to, and answers nobody until it has; a signal then is lost."""
        written = self._log.stat().st_size
        server.send(signal.SIGHUP)
        await until(lambda: _RELOADING in self._logged_since(written), _RELOAD_TIMEOUT_S)
        with suppress(aiomqtt.MqttError):  # any answer will do: this one is a refusal
            async with aiomqtt.Client(self.host, self.port, timeout=_RELOAD_TIMEOUT_S):
                pass

    def _write_accounts(self) -> None:
        write_secret(self._folder / "passwords", password_file(self._accounts), self._user)
        write_secret(self._folder / "acl", acl_file(self._accounts), self._user)

    async def _start_on(self, port: int) -> None:
        text = _SETTINGS.format(port=port, host=self.host, folder=self._folder)
        write_secret(self._settings, text, self._user)
        written = self._log.stat().st_size if self._log.exists() else 0
        command = (str(self._program.path), "-c", str(self._settings))
        launch = Launch(command, self._folder, self._log, self._user, signal.SIGTERM, self._program.environment)
        self._server = await start(launch, lambda _pid: _RUNNING in self._logged_since(written))

    @property
    def _settings(self) -> Path:
        return self._folder / "mosquitto.conf"

    def _logged_since(self, position: int) -> str:
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    async def _end_leftover(self) -> None:
        """End a broker whose owner was killed. The claim on the home says that it belongs to nobody now."""
        pid_file = self._folder / "pid"
        if pid_file.is_file() and (pid := pid_file.read_text(encoding="ascii").strip()):
            await end_orphan(int(pid), "mosquitto", str(self._settings), signal.SIGTERM, _STOP_TIMEOUT_S)


@asynccontextmanager
async def private_mosquitto(
    home: Path, accounts: Iterable[Account] = (), *, cache: Path, progress: Progress = quiet
) -> AsyncIterator[Mosquitto]:
    """A running broker; stopped in order at the end."""
    program = await mosquitto_program(cache, progress)
    mosquitto = Mosquitto(program, home, accounts)
    progress("Starting Mosquitto", None)
    try:
        await mosquitto.start()
        yield mosquitto
    finally:
        await mosquitto.stop()
