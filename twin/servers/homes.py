"""Where the servers' programs and data live, and who may use a data folder right now."""

import fcntl
import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from twin.servers.errors import ServersError

PROJECT = "users-twin"
_SERVER_USER = "nobody"
_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The account the servers run under when this process is root: PostgreSQL refuses to be root."""

    name: str
    uid: int
    gid: int


def server_user() -> ServerUser | None:
    """The account to hand the servers to; None when they may run as whoever runs this process."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_SERVER_USER)
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def cache_folder() -> Path:
    """Where downloaded programs are kept: shared by all homes of this user."""
    if os.geteuid() == 0:
        return Path("/var/cache") / PROJECT
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / PROJECT


def base_folder() -> Path:
    """Where homes are kept: `TWIN_HOME`, else the system's or the user's data folder."""
    if chosen := os.environ.get("TWIN_HOME"):
        return Path(chosen).resolve()
    if os.geteuid() == 0:
        return Path("/var/lib") / PROJECT
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / PROJECT


@contextmanager
def claim_home(name: str, base: Path | None = None) -> Iterator[Path]:
    """A data folder that nobody else uses: `name`, or `name-2`, `name-3`... where it is taken.

    The claim is a lock that the system itself takes back when this process ends, however it ends.
    """
    base = base or base_folder()
    for number in count(1):
        home = base / (name if number == 1 else f"{name}-{number}")
        make_folder(home)
        with (home / _LOCK).open("w") as lock:
            if not try_lock(lock.fileno()):
                continue
            yield home
            return


@contextmanager
def hold_home(name: str, base: Path | None = None) -> Iterator[Path]:
    """The data folder of this name and no other, claimed; raises `ServersError` where somebody uses it."""
    home = (base or base_folder()) / name
    make_folder(home)
    with (home / _LOCK).open("w") as lock:
        if not try_lock(lock.fileno()):
            raise ServersError(f"{home} is in use: stop the service that runs there.")
        yield home


def empty_home(home: Path) -> None:
    """Remove all data of a claimed home whose servers do not run; the claim stays."""
    for entry in home.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != _LOCK:
            entry.unlink()


def try_lock(fd: int) -> bool:
    """Take the file's lock if nobody holds it; closing the file gives it back."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def make_folder(path: Path) -> Path:
    """Create the folder with its parents: others may pass through to reach theirs, only the owner may look inside."""
    for folder in reversed([path, *path.parents]):
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            folder.chmod(0o711)
    return path


def make_server_folder(path: Path, user: ServerUser | None) -> None:
    """Create a folder that nobody but the server's account can enter; raises `ServersError` where that one cannot."""
    make_folder(path).chmod(0o700)
    if user:
        os.chown(path, user.uid, user.gid)
        check_reachable(path, user)


def write_secret(path: Path, text: str, owner: ServerUser | None = None) -> None:
    """Replace the file in one step by one that only its owner can read."""
    new = path.with_name(f"{path.name}.new")
    with open(new, "w", encoding="utf-8", opener=private_opener) as file:
        file.write(text)
    if owner:
        os.chown(new, owner.uid, owner.gid)
    new.replace(path)


def private_opener(path: str, flags: int) -> int:
    """For `open`: a file it creates can be read by its owner only."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def check_reachable(path: Path, user: ServerUser) -> None:
    """Raise `ServersError` where the account of the servers cannot get to the folder."""
    for folder in (path, *path.parents):
        status = folder.stat()
        mine = 0o100 if status.st_uid == user.uid else 0o010 if status.st_gid == user.gid else 0o001
        if not status.st_mode & mine:
            message = f"{folder} cannot be entered by the user {user.name!r}, which runs the servers for root"
            raise ServersError(f"{message}. Choose another place with TWIN_HOME.")
