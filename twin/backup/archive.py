"""What a backup holds, as pg_restore tells: looked at before anything is touched."""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from twin.backup.errors import BackupError
from twin.backup.programs import answer, run
from twin.servers.packages import Progress
from twin.servers.programs import Program

_MAGIC = b"PGDMP"
_ITEM = re.compile(r"^\d+; \d+ \d+ (?P<kind>TABLE DATA|TABLE) (?P<schema>\S+) (?P<name>\S+) ", re.MULTILINE)
_DATA_LINE = 'processing data for table "'
_OURS = {"controller", "checkpoint", "reading", "segment", "writer", "tortoise_migrations"}


class Archive(msgspec.Struct, frozen=True):
    """A backup of a twin's database."""

    file: Path
    made: str
    """When, as pg_dump wrote it."""
    postgres: int
    """Major version of the server that it was taken from."""
    timescaledb: str
    migrations: frozenset[str]
    tables: frozenset[str]
    contents: int
    """How many tables and pieces of tables have contents."""


def check_file(file: Path) -> None:
    """Raise BackupError where there is no file, or one that pg_dump has not made."""
    try:
        with file.open("rb") as opened:
            start = opened.read(len(_MAGIC))
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror}.") from error
    if start != _MAGIC:
        raise BackupError(f"{file} is no backup: `twin backup` writes pg_dump's custom format, and this is not that.")


async def read_archive(file: Path, program: Program) -> Archive:
    """Look into a backup. Raises BackupError where it is none of a twin's database, or cannot be read."""
    try:
        listed = await answer(program, ["pg_restore", "--list", str(file)])
    except BackupError as error:
        raise _unreadable(file, error) from error
    found = [match.groupdict() for match in _ITEM.finditer(listed)]
    tables = frozenset(each["name"] for each in found if each["kind"] == "TABLE" and each["schema"] == "public")
    if not tables >= _OURS:
        raise BackupError(f"{file} is a backup of another program's database.")
    metadata = await _rows(file, program, "_timescaledb_catalog", "metadata")
    migrations = await _rows(file, program, "public", "tortoise_migrations")
    return Archive(
        file=file,
        made=_said(listed, r"Archive created at (.+)"),
        postgres=int(_said(listed, r"Dumped from database version: (\d+)")),
        timescaledb=next(row["value"] for row in metadata if row["key"] == "timescaledb_version"),
        migrations=frozenset(row["name"] for row in migrations),
        tables=tables,
        contents=sum(each["kind"] == "TABLE DATA" for each in found),
    )


async def read_whole(archive: Archive, program: Program, progress: Progress) -> None:
    """Unpack everything and keep nothing of it. Raises BackupError where the file is damaged or not all of it."""
    what = f"Checking {archive.file.name}"
    seen = Counted(what, archive.contents, progress)
    try:
        await run(program, ["pg_restore", "--file=/dev/null", str(archive.file)], seen)
    except BackupError as error:
        raise _unreadable(archive.file, error) from error


class Counted:
    """Tells of progress by the tables that pg_restore has begun with."""

    def __init__(self, what: str, contents: int, progress: Progress) -> None:
        self._what = what
        self._contents = max(1, contents)
        self._progress = progress
        self._begun = 0

    def __call__(self, line: str) -> None:
        if line.startswith(_DATA_LINE):
            self._progress(self._what, min(1.0, self._begun / self._contents))
            self._begun += 1


async def _rows(file: Path, program: Program, schema: str, table: str) -> list[Mapping[str, str]]:
    """The rows of a small table as text."""
    command = ["pg_restore", "--data-only", f"--schema={schema}", f"--table={table}", "--file=-", str(file)]
    try:
        text = await answer(program, command)
    except BackupError as error:
        raise _unreadable(file, error) from error
    found = re.search(r"^COPY \S+ \((?P<names>.+)\) FROM stdin;\n(?P<rows>.*?)^\\\.$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        return []
    names = found["names"].split(", ")
    return [dict(zip(names, row.split("\t"), strict=True)) for row in found["rows"].splitlines()]


def _said(listed: str, pattern: str) -> str:
    found = re.search(pattern, listed)
    if found is None:
        raise BackupError(f"This backup cannot be read: pg_restore does not show {pattern!r} for it.")
    return found[1]


def _unreadable(file: Path, error: BackupError) -> BackupError:
    if "unsupported version" in str(error):
        return BackupError(
            f"{file} was made by a newer pg_dump than the pg_restore here ({error}). "
            "Install that version's pg_restore, and put its folder on PATH."
        )
    return BackupError(f"{file} is damaged, or not all of it is there: {error}")
