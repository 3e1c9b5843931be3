"""Small disks: filled, emptied, and let go of by whoever finds them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chaos.disks import Disk, small_disk, unmount_below


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "small", size_mb=2) as disk:
        if not disk.is_mounted:
            pytest.skip("may not mount file systems")
        yield disk


def test_a_full_disk_takes_nothing_until_it_is_emptied(disk: Disk) -> None:
    disk.fill()
    with pytest.raises(OSError, match="No space left"):
        (disk.folder / "file").write_bytes(b"more")
    disk.empty()
    assert (disk.folder / "file").write_bytes(b"more")


def test_a_disk_of_somebody_who_was_killed_does_not_stay(disk: Disk) -> None:
    folder = disk.folder.parent
    with pytest.raises(OSError, match="busy"):
        shutil.rmtree(folder)
    unmount_below(folder)
    shutil.rmtree(folder)
