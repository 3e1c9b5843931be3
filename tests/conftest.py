"""Real servers for tests: one TimescaleDB per test process with a database per test, one Mosquitto per test."""

import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from benchmarks.chaos.disks import unmount_below
from tests.brokers import BrokerInTest
from tests.chromium import find_or_fetch
from tests.databases import copied, created
from twin.servers import Postgres, ServersError, private_mosquitto, private_postgres
from twin.servers.homes import cache_folder, try_lock
from twin.store.migrate import migrate

# No background workers of TimescaleDB: they would hold on to databases that a test wants to drop.
_SETTINGS = {"timescaledb.max_background_workers": "0", "shared_buffers": "64MB", "max_wal_size": "512MB"}
_MEMORY = Path("/dev/shm")  # noqa: S108 - only as the parent of folders with names of their own
_ROOM_BYTES = 4 << 30
_PREFIX, _LOCK = "users-twin-test-", "test.lock"

# An example takes as long as a busy machine lets it: half a second for what takes one millisecond.
_PATIENT = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("patient", **_PATIENT)
hypothesis.settings.load_profile("patient")


def _fast_folder() -> Path | None:
    """A file system in memory, where there is room: what tests crash is processes, which lose nothing there either."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES else None


def _remove_leftovers() -> None:
    """What runs that were killed have left in memory: nobody holds their lock any more."""
    for lock in _MEMORY.glob(f"{_PREFIX}*/{_LOCK}"):
        if lock.parent.stat(follow_symlinks=False).st_uid == os.getuid():
            with lock.open() as file:
                if try_lock(file.fileno()):
                    unmount_below(lock.parent)
                    shutil.rmtree(
                        lock.parent, ignore_errors=True
                    )  # what somebody still holds is theirs: no reason to fail


@pytest.fixture(scope="session")
def session_home() -> Iterator[Path]:
    """A folder for all servers of this test process."""
    # Not pytest's own folder: the servers of a root user run as somebody else, who cannot get there.
    _remove_leftovers()
    home = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_fast_folder()))
    home.chmod(0o711)
    unlocked = home / "unlocked"
    with unlocked.open("w") as lock:
        assert try_lock(lock.fileno())
        unlocked.rename(home / _LOCK)  # nobody ever sees a lock that is not held yet
        yield home
        shutil.rmtree(home)


@pytest.fixture
def servers_home(session_home: Path) -> Iterator[Path]:
    """A folder for the servers of this test."""
    home = Path(tempfile.mkdtemp(dir=session_home))
    home.chmod(0o711)
    yield home
    shutil.rmtree(home)


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    """A command that runs within a test sets up logs for the whole process: for that test, and no other."""
    settings, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    yield
    structlog.configure(**settings)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture(scope="session")
async def postgres(session_home: Path) -> AsyncIterator[Postgres]:
    """The TimescaleDB of this test process. A test that stops or kills it starts it again."""
    async with private_postgres(session_home, settings=_SETTINGS, cache=cache_folder()) as server:
        yield server


@pytest.fixture
async def bare_database_url(postgres: Postgres) -> AsyncIterator[str]:
    """The address of an empty database with TimescaleDB, without any tables, for this test alone."""
    async with created(postgres) as url:
        yield url


@pytest.fixture(scope="session")
async def migrated(postgres: Postgres) -> AsyncIterator[str]:
    """The address of a database with all tables and nothing in them, to be copied."""
    async with created(postgres) as url:
        await migrate(url)
        yield url


@pytest.fixture
async def database_url(postgres: Postgres, migrated: str) -> AsyncIterator[str]:
    """The address of a database with all tables and nothing in them, for this test alone."""
    async with copied(postgres, migrated) as url:
        yield url


@pytest.fixture
async def broker(servers_home: Path) -> AsyncIterator[BrokerInTest]:
    """A Mosquitto for this test alone."""
    async with private_mosquitto(servers_home, cache=cache_folder()) as mosquitto:
        broker = BrokerInTest(mosquitto)
        await broker.update_accounts()
        yield broker


@pytest.fixture(scope="session")
async def chromium() -> Path:
    """The browser's program, to be started with `tests.chromium.FLAGS`."""
    try:
        return await find_or_fetch()
    except ServersError as error:
        pytest.skip(f"no Chromium: {error}")
