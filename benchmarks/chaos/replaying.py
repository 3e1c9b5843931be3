"""`twin replay --verify`, as anybody would run it: does everything in the books follow from the log?"""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.processes import BenchError
from twin.replay.verify import Verified

_COMMAND = ("-c", "from twin.cli import main; main()", "replay", "--verify", "--json")
_ROOT = Path(__file__).parent.parent.parent
_DIFFERS = 1
_LISTED = 5


async def replayed(database_url: str) -> Verified:
    """Replay all of it. Raises BenchError where that is not possible."""
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, "DATABASE_URL": database_url}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *_COMMAND), stdout=pipe, stderr=pipe, cwd=_ROOT, env=environment
    )
    told, complaints = await process.communicate()
    if process.returncode not in {0, _DIFFERS} or not told:
        raise BenchError(f"twin replay failed:\n{complaints.decode(errors='replace')}")
    return msgspec.json.decode(told, type=Verified)


def judge_replay(found: Verified) -> Iterator[str]:
    """What is wrong, in words."""
    for each in found.differences[:_LISTED]:
        yield f"replay: {each.kind} {each.what} at {each.instrument}: stored {each.stored}, replayed {each.replayed}"
    if len(found.differences) > _LISTED:
        yield f"replay: {len(found.differences) - _LISTED} more"
