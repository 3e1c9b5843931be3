"""The parts under test, each as processes of their own: killed by their ids, stopped, and started again."""

import asyncio
import os
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.chaos.proxy import Proxy
from twin.servers import Mosquitto, Postgres, ServersError
from twin.servers.process import tied_to_us

_ROOT = Path(__file__).parent.parent.parent
_AGAIN_S = 0.3
"""Between two starts of a program that ends by itself, as a supervisor would wait."""
_LOG_TAIL_CHARS = 3000


class Part(ABC):
    """Something that can be killed."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def pids(self) -> Sequence[int]:
        """All its processes, the one that the others descend from first; none while it does not run."""

    @abstractmethod
    async def start(self) -> None:
        """Start it, again as well. Raises `ServersError` where it cannot be."""

    @abstractmethod
    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""

    def pause(self) -> None:
        """SIGSTOP to all of its processes."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)


async def to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Carry something out even if whoever waits for it is cancelled: a server half started would belong to nobody."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class Program(Part):
    """A Python program of ours, started again whenever it ends by itself, as by a supervisor."""

    def __init__(self, name: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        super().__init__(name)
        self._arguments = arguments
        self._environment = {**os.environ, **environment}
        self.log = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._spawning = asyncio.Lock()
        self.ended_by_itself: list[int] = []
        """The exit codes."""

    def pids(self) -> Sequence[int]:
        process = self._process
        return () if process is None or process.returncode is not None else (process.pid,)

    async def start(self) -> None:
        await to_the_end(self._spawn())
        self._keeping = asyncio.create_task(self._keep(), name=self.name)

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Let it end in order."""
        self.resume()
        await self._end(signal.SIGTERM)

    def said(self) -> str:
        """The end of what it said."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL_CHARS:]

    async def _end(self, number: signal.Signals) -> None:
        if self._keeping is not None:
            async with self._spawning:  # or a process might be left that nobody knows
                self._keeping.cancel()
            await asyncio.wait([self._keeping])
        if self._process is not None:
            self._signal(number)
            await self._process.wait()

    async def _spawn(self) -> None:
        command = tied_to_us([sys.executable, *self._arguments], signal.SIGKILL)
        async with self._spawning:
            with self.log.open("ab") as output:
                self._process = await asyncio.create_subprocess_exec(
                    *command, stdout=output, stderr=output, cwd=_ROOT, env=self._environment
                )

    async def _keep(self) -> None:
        while self._process is not None:
            self.ended_by_itself.append(await self._process.wait())
            await asyncio.sleep(_AGAIN_S)
            await self._spawn()


class Server(Part):
    """One of our own servers."""

    def __init__(self, name: str, server: Postgres | Mosquitto) -> None:
        super().__init__(name)
        self._server = server

    def pids(self) -> Sequence[int]:
        pid = self._server.pid
        return () if pid is None else (pid, *_descendants(pid))

    async def start(self) -> None:
        await to_the_end(self._server.start())

    async def kill(self) -> None:
        children = self.pids()[1:]
        await self._server.kill()
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Let it end in order."""
        await self._server.stop()

    async def restart(self) -> None:
        """Stop it in order and start it again."""
        await self.stop()
        await self.start()

    async def revive(self) -> None:
        """Start it where it has given up."""
        while self._server.pid is None:
            with suppress(ServersError):
                await self.start()


def _descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    return [each for child in children for each in (int(child), *_descendants(int(child)))]


class Broker(Server):
    """The broker, which can be told to write down what it holds."""

    def __init__(self, mosquitto: Mosquitto) -> None:
        super().__init__("broker", mosquitto)
        self._mosquitto = mosquitto
        self.save = mosquitto.save

    def address(self) -> tuple[str, int]:
        """Host and port at the moment."""
        return self._mosquitto.host, self._mosquitto.port


class Wires:
    """What can be cut: where the controllers and the service meet the broker, and the service its database."""

    def __init__(self, broker: Callable[[], tuple[str, int]], database: Callable[[], tuple[str, int]]) -> None:
        self.controllers = Proxy(broker)
        self.service = Proxy(broker)
        self.database = Proxy(database)

    @property
    def all(self) -> Mapping[str, Proxy]:
        """By their names."""
        return {
            "controllers-broker": self.controllers,
            "service-broker": self.service,
            "service-database": self.database,
        }
