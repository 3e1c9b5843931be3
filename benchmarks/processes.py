"""Programs under measurement: each a process of its own, ended by its id, its CPU time read from the system."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

_STOP_S = 30.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_ROOT = Path(__file__).parent.parent
_LOG_TAIL_CHARS = 1500


class BenchError(Exception):
    """The measurement could not be carried out; the message says why."""


class Child:
    """A running Python program; what it prints stands in `log`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self.log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raise `BenchError` where it has ended before its time."""
        if self._process.returncode is not None:
            raise BenchError(f"{self.log.stem} ended with code {self._process.returncode}:\n{self.said()}")

    def said(self) -> str:
        """The end of what it said."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-_LOG_TAIL_CHARS:]

    def last_line(self) -> bytes:
        """What it said last."""
        return self.log.read_bytes().splitlines()[-1]

    async def stop(self) -> None:
        """Ask it to end in order and wait; make it where it does not."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def child(name: str, arguments: list[str], environment: Mapping[str, str], folder: Path) -> AsyncIterator[Child]:
    """Run this Python with these arguments while the block runs. Secrets belong in the environment."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=output, stderr=output, cwd=_ROOT, env=_with(environment)
        )
    running = Child(process, log)
    try:
        yield running
    finally:
        await running.stop()


async def answer_of(arguments: list[str], environment: Mapping[str, str]) -> str:
    """What this Python with these arguments prints. Raises BenchError where it fails."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=pipe, stderr=pipe, cwd=_ROOT, env=_with(environment)
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    if process.returncode:
        raise BenchError(f"{' '.join(arguments[:3])} failed:\n{errors.decode(errors='replace').strip()}")
    return output.decode()


def _with(environment: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **environment}


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, of a process and all its descendants so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return 0.0
    own_ticks = sum(int(ticks) for ticks in fields[11:15])  # utime, stime, and those of children that have ended
    return own_ticks / _TICKS_A_SECOND + sum(cpu_seconds(int(each)) for each in children)


def peak_mb(pid: int) -> float:
    """The most memory that a process has taken so far, in MB of a million bytes; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0
