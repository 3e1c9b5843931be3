"""How other programs find a running service: a file in its home, there while it runs, readable by its owner only."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from twin.servers.homes import base_folder, try_lock, write_secret


class MqttAccess(msgspec.Struct, frozen=True):
    """Where the broker is; in a demo with an account that may speak for every controller."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None


class AccountAccess(msgspec.Struct, frozen=True):
    """A person of the demo."""

    username: str
    password: str
    role: str


class Running(msgspec.Struct, frozen=True):
    """What another program needs to join: the answer of `twin info --json`."""

    http: str
    mqtt: MqttAccess
    database_url: str
    accounts: tuple[AccountAccess, ...] = ()


_NAME = "running.json"


@contextmanager
def announced(home: Path, running: Running) -> Iterator[None]:
    """Let others find the service while the block runs."""
    path = home / _NAME
    write_secret(path, msgspec.json.format(msgspec.json.encode(running), indent=2).decode())
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def find_running(base: Path | None = None, name: str = "*") -> Running | None:
    """The service that was started last and still runs, in homes that are called so; None where none does."""
    found = [path for path in (base or base_folder()).glob(f"{name}/{_NAME}") if _is_held(path.parent)]
    if not found:
        return None
    newest = max(found, key=lambda path: path.stat().st_mtime)
    return msgspec.json.decode(newest.read_bytes(), type=Running)


def _is_held(home: Path) -> bool:
    """A home whose lock is free belongs to a service that has crashed."""
    with (home / "lock").open() as lock:
        return not try_lock(lock.fileno())
