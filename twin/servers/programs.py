"""The server programs: those of the machine where they are enough, else a private copy of Debian's."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twin.servers.errors import ServersError
from twin.servers.packages import Progress, Recipe, install

PRIVATE_POSTGRES = 17
"""Major version of the private copy."""
RECIPE = Recipe(
    name="servers",
    suite="trixie",
    packages=(f"postgresql-{PRIVATE_POSTGRES}-timescaledb", "mosquitto"),
    programs=(f"usr/lib/postgresql/{PRIVATE_POSTGRES}/bin", "usr/sbin"),
    # Needed by packaging scripts, which never run here, and by just-in-time compilation, which is switched off.
    assumed=(
        "libllvm19",
        "postgresql-common",
        "postgresql-client-common",
        "locales",
        "ssl-cert",
        "adduser",
        "debconf",
        "perl",
    ),
)
_OLDEST_POSTGRES = 15
_OLDEST_MOSQUITTO = 2
_ELSEWHERE = (
    "Set DATABASE_URL and MQTT_URL to a TimescaleDB and an MQTT broker of yours, "
    "or start both with: docker compose -f deploy/compose.yaml up"
)


@dataclass(frozen=True, slots=True)
class Program:
    """Where a server's programs are, and what must be in their environment."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


async def postgres_programs(cache: Path, progress: Progress) -> Program:
    """The folder with `initdb` and `postgres`, at least version 15 and with TimescaleDB."""
    if installed := _installed_postgres():
        return Program(installed)
    return private_postgres_program(await private_copy(cache, progress))


def private_postgres_program(root: Path) -> Program:
    """Where PostgreSQL's programs are in the unpacked packages."""
    return Program(root / f"usr/lib/postgresql/{PRIVATE_POSTGRES}/bin", {"LOCPATH": str(root / "usr/lib/locale")})


async def mosquitto_program(cache: Path, progress: Progress) -> Program:
    """The program `mosquitto`, at least version 2."""
    if installed := _installed_mosquitto():
        return Program(installed)
    return Program(await private_copy(cache, progress) / "usr/sbin/mosquitto")


async def private_copy(cache: Path, progress: Progress) -> Path:
    """The folder with both servers from Debian's packages; what it raises says what to do instead."""
    try:
        return await install(RECIPE, cache, progress)
    except ServersError as error:
        raise ServersError(f"{error}\n{_ELSEWHERE}") from error


def _installed_postgres() -> Path | None:
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *folder_of("postgres")]
    enough = [(version, folder) for folder in folders if (version := _with_timescale(folder)) >= _OLDEST_POSTGRES]
    return max(enough)[1] if enough else None


def _with_timescale(bin_folder: Path) -> int:
    """The major version of the PostgreSQL there; 0 where it does not have the extension."""
    config = bin_folder / "pg_config"
    share = answer_of(str(config), "--sharedir")
    version = re.search(r"(\d+)", answer_of(str(config), "--version"))
    extension = Path(share.strip()) / "extension/timescaledb.control"
    return int(version[1]) if version and share and extension.is_file() else 0


def _installed_mosquitto() -> Path | None:
    search = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    found = shutil.which("mosquitto", path=search)
    version = re.search(r"version (\d+)", answer_of(found, "-h")) if found else None
    return Path(found) if found and version and int(version[1]) >= _OLDEST_MOSQUITTO else None


def folder_of(program: str) -> list[Path]:
    """The folder of a program on PATH, if there is one."""
    found = shutil.which(program)
    return [Path(found).resolve().parent] if found else []


def answer_of(*command: str) -> str:
    """What the program prints; nothing where it is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603
    except OSError:
        return ""
