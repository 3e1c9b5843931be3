"""What docs/wire.md says is what is sent, answered and asked."""

import re

import msgspec
import pytest
from litestar.routes import HTTPRoute, WebSocketRoute

from tests.unit.docs import documents as docs
from twin.events import Ack, Birth, Card, Death, Reading
from twin.stream.native import Reason
from twin.stream.topics import Topics, Upward
from web.problems import Code


def test_every_topic_is_in_the_contract() -> None:
    topics = Topics()
    expected = {f"{topics.prefix}/{{controller}}/{kind}" for kind in Upward}
    expected |= {topics.command("{controller}"), topics.grants("{controller}"), topics.public_twin("{instrument}")}
    expected |= {topics.mark()}
    assert set(docs.named(docs.section("wire.md", "## MQTT"))) >= expected
    assert {name for name in docs.marked(docs.page_text("wire.md")) if name.startswith(f"{topics.prefix}/")} == expected


@pytest.mark.parametrize("message", [Birth, Reading, Card, Ack])
def test_every_field_of_a_message_is_in_the_contract_with_its_default(message: type[msgspec.Struct]) -> None:
    identity = docs.named(docs.section("wire.md", "### Identity, time and order"))
    own = {
        row[0].strip("`"): row[2].strip("`") for row in docs.rows(docs.section("wire.md", f"### {message.__name__}"))
    }
    fields = {field.name: _default(field) for field in msgspec.structs.fields(message)}
    assert [name for name in fields if name not in own] == identity
    assert own == {name: default for name, default in fields.items() if name not in identity}


def test_the_contract_says_what_a_death_holds() -> None:
    assert [field.name for field in msgspec.structs.fields(Death)] == ["boot"]
    assert '{"boot": ' in docs.section("wire.md", "### Death")


def _default(field: msgspec.structs.FieldInfo) -> str:
    return "required" if field.required else msgspec.json.encode(field.default).decode()


def test_every_reason_for_quarantine_is_in_the_contract() -> None:
    assert docs.named(docs.section("wire.md", "### What cannot be read")) == [reason.value for reason in Reason]


def test_every_call_is_in_the_contract_with_its_parameters() -> None:
    rows = docs.rows(docs.section("wire.md", "## HTTP"))
    described = {row[0].strip("`"): docs.marked(row[1]) for row in rows if re.match(r"`[A-Z]+ /", row[0])}
    calls = {
        f"{method.upper()} {path}": {each["name"] for each in call.get("parameters", ()) if each["in"] == "query"}
        for path, item in docs.app().openapi_schema.to_schema()["paths"].items()
        for method, call in item.items()
    }
    assert described.keys() == calls.keys()
    for call, parameters in calls.items():
        assert {name for name in described[call] if not name.startswith("{")} == parameters, call


def test_every_address_is_in_the_contract() -> None:
    wire, own = docs.marked(docs.page_text("wire.md")), ("/static/", "/schema")
    paths = {re.sub(r":\w+}", "}", route.path) for route in docs.app().routes if isinstance(route, HTTPRoute)}
    for path in sorted(path for path in paths if not path.startswith(own)):
        assert {path, f"GET {path}", f"POST {path}"} & wire, path
    for route in docs.app().routes:
        if isinstance(route, WebSocketRoute):
            assert f"WS {route.path}" in wire


def test_every_field_of_an_answer_is_in_the_contract() -> None:
    wire = docs.page_text("wire.md")
    known = set(re.findall(r'["`]([a-z_]+)["`]', wire))
    for name, schema in docs.app().openapi_schema.to_schema()["components"]["schemas"].items():
        assert set(schema.get("properties", ())) <= known, name


def test_every_problem_is_in_the_contract() -> None:
    described = {row[0].strip("`"): row[1] for row in docs.rows(docs.section("wire.md", "### Problems"))}
    assert described == {code.name: str(int(code.status)) for code in Code}


def test_every_command_is_in_the_contract_with_its_options() -> None:
    described = docs.section("wire.md", "## Command line")
    commands = docs.commands()
    assert re.findall(r"^### `(.+)`$", described, re.MULTILINE) == list(commands)
    for name, command in commands.items():
        words = {marked.partition(" ")[0] for marked in docs.marked(docs.section_of(described, f"### `{name}`"))}
        options = {
            option
            for each in command.params
            for option in (*each.opts, *each.secondary_opts)
            if option.startswith("--")
        }
        assert options <= words, name
        assert {word for word in words if word.startswith("--")} <= options, name
