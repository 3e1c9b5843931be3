"""What docs/operations.md and docs/architecture.md say is how it is built and run."""

import re
import tomllib

import msgspec

from tests.unit.docs import documents as docs
from tests.unit.web.campus import Campus
from twin.identity import MAX_BOOTS, MAX_RANGES
from twin.metrics import Metrics
from twin.seat import TRAIL_LENGTH
from twin.servers import controller_account
from twin.servers.mosquitto import _SETTINGS as BROKER_SETTINGS
from twin.settings import Settings, variable
from twin.stream.inbox import MAX_BYTES, MAX_MESSAGES, MAX_UNHELD
from twin.stream.native import MAX_READINGS
from twin.stream.writers import MAX_A_ROUND
from web.board import HISTORY_BEATS
from web.hub import Hub
from web.settings import WebSettings
from web.sources import REMEMBERED, Alerts, Twins


def test_every_setting_is_described_with_its_default() -> None:
    described = {row[0]: row[1] for row in docs.rows(docs.section("operations.md", "## Settings"))}
    for field in msgspec.structs.fields(Settings):
        expected = "none" if field.default is None else f"`{field.default}`"
        assert described[f"`{variable(field.name)}`"] == expected, field.name


def test_every_variable_that_is_read_is_described() -> None:
    described = docs.marked(docs.section("operations.md", "## Settings"))
    read = {
        name for text in docs.sources("twin", "web") for name in re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', text)
    }
    assert read, "the pattern no longer finds any"
    assert read - docs.PLATFORM_VARIABLES <= described


def test_every_metric_is_described_with_its_kind() -> None:
    hubs = (Hub("board", Twins(Campus()), WebSettings()), Hub("alerts", Alerts(Campus()), WebSettings()))
    text = b"".join((Metrics().text(), *(hub.metrics() for hub in hubs))).decode()
    metrics = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    described = {row[0].strip("`"): row[1] for row in docs.rows(docs.section("operations.md", "## Metrics"))}
    assert described == {name: kind for name, kind in metrics.items() if not name.endswith("_created")}


def test_every_log_event_is_described_with_its_level() -> None:
    events = {
        (event, level)
        for text in docs.sources("twin", "web")
        for level, event in re.findall(r'log\.(debug|info|warning|error)\(\s*"([\w.]+)"', text)
    }
    described = {(row[0].strip("`"), row[1]) for row in docs.rows(docs.section("operations.md", "## Logs"))}
    assert described == events


def test_the_reference_broker_is_set_up_as_our_own() -> None:
    broker = docs.section("operations.md", "## Broker")
    kinds = ("max_", "persistence ", "persistent_", "autosave_")
    limits = [line for line in BROKER_SETTINGS.splitlines() if line.startswith(kinds)]
    assert len(limits) > 4
    for limit in limits:
        name, value = limit.split()
        assert limit in broker.splitlines()
        assert [f"`{name}`", value] in [[row[0], row[2]] for row in docs.rows(broker)], limit
    account = controller_account("%u", "")
    rules = [f"pattern write {topic}" for topic in account.publish] + [
        f"pattern read {each}" for each in account.subscribe
    ]
    assert [line for line in broker.splitlines() if line.startswith("pattern ")] == rules


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((docs.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract.get("exhaustive"))
    drawn = docs.section("architecture.md", "## Rooms and layers").split("```")[1].splitlines()[3:]
    assert [set(line.split(" · ")) for line in drawn] == [set(re.split(" [|:] ", layer)) for layer in layers[1:]]


def test_the_bounds_are_those_of_the_code() -> None:
    bounds = docs.section("architecture.md", "## Every queue and its bound")
    limits = (
        *(MAX_MESSAGES, MAX_BYTES, MAX_UNHELD, MAX_READINGS, MAX_BOOTS, MAX_RANGES, TRAIL_LENGTH, MAX_A_ROUND),
        *(HISTORY_BEATS, WebSettings().max_boards, REMEMBERED),
    )
    for limit in limits:
        assert len(re.findall(rf"(?<![\d,]){limit:,}(?![\d,])", bounds)) >= limits.count(limit), limit
