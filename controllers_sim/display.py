"""What a person sees while a simulation runs: one line kept up to date, or a line now and then in a log."""

import time

from rich.console import Console

from controllers_sim.client import wait_for
from controllers_sim.simulation import Simulation

LOG_EVERY_S = 10.0
SHOW_EVERY_S = 0.5


async def watch(simulation: Simulation, console: Console) -> None:
    """Show how the simulation is doing until it stops."""
    before, since_s = 0, time.monotonic()
    period_s = SHOW_EVERY_S if console.is_terminal else LOG_EVERY_S
    with console.status("connecting ...") as status:
        while not simulation.stop.is_set():
            await wait_for(simulation.stop, period_s)
            now_s, sent = time.monotonic(), simulation.tally.acknowledged
            line = _line(simulation, (sent - before) / max(now_s - since_s, 0.001))
            before, since_s = sent, now_s
            if console.is_terminal:
                status.update(line)
            else:
                console.print(line, highlight=False)


def _line(simulation: Simulation, rate: float) -> str:
    tally, count = simulation.tally, len(simulation.scenario.controllers)
    return (
        f"{tally.online}/{count} online, {rate:.0f} messages/s, {tally.acknowledged} acknowledged, "
        f"{simulation.waiting} waiting, {tally.lost_connections} connections lost"
    )


def summary(simulation: Simulation) -> str:
    """Say what a finished simulation did."""
    tally = simulation.tally
    return (
        f"Ended: {tally.acknowledged} messages acknowledged, {simulation.waiting} unsent, "
        f"{simulation.given_up} given up to full queues, {tally.commands} commands heard."
    )
