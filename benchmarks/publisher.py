"""The publisher: the load generator of the simulated controllers, as a process of its own."""

import msgspec

from benchmarks.lab import Site
from benchmarks.processes import answer_of


class Published(msgspec.Struct, frozen=True):
    """What was published and acknowledged by the broker; of each controller the readings 1 to `last_seq`."""

    acknowledged: int
    seconds: float
    rate: float
    cpu_us_per_message: float
    started_ms: int
    ended_ms: int
    boot: str
    last_seq: dict[str, int]


async def publish(site: Site, *, rate: float, seconds: float) -> Published:
    """Let all controllers of the site speak, in turn, at `rate` messages a second altogether."""
    command = ["-m", "controllers_sim", "load", "--last-seq"]
    load = ["--ids", str(site.ids_file()), "--rate", str(rate), "--for", f"{seconds:g}s"]
    answer = await answer_of(command + load, {"MQTT_URL": site.speaker_mqtt_url})
    return msgspec.json.decode(answer, type=Published)
