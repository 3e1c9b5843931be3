"""No password in arguments, and what the programs complain of is told without their noise."""

from pathlib import Path

import pytest

from twin.backup.archive import check_file
from twin.backup.errors import BackupError
from twin.backup.programs import answer, run, without_password
from twin.servers.programs import Program


@pytest.mark.parametrize(
    ("url", "address", "secret"),
    [
        ("postgresql://twin:p%40ss@db:5433/twin", "postgresql://twin@db:5433/twin", {"PGPASSWORD": "p@ss"}),
        ("postgres://twin@db/twin", "postgresql://twin@db/twin", {}),
        ("postgres://db/twin?password=s&sslmode=require", "postgresql://db/twin?sslmode=require", {"PGPASSWORD": "s"}),
        ("postgresql:///twin?host=/run/postgresql", "postgresql:///twin?host=%2Frun%2Fpostgresql", {}),
    ],
)  # fmt: skip
def test_the_password_is_taken_out_of_the_address(url: str, address: str, secret: dict[str, str]) -> None:
    assert without_password(url) == (address, secret)


def program(folder: Path, script: str) -> Program:
    (folder / "pg_dump").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "pg_dump").chmod(0o755)
    return Program(folder)


async def test_what_it_complains_of_is_told_and_its_steps_are_progress(tmp_path: Path) -> None:
    told: list[str] = []
    script = """
echo 'pg_dump: dumping contents of table "public.a"' >&2
echo 'pg_dump: warning: circular' >&2
echo 'pg_dump: detail: hypertable' >&2
echo 'pg_dump: error: could not write to output file: No space left on device' >&2
exit 1"""
    with pytest.raises(BackupError) as caught:
        await run(program(tmp_path, script), ["pg_dump"], told.append)
    assert str(caught.value) == "could not write to output file: No space left on device"
    assert told[0] == 'dumping contents of table "public.a"'


async def test_one_that_ends_without_a_word_is_told_by_its_code(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="pg_dump ended with code 3"):
        await answer(program(tmp_path, "exit 3"), ["pg_dump"])


def test_a_file_is_looked_at_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="No such file"):
        check_file(tmp_path / "none")
    (tmp_path / "text").write_text("PGDUMP")
    with pytest.raises(BackupError, match="is no backup"):
        check_file(tmp_path / "text")
