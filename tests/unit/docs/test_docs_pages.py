"""Whatever any page shows is there: links, commands, and no address of a registry."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.unit.docs import documents as docs


def _links(text: str) -> Iterable[str]:
    without_code = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", without_code)


def _anchors(page: Path) -> set[str]:
    without_code = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: str(page.relative_to(docs.ROOT)))
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
    english, chinese = (
        _blocks((docs.ROOT / name).read_text(encoding="utf-8")) for name in ("README.md", "README.zh-CN.md")
    )
    assert english[:2] == [["make demo"], ["make test"]]
    assert english == chinese


@pytest.mark.parametrize("page", docs.PAGES, ids=lambda page: str(page.relative_to(docs.ROOT)))
def test_commands_that_pages_show_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = re.sub(r" # .*", "", "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)))
    targets = set(re.findall(r"^([a-z]+):", (docs.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?<![\w-])make ([a-z]+)", code)) <= targets
    commands = {" ".join(name.split()[:2]) for name in docs.commands()}
    assert set(re.findall(r"(?<![\w.-])((?:twin|controllers-sim) [a-z]+)", code)) <= commands


def test_what_the_docs_name_of_the_code_is_there() -> None:
    members, files = docs.members(), [str(path) for folder in docs.CODE for path in (docs.ROOT / folder).rglob("*.py")]
    for page in (docs.ROOT / "docs").rglob("*.md"):
        for name in docs.marked(page.read_text(encoding="utf-8")):
            if member := re.fullmatch(r"([A-Z][A-Za-z]+)\.(\w+)", name):
                assert member[2] in members.get(member[1], ()), f"{page.name}: {name}"
            elif re.fullmatch(r"[a-z_/]+\.py", name):
                assert any(file.endswith(f"/{name}") for file in files), f"{page.name}: {name}"


def test_no_file_names_a_registry() -> None:
    hosts = [
        *("pypi.", "pythonhosted.", "npmjs.", "registry.npm", "deb.debian.", "security.debian.", "snapshot.debian."),
        *("ftp.debian.", "cdn-fastly.", "anaconda.", "crates.", "docker."),
    ]
    ends = ("org", "com", "net", "io", "cn", "edu")
    named = re.compile("|".join(re.escape(host) + rf"(?:{'|'.join(ends)})\b" for host in hosts))
    for path in _tracked():
        found = named.search(path.read_text(encoding="utf-8", errors="replace"))
        assert found is None, f"{path.relative_to(docs.ROOT)}: {found}"


def _tracked() -> Iterator[Path]:
    folders = (*docs.CODE, "tests", "docs", "deploy", "requirements", ".ci")
    yield from (path for path in docs.ROOT.iterdir() if path.is_file())
    for folder in folders:
        for path in (docs.ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
