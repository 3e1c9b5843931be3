"""Ports on the loopback address: the one of the last time if it is still free, else any free one."""

import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

from twin.servers.process import StartError

LOOPBACK = "127.0.0.1"
_ATTEMPTS = 5


async def on_free_port(remembered: Path, start: Callable[[int], Awaitable[None]]) -> int:
    """Call `start` with a free port, again with another where somebody was quicker; returns the port it runs on."""
    for attempt in range(_ATTEMPTS):
        port = _pick(remembered)
        try:
            await start(port)
        except StartError:
            if attempt == _ATTEMPTS - 1 or is_free(port):
                raise
        else:
            _remember(remembered, port)
            return port
    raise AssertionError("the last attempt either returns or raises")


def _remember(file: Path, port: int) -> None:
    file.write_text(f"{port}\n", encoding="ascii")


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _pick(remembered: Path) -> int:
    if remembered.is_file() and is_free(port := int(remembered.read_text(encoding="ascii"))):
        return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
