"""File systems in memory, small enough to be filled."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MOUNTS = Path("/proc/self/mounts")
_CHUNK = 1 << 20


class Disk:
    """A folder on a file system of its own; it may be that none can be had."""

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        self.is_mounted = is_mounted

    def fill(self) -> None:
        """Leave no room for anything more."""
        with self._filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(_CHUNK))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink(missing_ok=True)

    def resize(self, size_mb: int) -> None:
        """Make it larger or smaller, with what is on it."""
        _run("mount", "-o", f"remount,size={size_mb}m", self.folder)


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[Disk]:
    """A new folder on a file system of that size, where this process may mount one; else one that cannot be filled."""
    folder.mkdir()
    disk = Disk(folder, is_mounted=os.geteuid() == 0 and _is_mounted(folder, size_mb))
    try:
        yield disk
    finally:
        if folder.is_mount():
            _unmount(folder)


def unmount_below(folder: Path) -> None:
    """Let go of the disks in a folder whose owner was killed: it cannot be removed before."""
    for line in _MOUNTS.read_text().splitlines():
        mounted = Path(line.split()[1])
        if mounted.is_relative_to(folder):
            _unmount(mounted)


def _is_mounted(folder: Path, size_mb: int) -> bool:
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0711", "tmpfs", folder)
    except subprocess.CalledProcessError:
        return False
    return True


def _unmount(folder: Path) -> None:
    _run("umount", "--lazy", folder)  # somebody who was told to end may not have closed all files yet


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
