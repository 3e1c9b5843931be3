"""Which pg_dump and pg_restore are taken."""

from pathlib import Path

import pytest

from twin.servers import ServersError, clients
from twin.servers.clients import client_programs, major_version
from twin.servers.packages import quiet

_FAKE = """#!/bin/sh
echo "{name} (PostgreSQL) {version}.4 (Debian {version}.4-1)"
"""


def install(folder: Path, version: int) -> Path:
    """A folder with both programs of that version."""
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (folder / name).write_text(_FAKE.format(name=name, version=version))
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with versions 90 and 95, the newer one first on PATH."""
    monkeypatch.setattr(clients, "MACHINE", tmp_path)
    (tmp_path / "90").mkdir()
    install(tmp_path / "90" / "bin", 90)
    newer = install(tmp_path / "newer", 95)
    monkeypatch.setenv("PATH", f"{newer}:/usr/bin:/bin")
    return tmp_path


def test_a_program_says_its_version(machine: Path) -> None:
    assert major_version(machine / "newer" / "pg_dump") == 95
    assert major_version(machine / "pg_dump") == 0


async def test_that_of_the_servers_version_is_taken_else_the_next_newer(machine: Path, tmp_path: Path) -> None:
    assert (await client_programs(90, tmp_path, quiet)).path == machine / "90" / "bin"
    assert (await client_programs(91, tmp_path, quiet)).path == machine / "newer"


async def test_where_none_fits_it_is_said_what_to_install(machine: Path, tmp_path: Path) -> None:
    with pytest.raises(ServersError, match=r"(?s)PostgreSQL 96.*Install pg_dump and pg_restore of PostgreSQL 96"):
        await client_programs(96, tmp_path, quiet)
    assert machine.is_dir()


async def test_without_a_way_to_a_private_copy_it_is_said_what_to_install(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(machine))
    with pytest.raises(ServersError, match=r"(?s)no apt.*Install pg_dump and pg_restore of PostgreSQL 16"):
        await client_programs(16, machine / "cache", quiet)
