"""What is measured: each a program that takes readings from the broker, started until it is ready."""

import asyncio
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import StrEnum

from benchmarks.lab import Site
from benchmarks.processes import BenchError, Child, child

_READY_S = 60.0
_POLL_S = 0.05
_LOOPBACK = "127.0.0.1"


class Subject(StrEnum):
    """What can take the service's place."""

    FLOOR = "floor"
    SERVICE = "service"
    READER = "reader"
    DECODER = "reader + decode"


_PROGRAMS = {
    Subject.FLOOR: ["-m", "benchmarks.floor"],
    Subject.READER: ["-m", "benchmarks.listening"],
    Subject.DECODER: ["-m", "benchmarks.listening", "--decode"],
    Subject.SERVICE: ["-c", "from twin.cli import main; main()", "up"],
}


@asynccontextmanager
async def running(subject: Subject, site: Site) -> AsyncIterator[Child]:
    """The program on this site while the block runs, from when it hears what is published."""
    async with child(subject.name.lower(), _PROGRAMS[subject], site.environment(), site.folder) as process:
        await until_ready(process)
        yield process


@asynccontextmanager
async def running_service(site: Site) -> AsyncIterator[tuple[Child, Child]]:
    """The real service, `twin up`, and a board that watches all of it."""
    port = _free_port()
    environment = {**site.environment(), "TWIN_HTTP_PORT": str(port)}
    board = {"BOARD_URL": f"ws://{_LOOPBACK}:{port}/ws/board"}
    async with child("service", _PROGRAMS[Subject.SERVICE], environment, site.folder) as service:
        await until(service, lambda: asyncio.to_thread(is_healthy, f"http://{_LOOPBACK}:{port}/health"))
        async with child("board", ["-m", "benchmarks.watching"], board, site.folder) as watcher:
            await until_ready(watcher)
            yield service, watcher


@asynccontextmanager
async def starting_service(site: Site) -> AsyncIterator[tuple[Child, str]]:
    """The real service from the moment at which its process is made, with its log; and the address of its health."""
    port = _free_port()
    environment = {**site.environment(), "TWIN_HTTP_PORT": str(port), "TWIN_LOG_LEVEL": "info"}
    async with child("service", _PROGRAMS[Subject.SERVICE], environment, site.folder) as service:
        yield service, f"http://{_LOOPBACK}:{port}/health"


async def until_ready(process: Child) -> None:
    """Wait until the program says `ready`."""
    await until(process, lambda: asyncio.to_thread(_says_ready, process))


def _says_ready(process: Child) -> bool:
    return b"ready" in process.log.read_bytes().splitlines()


def is_healthy(url: str) -> bool:
    """Does the service say that it is well?"""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own loopback address
            return b'"degraded"' not in answer.read()
    except OSError:
        return False


async def until(process: Child, condition: Callable[[], Awaitable[bool]], within_s: float = _READY_S) -> None:
    """Wait for something that the program brings about. Raises BenchError where it takes too long, or has ended."""
    deadline = time.monotonic() + within_s
    while not await condition():
        process.check()
        if time.monotonic() > deadline:
            raise BenchError(f"{process.log.stem} was not ready within {within_s:.0f} s")
        await asyncio.sleep(_POLL_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])
