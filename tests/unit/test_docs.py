"""The docs are true: what the code offers is described where it belongs, and nothing is described that is not there."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import typer
from litestar import Litestar
from litestar.routes import HTTPRoute, WebSocketRoute
from typer.core import TyperCommand, TyperGroup

import controllers_sim.cli
import twin.cli
from tests.unit.web.campus import Campus
from twin.alerts import RULES, AlertKind, AlertState, Step, Withheld
from twin.decisions import Verdict
from twin.events import Ack, Birth, Card, Death, Reading
from twin.fleet import TRAIL_LENGTH
from twin.identity import MAX_BOOTS, MAX_RANGES
from twin.metrics import Metrics
from twin.permission import AccessCode
from twin.policy import AtSlotEnd, Cut, Policy
from twin.rules.billing import LineCause
from twin.rules.credit import CreditCause
from twin.rules.outcome import BookingState
from twin.servers import controller_account
from twin.servers.mosquitto import _SETTINGS as BROKER_SETTINGS
from twin.sessions import CloseReason, CooldownEnd, Failure, Ignorance, OverrunReason, SessionState, VoidReason
from twin.settings import Settings, variable
from twin.state import Category, LinkState, OccupancyState, PowerClass
from twin.stream.inbox import MAX_BYTES, MAX_MESSAGES, MAX_UNHELD
from twin.stream.native import MAX_READINGS, Reason
from twin.stream.topics import Topics, Upward
from twin.stream.writer import MAX_A_ROUND
from twin.tariffs import Allowance, Band, Fund, Kind, Payer, Rates, Tariff
from web.app import create_app
from web.board import HISTORY_BEATS
from web.hub import Hub
from web.problems import Code
from web.settings import WebSettings
from web.sources import REMEMBERED, Alerts, Twins

ROOT = Path(__file__).parents[2]
CODE = ("twin", "web", "controllers_sim", "benchmarks")
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(page for folder in CODE for page in (ROOT / folder).rglob("*.md")),
]
PLATFORM_VARIABLES = {"PATH"}


def _page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def _section(page: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    lines = page.splitlines()
    start = lines.index(heading) + 1
    below = lines[start:]
    fenced = [line.startswith("```") for line in below]
    ends = (
        at
        for at, line in enumerate(below)
        if re.match(rf"#{{1,{level}}} ", line) and sum(fenced[:at]) % 2 == 0  # in code a # is a comment
    )
    return "\n".join(below[: next(ends, None)])


def _rows(text: str) -> list[list[str]]:
    """The cells of all table rows, heads and rulers left out."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    rulers = [set("".join(line)) == {"-"} for line in cells]
    return [line for at, line in enumerate(cells) if not any(rulers[at : at + 2])]


def _named(text: str) -> list[str]:
    """The one thing in back quotes that each row is about, in order."""
    return [found[1] for row in _rows(text) if (found := re.fullmatch(r"`([^`]+)`", row[0]))]


def _marked(text: str) -> set[str]:
    """Everything in back quotes."""
    return set(re.findall(r"`([^`\n]+)`", text))


def _sources(*folders: str) -> Iterator[str]:
    return (path.read_text(encoding="utf-8") for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


def _app() -> Litestar:
    return create_app(Campus())


def _leaves(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for word, below in command.commands.items():
            yield from _leaves(below, f"{name} {word}")
    elif isinstance(command, TyperCommand):
        yield name, command


def _commands() -> dict[str, TyperCommand]:
    apps = {"twin": twin.cli.app, "controllers-sim": controllers_sim.cli.app}
    return dict(leaf for name, app in apps.items() for leaf in _leaves(typer.main.get_command(app), name))


# Rules


def test_every_policy_value_is_described_with_default_and_unit() -> None:
    units = {"ms": "ms", "w": "W", "cny": "CNY", "points": "points"}
    expected = [
        [f"`{field.name}`", _plain(field.default), units.get(field.name.rpartition("_")[2], "")]
        for field in msgspec.structs.fields(Policy)
    ]
    assert [row[:3] for row in _rows(_section(_page("rules.md"), "## Policy"))] == expected


def _plain(default: object) -> str:
    return f"{default:.0f}" if isinstance(default, float) else str(msgspec.to_builtins(default)).lower()


def test_every_code_of_access_is_described_in_the_order_of_the_checks() -> None:
    assert _named(_section(_page("rules.md"), "## Access")) == [code.value for code in AccessCode]


@pytest.mark.parametrize("value", [Tariff, Rates, Band, Allowance, Fund])
def test_everything_that_a_tariff_can_set_is_described(value: type[msgspec.Struct]) -> None:
    names = {field.name for field in msgspec.structs.fields(value)} - {"instrument"}
    assert names <= _marked(_section(_page("rules.md"), "## Billing"))


@pytest.mark.parametrize(
    ("words", "section"),
    [(Kind, "Billing"), (Payer, "Billing"), (LineCause, "Billing"), (CreditCause, "Credit")],
)
def test_every_word_of_a_bill_is_described(words: type[StrEnum], section: str) -> None:
    assert set(words) <= _marked(_section(_page("rules.md"), f"## {section}"))


@pytest.mark.parametrize("words", [CloseReason, VoidReason, OverrunReason, CooldownEnd])
def test_every_reason_of_a_session_has_its_line(words: type[StrEnum]) -> None:
    assert set(words) <= set(_named(_section(_page("rules.md"), "## Sessions")))


def test_every_state_of_a_session_and_every_word_about_one_is_described() -> None:
    section = _section(_page("rules.md"), "## Sessions")
    states = {state.__name__.lower() for state in get_args(SessionState)}
    assert states <= set(_named(section))
    assert {*Ignorance, *Failure, *Cut, *AtSlotEnd, *BookingState} - {AtSlotEnd.END} <= _marked(section)


def test_every_kind_of_alert_is_described_as_its_rule_has_it() -> None:
    section = _section(_page("rules.md"), "## Alerts")
    named = {field.name for field in msgspec.structs.fields(Policy)}
    described = {row[0].strip("`"): row for row in _rows(section) if row[0].strip("`") in set(AlertKind)}
    assert list(described) == [kind.value for kind in AlertKind]
    for kind, rule in RULES.items():
        _, severity, _, hold, to, _ = described[kind]
        assert (severity, to) == (rule.severity, ", ".join(rule.to)), kind
        if rule.hold_ms is None:
            assert hold == "single event", kind
        else:
            assert hold.strip("`") in named, kind
            changed = msgspec.structs.replace(Policy(), **{hold.strip("`"): 12_345})
            assert rule.hold_ms(changed) == 12_345, kind


def test_it_is_said_which_alerts_stand_still() -> None:
    section = _section(_page("rules.md"), "## Alerts")
    still = section[section.index("**Standing still.**") : section.index("**Telling.**")]
    assert _marked(still) & set(AlertKind) == {kind.value for kind, rule in RULES.items() if rule.stands_still}


@pytest.mark.parametrize("words", [AlertState, Step, Withheld])
def test_every_word_of_an_alert_is_described(words: type[StrEnum]) -> None:
    assert set(words) <= set(_named(_section(_page("rules.md"), "## Alerts")))


def test_every_verdict_is_described() -> None:
    assert _named(_section(_page("rules.md"), "## When something happened")) == [verdict.value for verdict in Verdict]


def test_every_category_is_described_in_the_order_of_the_rules() -> None:
    assert _named(_section(_page("rules.md"), "## The ledger")) == [category.value for category in Category]


@pytest.mark.parametrize("states", [LinkState, OccupancyState, PowerClass])
def test_every_state_of_a_part_is_described(states: type[LinkState | OccupancyState | PowerClass]) -> None:
    names = {state.name.lower() for state in states}
    assert names <= _marked(_section(_page("rules.md"), "## The twin"))
    assert names <= _marked(_section(_page("wire.md"), "### A twin"))


# Wire


def test_every_topic_is_in_the_contract() -> None:
    topics = Topics()
    expected = {f"{topics.prefix}/{{controller}}/{kind}" for kind in Upward}
    expected |= {topics.command("{controller}"), topics.grants("{controller}"), topics.public_twin("{instrument}")}
    expected |= {topics.mark()}
    assert set(_named(_section(_page("wire.md"), "## MQTT"))) >= expected
    assert {name for name in _marked(_page("wire.md")) if name.startswith(f"{topics.prefix}/")} == expected


@pytest.mark.parametrize("message", [Birth, Reading, Card, Ack])
def test_every_field_of_a_message_is_in_the_contract_with_its_default(message: type[msgspec.Struct]) -> None:
    identity = _named(_section(_page("wire.md"), "### Identity, time and order"))
    own = {row[0].strip("`"): row[2].strip("`") for row in _rows(_section(_page("wire.md"), f"### {message.__name__}"))}
    fields = {field.name: _default(field) for field in msgspec.structs.fields(message)}
    assert [name for name in fields if name not in own] == identity
    assert own == {name: default for name, default in fields.items() if name not in identity}


def test_the_contract_says_what_a_death_holds() -> None:
    assert [field.name for field in msgspec.structs.fields(Death)] == ["boot"]
    assert '{"boot": ' in _section(_page("wire.md"), "### Death")


def _default(field: msgspec.structs.FieldInfo) -> str:
    return "required" if field.required else msgspec.json.encode(field.default).decode()


def test_every_reason_for_quarantine_is_in_the_contract() -> None:
    assert _named(_section(_page("wire.md"), "### What cannot be read")) == [reason.value for reason in Reason]


def test_every_call_is_in_the_contract_with_its_parameters() -> None:
    rows = _rows(_section(_page("wire.md"), "## HTTP"))
    described = {row[0].strip("`"): _marked(row[1]) for row in rows if re.match(r"`[A-Z]+ /", row[0])}
    calls = {
        f"{method.upper()} {path}": {each["name"] for each in call.get("parameters", ()) if each["in"] == "query"}
        for path, item in _app().openapi_schema.to_schema()["paths"].items()
        for method, call in item.items()
    }
    assert described.keys() == calls.keys()
    for call, parameters in calls.items():
        assert {name for name in described[call] if not name.startswith("{")} == parameters, call


def test_every_address_is_in_the_contract() -> None:
    wire, own = _marked(_page("wire.md")), ("/static/", "/schema")
    paths = {re.sub(r":\w+}", "}", route.path) for route in _app().routes if isinstance(route, HTTPRoute)}
    for path in sorted(path for path in paths if not path.startswith(own)):
        assert {path, f"GET {path}", f"POST {path}"} & wire, path
    for route in _app().routes:
        if isinstance(route, WebSocketRoute):
            assert f"WS {route.path}" in wire


def test_every_field_of_an_answer_is_in_the_contract() -> None:
    wire = _page("wire.md")
    known = set(re.findall(r'["`]([a-z_]+)["`]', wire))
    for name, schema in _app().openapi_schema.to_schema()["components"]["schemas"].items():
        assert set(schema.get("properties", ())) <= known, name


def test_every_problem_is_in_the_contract() -> None:
    described = {row[0].strip("`"): row[1] for row in _rows(_section(_page("wire.md"), "### Problems"))}
    assert described == {code.name: str(int(code.status)) for code in Code}


def test_every_command_is_in_the_contract_with_its_options() -> None:
    described = _section(_page("wire.md"), "## Command line")
    commands = _commands()
    assert re.findall(r"^### `(.+)`$", described, re.MULTILINE) == list(commands)
    for name, command in commands.items():
        words = {marked.partition(" ")[0] for marked in _marked(_section(described, f"### `{name}`"))}
        options = {
            option
            for each in command.params
            for option in (*each.opts, *each.secondary_opts)
            if option.startswith("--")
        }
        assert options <= words, name
        assert {word for word in words if word.startswith("--")} <= options, name


# Operations


def test_every_setting_is_described_with_its_default() -> None:
    described = {row[0]: row[1] for row in _rows(_section(_page("operations.md"), "## Settings"))}
    for field in msgspec.structs.fields(Settings):
        expected = "none" if field.default is None else f"`{field.default}`"
        assert described[f"`{variable(field.name)}`"] == expected, field.name


def test_every_variable_that_is_read_is_described() -> None:
    described = _marked(_section(_page("operations.md"), "## Settings"))
    read = {name for text in _sources("twin", "web") for name in re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', text)}
    assert read, "the pattern no longer finds any"
    assert read - PLATFORM_VARIABLES <= described


def test_every_metric_is_described_with_its_kind() -> None:
    hubs = (Hub("board", Twins(Campus()), WebSettings()), Hub("alerts", Alerts(Campus()), WebSettings()))
    text = b"".join((Metrics().text(), *(hub.metrics() for hub in hubs))).decode()
    metrics = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    described = {row[0].strip("`"): row[1] for row in _rows(_section(_page("operations.md"), "## Metrics"))}
    assert described == {name: kind for name, kind in metrics.items() if not name.endswith("_created")}


def test_every_log_event_is_described_with_its_level() -> None:
    events = {
        (event, level)
        for text in _sources("twin", "web")
        for level, event in re.findall(r'log\.(debug|info|warning|error)\(\s*"([\w.]+)"', text)
    }
    described = {(row[0].strip("`"), row[1]) for row in _rows(_section(_page("operations.md"), "## Logs"))}
    assert described == events


def test_the_reference_broker_is_set_up_as_our_own() -> None:
    broker = _section(_page("operations.md"), "## Broker")
    kinds = ("max_", "persistence ", "persistent_", "autosave_")
    limits = [line for line in BROKER_SETTINGS.splitlines() if line.startswith(kinds)]
    assert len(limits) > 4
    for limit in limits:
        name, value = limit.split()
        assert limit in broker.splitlines()
        assert [f"`{name}`", value] in [[row[0], row[2]] for row in _rows(broker)], limit
    account = controller_account("%u", "")
    rules = [f"pattern write {topic}" for topic in account.publish] + [
        f"pattern read {each}" for each in account.subscribe
    ]
    assert [line for line in broker.splitlines() if line.startswith("pattern ")] == rules


# Architecture


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract.get("exhaustive"))
    drawn = _section(_page("architecture.md"), "## Rooms and layers").split("```")[1].splitlines()[3:]
    assert [set(line.split(" · ")) for line in drawn] == [set(re.split(" [|:] ", layer)) for layer in layers[1:]]


def test_the_bounds_are_those_of_the_code() -> None:
    bounds = _section(_page("architecture.md"), "## Every queue and its bound")
    limits = (
        *(MAX_MESSAGES, MAX_BYTES, MAX_UNHELD, MAX_READINGS, MAX_BOOTS, MAX_RANGES, TRAIL_LENGTH, MAX_A_ROUND),
        *(HISTORY_BEATS, WebSettings().max_boards, REMEMBERED),
    )
    for limit in limits:
        assert len(re.findall(rf"(?<![\d,]){limit:,}(?![\d,])", bounds)) >= limits.count(limit), limit


# All pages


def _links(text: str) -> Iterable[str]:
    without_code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", without_code)


def _anchors(page: Path) -> set[str]:
    without_code = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _links(page.read_text(encoding="utf-8")):
        if re.match(r"\w+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


def _blocks(text: str) -> list[list[str]]:
    """The code blocks without what they explain, which is in the page's own language."""
    blocks = re.findall(r"^```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [[line.partition(" #")[0].rstrip() for line in block.splitlines()] for block in blocks]


def test_both_readmes_show_the_same_commands() -> None:
    english, chinese = (_blocks((ROOT / name).read_text(encoding="utf-8")) for name in ("README.md", "README.zh-CN.md"))
    assert english[:2] == [["make demo"], ["make test"]]
    assert english == chinese


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_pages_show_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = re.sub(r" # .*", "", "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?<![\w-])make ([a-z]+)", code)) <= targets
    commands = {" ".join(name.split()[:2]) for name in _commands()}
    assert set(re.findall(r"(?<![\w.-])((?:twin|controllers-sim) [a-z]+)", code)) <= commands


def test_no_file_names_a_registry() -> None:
    hosts = [
        *("pypi.", "pythonhosted.", "npmjs.", "registry.npm", "deb.debian.", "security.debian.", "snapshot.debian."),
        *("ftp.debian.", "cdn-fastly.", "anaconda.", "crates.", "docker."),
    ]
    ends = ("org", "com", "net", "io", "cn", "edu")
    named = re.compile("|".join(re.escape(host) + rf"(?:{'|'.join(ends)})\b" for host in hosts))
    for path in _tracked():
        found = named.search(path.read_text(encoding="utf-8", errors="replace"))
        assert found is None, f"{path.relative_to(ROOT)}: {found}"


def _tracked() -> Iterator[Path]:
    folders = (*CODE, "tests", "docs", "deploy", "requirements", ".ci")
    yield from (path for path in ROOT.iterdir() if path.is_file())
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
