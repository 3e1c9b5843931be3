"""Debian packages unpacked into a folder of one's own: no root, and nothing of the machine's packages changes.

apt does the work with private state, cache and source-list folders, and verifies Debian's signatures as always. Only
what apt has verified is unpacked; an interrupted download goes on where it stopped.
"""

import asyncio
import hashlib
import platform
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from twin.servers.elf import executables, point_into
from twin.servers.errors import ServersError
from twin.servers.homes import make_folder, try_lock
from twin.servers.process import tied_to_us
from twin.servers.sources import debian_sources, installed_keyring, machine_sources

Progress = Callable[[str, float | None], None]
"""Told what is going on, and how much of it is done (0 to 1) where that is known."""

_DOWNLOADED = re.compile(r"^dlstatus:\d+:(?P<percent>[\d.]+):")
_LOCK_POLL_S = 0.2


def quiet(_what: str, _done: float | None) -> None:
    """A `Progress` that shows nothing."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Packages to unpack together.

    `suite` None means the machine's own. `assumed` names packages to leave out although others ask for them; with
    `on_machine`, so is whatever the machine has installed. The programs in the folders `programs` are made to use the
    unpacked libraries.
    """

    name: str
    packages: tuple[str, ...]
    programs: tuple[str, ...] = ()
    suite: str | None = None
    assumed: tuple[str, ...] = ()
    on_machine: bool = False

    def folder(self, cache: Path) -> Path:
        """Where the packages are unpacked; another recipe gets another folder."""
        digest = hashlib.sha256(repr(self).encode()).hexdigest()[:8]
        return cache / f"{self.name}-{digest}"


async def install(recipe: Recipe, cache: Path, progress: Progress = quiet) -> Path:
    """The folder with the unpacked packages; downloads them if need be.

    Raises `ServersError` where this machine has no apt, no Debian entries, or no way to the network.
    """
    root = recipe.folder(cache)
    if root.exists():
        return root
    make_folder(cache)
    async with _alone(cache / f"{recipe.name}.lock", progress):
        if not root.exists():
            await _download_and_unpack(recipe, root, make_folder(cache / f"{recipe.name}.apt"), progress)
    return root


async def _download_and_unpack(recipe: Recipe, root: Path, apt: Path, progress: Progress) -> None:
    command = ["apt-get", "-c", str(_configure(recipe, apt)), "-o", "APT::Status-Fd=1"]
    progress("Reading Debian's package lists", None)
    listed = await _run_apt([*command, "update"], "Reading Debian's package lists", quiet)
    download = [*command, "install", "--download-only", *recipe.packages]
    failure = await _run_apt(download, f"Downloading {recipe.name}", progress)
    if failure:
        raise ServersError(
            f"Debian's packages could not be downloaded: {listed or failure}\nRun the same command again to continue."
        )
    await _run_apt([*command, "autoclean"], "Tidying up", quiet)  # an earlier attempt may have fetched older versions
    unpacked = _empty_folder(root.with_name(f"{root.name}.unfinished"))
    try:
        await _unpack(sorted((apt / "archives").glob("*.deb")), unpacked, f"Unpacking {recipe.name}", progress)
        programs = [program for folder in recipe.programs for program in executables(unpacked / folder)]
        await point_into(unpacked, programs, root)
        _publish(unpacked, root)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    shutil.rmtree(apt)


def _empty_folder(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    return make_folder(path)


def _publish(unpacked: Path, root: Path) -> None:
    unpacked.chmod(0o755)
    unpacked.rename(root)


def _configure(recipe: Recipe, apt: Path) -> Path:
    """Write the private source list, package state and settings; returns the settings' file."""
    if not shutil.which("apt-get"):
        raise ServersError("This machine has no apt to fetch Debian's packages with.")
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    suite = recipe.suite or codename
    sources = debian_sources(machine_sources(), codename, suite, installed_keyring())
    if not sources:
        raise ServersError("apt on this machine knows no Debian archive.")
    for folder in ("lists/partial", "archives/partial", "sources"):
        make_folder(apt / folder)
    (apt / "sources/debian.sources").write_text("\n".join(source.stanza() for source in sources), encoding="utf-8")
    architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()  # noqa: S607
    (apt / "status").write_text(_status(recipe, architecture), encoding="utf-8")
    (apt / "apt.conf").write_text(_SETTINGS.format(apt=apt, architecture=architecture), encoding="utf-8")
    return apt / "apt.conf"


def _status(recipe: Recipe, architecture: str) -> str:
    """What apt is told to be installed already."""
    entry = "Package: {name}\nStatus: install ok installed\nVersion: 99:0\nArchitecture: {architecture}\n\n"
    assumed = "".join(entry.format(name=name, architecture=architecture) for name in recipe.assumed)
    machine = Path("/var/lib/dpkg/status").read_text(encoding="utf-8") if recipe.on_machine else ""
    return assumed + machine


_SETTINGS = """\
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
APT::Architectures "{architecture}";
APT::Install-Recommends "false";
APT::Get::Assume-Yes "true";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Dir::State "{apt}";
Dir::State::lists "{apt}/lists";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}";
Dir::Cache::archives "{apt}/archives";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{apt}/sources";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Log "{apt}";
"""


async def _run_apt(command: list[str], what: str, progress: Progress) -> str:
    """Run apt; returns what it complained about if it failed, else nothing."""
    pipe = asyncio.subprocess.PIPE
    argv = tied_to_us(command, signal.SIGTERM)
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    complaints = asyncio.create_task(_read_all(process.stderr))
    try:
        async for line in _lines(process.stdout):
            if found := _DOWNLOADED.match(line):
                progress(what, float(found["percent"]) / 100)
        await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    said = await complaints
    return (said or "apt-get failed without a word") if process.returncode else ""


async def _lines(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    if stream:
        async for line in stream:
            yield line.decode(errors="replace")


async def _read_all(stream: asyncio.StreamReader | None) -> str:
    lines = [line.strip() async for line in _lines(stream)]
    return "; ".join(line for line in lines if line)


async def _unpack(archives: list[Path], into: Path, what: str, progress: Progress) -> None:
    for number, archive in enumerate(archives):
        progress(what, number / len(archives))
        process = await asyncio.create_subprocess_exec("dpkg-deb", "--extract", str(archive), str(into))
        if await process.wait():
            raise ServersError(f"{archive.name} could not be unpacked into {into}: is the disk full?")
    progress(what, 1.0)


@asynccontextmanager
async def _alone(lock: Path, progress: Progress) -> AsyncIterator[None]:
    """Hold the lock file; wait for whoever holds it."""
    with lock.open("w") as file:
        waiting = False
        while not try_lock(file.fileno()):
            if not waiting:
                progress("Waiting for another copy that is installing the same", None)
            waiting = True
            await asyncio.sleep(_LOCK_POLL_S)
        yield
