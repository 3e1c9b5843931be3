"""The pages of the docs, taken apart: what they say is held against the code."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import typer
from litestar import Litestar
from typer.core import TyperCommand, TyperGroup

import controllers_sim.cli
import twin.cli
from tests.unit.web.campus import Campus
from web.app import create_app

ROOT = Path(__file__).parents[3]
CODE = ("twin", "web", "controllers_sim", "benchmarks")
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(page for folder in CODE for page in (ROOT / folder).rglob("*.md")),
]
PLATFORM_VARIABLES = {"PATH"}


def page_text(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def section_of(page: str, heading: str) -> str:
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


def section(name: str, heading: str) -> str:
    """What stands below a heading of a page."""
    return section_of(page_text(name), heading)


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, heads and rulers left out."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    rulers = [set("".join(line)) == {"-"} for line in cells]
    return [line for at, line in enumerate(cells) if not any(rulers[at : at + 2])]


def named(text: str) -> list[str]:
    """The one thing in back quotes that each row is about, in order."""
    return [found[1] for row in rows(text) if (found := re.fullmatch(r"`([^`]+)`", row[0]))]


def marked(text: str) -> set[str]:
    """Everything in back quotes."""
    return set(re.findall(r"`([^`\n]+)`", text))


def sources(*folders: str) -> Iterator[str]:
    return (path.read_text(encoding="utf-8") for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


def members() -> dict[str, set[str]]:
    """The functions and fields of each class."""
    found: dict[str, set[str]] = {}
    for node in (
        node for text in sources(*CODE) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)
    ):
        own = found.setdefault(node.name, set())
        for each in node.body:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                own.add(each.name)
            elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
                own.add(each.target.id)
    return found


def app() -> Litestar:
    return create_app(Campus())


def _leaves(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for word, below in command.commands.items():
            yield from _leaves(below, f"{name} {word}")
    elif isinstance(command, TyperCommand):
        yield name, command


def commands() -> dict[str, TyperCommand]:
    apps = {"twin": twin.cli.app, "controllers-sim": controllers_sim.cli.app}
    return dict(leaf for name, app in apps.items() for leaf in _leaves(typer.main.get_command(app), name))
