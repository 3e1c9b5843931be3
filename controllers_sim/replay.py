"""A recorded trace spoken by one controller: live, with its time compressed, or as the history of a given day."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import accumulate
from random import Random
from zoneinfo import ZoneInfo

import aiomqtt
from rich.progress import Progress

from controllers_sim import wire
from controllers_sim.broker import Broker
from controllers_sim.client import Link, Surroundings, Tally, check, connection, explained, wait_for
from controllers_sim.controller import Controller, Hardware
from controllers_sim.errors import SimulatorError
from controllers_sim.faults import Faults, FaultStage
from controllers_sim.simulation import STOP_WITHIN_S, wall_clock_ms
from controllers_sim.traces import Sample
from controllers_sim.wire import MAX_ARRAY, Message, Reading

MAX_WAITING = 1000
"""How far the trace may run ahead of the broker; beyond that the replay waits rather than lose a sample."""
LOOK_AGAIN_S = 0.02


@dataclass(frozen=True, slots=True)
class Replay:
    """One trace for one controller at a broker. Set `stop` to end it early and in order."""

    samples: Sequence[Sample]
    controller_id: str
    broker: Broker
    stop: asyncio.Event
    progress: Progress
    clock: Callable[[], int] = wall_clock_ms

    async def live(self, speed: float) -> int:
        """Publish each sample when its turn comes, `speed` times as fast as recorded, stamped with the real clock.

        Returns the number of readings that the broker has acknowledged.

        Raises:
            SimulatorError: the broker cannot be reached or refuses the account.

        """
        await check(self.broker, self.broker.account, self.controller_id)
        around = Surroundings(self.broker, self.clock, asyncio.Semaphore(1), self.stop, Tally())
        rng = Random(self.controller_id)
        hardware = Hardware(self.controller_id, model="recorded trace", relay=None, caps=("power",))
        controller = Controller(hardware, rng)
        link = Link(controller, self.broker.account, FaultStage(Faults(), rng), rng, around)
        controller.boot(self.clock())
        talking = asyncio.create_task(link.run())
        played = await self._play(link, speed)
        self.stop.set()
        link.wake()
        await asyncio.wait({talking}, timeout=STOP_WITHIN_S)
        talking.cancel()
        return played - controller.waiting

    async def _play(self, link: Link, speed: float) -> int:
        controller, played = link.controller, 0
        # What is measured before the first connection would be sent as history.
        await self._hold(lambda: not controller.online)
        start_s = asyncio.get_running_loop().time()
        shown = self.progress.add_task(self.controller_id, total=len(self.samples))
        for sample, offset_s in zip(self.samples, offsets_s(self.samples), strict=True):
            await self._until(start_s + offset_s / speed)
            await self._hold(lambda: controller.waiting > MAX_WAITING)
            if self.stop.is_set():
                break
            controller.read(self.clock(), sample.power_w)
            played += 1
            link.wake()
            self.progress.advance(shown)
        return played

    async def _hold(self, held_up: Callable[[], bool]) -> None:
        while held_up() and not self.stop.is_set():
            await wait_for(self.stop, LOOK_AGAIN_S)

    async def _until(self, due_s: float) -> None:
        rest_s = due_s - asyncio.get_running_loop().time()
        if rest_s > 0:
            await wait_for(self.stop, rest_s)

    async def history(self, day: date, timezone: ZoneInfo) -> int:
        """Send the whole trace as what the controller buffered on a local day, in arrays.

        Its identities follow from what is sent, so sending it again changes nothing. Returns the number of readings.

        Raises:
            SimulatorError: the broker cannot be reached, refuses the account or goes away meanwhile.

        """
        messages = history_messages(self.controller_id, self.samples, day, timezone)
        shown = self.progress.add_task(self.controller_id, total=len(self.samples))
        account = self.broker.account
        try:
            # Not the controller's own client id: a live one must not be thrown out by its history.
            async with connection(self.broker, account, f"{self.controller_id}-history") as mqtt:
                for message, count in messages:
                    if self.stop.is_set():
                        break
                    await mqtt.publish(message.topic, message.payload, qos=1)
                    self.progress.advance(shown, count)
        except aiomqtt.MqttError as error:
            raise explained(error, self.broker, account) from None
        return round(self.progress.tasks[shown].completed)


def offsets_s(samples: Sequence[Sample]) -> list[float]:
    """Give when each sample is due after the first, s: a backward stamp is due at once, like a repeated one."""
    return list(accumulate(((sample.at - samples[0].at).total_seconds() for sample in samples), max))


def history_messages(
    controller_id: str, samples: Sequence[Sample], day: date, timezone: ZoneInfo
) -> list[tuple[Message, int]]:
    """Give a trace as messages of `hist` readings on a local day, each with the number of readings in it."""
    stamps_ms = [on_day_ms(sample, samples[0].at.date(), day, timezone) for sample in samples]
    digest = hashlib.sha256(
        repr([(ts, sample.power_w) for ts, sample in zip(stamps_ms, samples, strict=True)]).encode()
    )
    boot = f"hist-{digest.hexdigest()[:16]}"
    readings = [
        Reading(boot, seq, ts, sample.power_w, hist=True)
        for seq, (ts, sample) in enumerate(zip(stamps_ms, samples, strict=True))
    ]
    arrays = [readings[start : start + MAX_ARRAY] for start in range(0, len(readings), MAX_ARRAY)]
    topic = wire.topic(controller_id, "reading")
    return [(Message(topic, wire.encode(array)), len(array)) for array in arrays]


def on_day_ms(sample: Sample, first_day: date, day: date, timezone: ZoneInfo) -> int:
    """Move a sample to another local day, its time of the day kept; ms since the epoch.

    Raises:
        SimulatorError: there is no such day to move it to.

    """
    try:
        local = datetime.combine(day + (sample.at.date() - first_day), sample.at.time(), timezone)
        return round(local.astimezone(UTC).timestamp() * 1000)
    except OverflowError:
        raise SimulatorError(f"{day}: no such day for this trace.", "Give --date YYYY-MM-DD.") from None
