"""The demo's controllers: a process of their own, which knows only the wire contract."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from twin.demo.opening import Plan
from twin.servers.homes import write_secret
from twin.stream.broker import BrokerAddress

STOP_WITHIN_S = 10
HISTORY = "24h"
"""What the controllers tell of when they first appear, so that there is something to see."""
_SCENARIO = "scenario.toml"
_PLAN = "plan.json"


def is_new(home: Path) -> bool:
    """Have controllers never run in this home?"""
    return not (home / _SCENARIO).exists()


def scenario(
    broker: BrokerAddress,
    timezone: str,
    controllers: Mapping[str, str],
    passwords: Mapping[str, str],
    traces: Sequence[Path],
    *,
    grant_keys: Mapping[str, str],
    history: bool,
    planned: bool = False,
) -> str:
    """The scenario (TOML) of the demo: profiles by controller, the first ones replaced by recorded traces.

    With an account in `broker` all speak by it; else each by its own. `grant_keys`: what the grants of each are signed
    with. `history`: they tell of the time before.
    `planned`: people come by the bookings of `write_plan`, and nobody works without a session.
    """
    lines = [f"timezone = {_quoted(timezone)}", 'interval = "1s"']
    if history:
        lines.append(f"history = {_quoted(HISTORY)}")
    if planned:
        lines.append(f"plan = {_quoted(_PLAN)}")
    lines += ["[broker]", f"host = {_quoted(broker.host)}", f"port = {broker.port}"]
    if broker.username is not None and broker.password is not None:
        lines += [f"username = {_quoted(broker.username)}", f"password = {_quoted(broker.password)}"]
    for index, (controller, profile) in enumerate(controllers.items()):
        lines += ["[[controllers]]", f"id = {_quoted(controller)}"]
        if broker.username is None:
            lines.append(f"password = {_quoted(passwords[controller])}")
        if controller in grant_keys:
            lines.append(f"grant_key = {_quoted(grant_keys[controller])}")
        if index < len(traces):
            lines += [f"trace = {_quoted(str(traces[index].resolve()))}", 'relay = "none"']
        else:
            lines.append(f"profile = {_quoted(profile)}")
    return "\n".join(lines) + "\n"


def write_plan(home: Path, plan: Plan) -> None:
    """Lay the bookings beside the scenario."""
    write_secret(home / _PLAN, msgspec.json.encode(plan).decode())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@asynccontextmanager
async def simulated(home: Path, toml: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Controllers that run while the block does. What they print goes to `controllers.log` in the demo's home."""
    path = home / _SCENARIO
    write_secret(path, toml)
    environment = {name: value for name, value in os.environ.items() if name != "MQTT_URL"}
    with (home / "controllers.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "controllers_sim", "run", "--scenario", str(path)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
