"""One server process: started in a session of its own, ended by its id, never outliving this process for long."""

import asyncio
import os
import resource
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from twin.servers.errors import ServersError
from twin.servers.homes import ServerUser, private_opener

_POLL_S = 0.02
_START_TIMEOUT_S = 60.0
_LOG_TAIL_CHARS = 2000


class StartError(ServersError):
    """A server ended, or did not become ready, while it was being started; carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a server. `death_signal` is what it gets should this process die without stopping it."""

    command: tuple[str, ...]
    folder: Path
    log: Path
    user: ServerUser | None
    death_signal: signal.Signals
    environment: Mapping[str, str] = field(default_factory=dict)

    def argv(self) -> list[str]:
        """The command, with as many open files as the system lets it have: each controller takes one."""
        command = tied_to_us(list(self.command), self.death_signal, self.user)
        _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        return ["prlimit", f"--nofile={most_files}:{most_files}", *command] if shutil.which("prlimit") else command

    def env(self) -> dict[str, str]:
        """A small environment: settings meant for this process are none of the server's business."""
        path = os.environ.get("PATH", os.defpath)
        return {"PATH": path, "LC_ALL": "C.UTF-8", "TZ": "UTC0", **self.environment}


def tied_to_us(command: list[str], death_signal: signal.Signals, user: ServerUser | None = None) -> list[str]:
    """The command run as `user`, and sent `death_signal` should this process die: by util-linux, where there is one."""
    if not shutil.which("setpriv"):
        return command
    # A changed user clears the death signal: setpriv sets it afterwards.
    identity = [f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"] if user else []
    return ["setpriv", *identity, f"--pdeathsig={death_signal.name.removeprefix('SIG')}", "--", *command]


class ServerProcess:
    """A started server."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    def send(self, number: signal.Signals) -> None:
        """Send the signal, unless it has ended."""
        if self.running:
            self._process.send_signal(number)

    async def stop(self, gently: signal.Signals, timeout_s: float) -> None:
        """Ask it to end; after the time-out, make it."""
        self.send(gently)
        try:
            await asyncio.wait_for(self._process.wait(), timeout_s)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it as a crash would."""
        self.send(signal.SIGKILL)
        await self._process.wait()


async def start(launch: Launch, ready: Callable[[int], bool]) -> ServerProcess:
    """Start the server and wait until it is `ready`, given its process id; raises `StartError` if it ends instead."""
    server = ServerProcess(await _spawn(launch))
    started = False
    try:
        await until(lambda: ready(server.pid) or not server.running, _START_TIMEOUT_S)
        started = server.running
    except TimeoutError:
        message = f"{launch.command[0]} was not ready within {_START_TIMEOUT_S:.0f} s:\n{_tail(launch.log)}"
        raise StartError(message) from None
    finally:
        if not started:
            await server.kill()
    if not started:
        raise StartError(f"{launch.command[0]} did not start:\n{_tail(launch.log)}")
    return server


async def run(launch: Launch) -> None:
    """Run a program to its end; raises `StartError` if it fails."""
    process = await _spawn(launch)
    if await process.wait():
        raise StartError(f"{launch.command[0]} failed:\n{_tail(launch.log)}")


async def _spawn(launch: Launch) -> asyncio.subprocess.Process:
    with _open_log(launch) as log:
        return await asyncio.create_subprocess_exec(
            *launch.argv(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=launch.folder,
            env=launch.env(),
            start_new_session=True,
        )


def _open_log(launch: Launch) -> BinaryIO:
    return open(launch.log, "ab", opener=private_opener)


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL_CHARS:].strip()


async def end_orphan(pid: int, program: str, argument: str, gently: signal.Signals, timeout_s: float) -> None:
    """End a server left over by a process that was killed, after making sure that the id is really that server's."""
    if not is_server(pid, program, argument):
        return
    os.kill(pid, gently)
    try:
        await until(lambda: not is_server(pid, program, argument), timeout_s)
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)


async def until(condition: Callable[[], bool], timeout_s: float) -> None:
    """Wait for something that cannot wake us: a file, a foreign process. Raises `TimeoutError`."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)


def is_server(pid: int, program: str, argument: str) -> bool:
    """Whether the process runs this program with this argument (its own data folder or settings)."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return Path(words[0]).name == program and argument in words
