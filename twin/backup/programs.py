"""Running pg_dump and pg_restore: what they say is progress or complaint; passwords stay out of their arguments."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import IO
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from twin.backup.errors import BackupError
from twin.servers.process import tied_to_us
from twin.servers.programs import Program

_STARTS = ("pg_dump: ", "pg_restore: ")
_COMPLAINTS = ("error: ", "fatal: ")
_KEPT_LINES = 5


async def run(
    program: Program,
    command: Sequence[str],
    told: Callable[[str], None],
    *,
    secrets: Mapping[str, str] | None = None,
    output: IO[bytes] | int = asyncio.subprocess.DEVNULL,
) -> None:
    """Run one of them with `--verbose`; `told` gets each step. Raises BackupError with what it complained of."""
    pipe = asyncio.subprocess.PIPE
    async with _started(program, [*command, "--verbose"], secrets or {}, output, pipe) as process:
        assert process.stderr is not None  # noqa: S101 - a pipe was asked for
        complaints = [line async for line in _complaints(process.stderr, told)]
        code = await process.wait()
    if code:
        raise BackupError(_together(complaints, command[0], code))


async def answer(program: Program, command: Sequence[str]) -> str:
    """What one of them prints. Raises BackupError with what it complained of."""
    pipe = asyncio.subprocess.PIPE
    async with _started(program, command, {}, pipe, pipe) as process:
        said, complaints = await process.communicate()
    if process.returncode:
        raise BackupError(_together([_text(line) for line in complaints.splitlines()], command[0], process.returncode))
    return said.decode(errors="replace")


@asynccontextmanager
async def _started(
    program: Program, command: Sequence[str], secrets: Mapping[str, str], output: IO[bytes] | int, errors: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    argv = tied_to_us([str(program.path / command[0]), *command[1:]], signal.SIGTERM)
    own = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **program.environment, **secrets}
    # HOME: certificates that a URL relies on are looked for there.
    kept = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=errors, env={**kept, **own}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _complaints(stream: asyncio.StreamReader, told: Callable[[str], None]) -> AsyncIterator[str]:
    async for line in stream:
        text = _text(line)
        if text.startswith(_COMPLAINTS):
            yield text
        else:
            told(text)


def _together(complaints: Sequence[str], program: str, code: int | None) -> str:
    said = (each.removeprefix("error: ") for each in complaints[:_KEPT_LINES])
    return "; ".join(said) or f"{program} ended with code {code}"


def _text(line: bytes) -> str:
    """A line without the name of the program that says it."""
    text = line.decode(errors="replace").rstrip()
    for start in _STARTS:
        text = text.removeprefix(start)
    return text


def without_password(database_url: str) -> tuple[str, dict[str, str]]:
    """The address without its password, and the password as libpq's variable: arguments are seen by everybody."""
    parts = urlsplit(database_url)
    account, _, place = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    query = parse_qsl(parts.query, keep_blank_values=True)
    password = unquote(password) or next((value for name, value in query if name == "password"), "")
    rest = urlencode([(name, value) for name, value in query if name != "password"])
    url = urlunsplit(("postgresql", f"{user}@{place}" if user else place, parts.path, rest, ""))
    return url, {"PGPASSWORD": password} if password else {}
