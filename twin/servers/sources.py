"""The machine's own Debian entries, read from apt's two formats and turned to another suite."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

_LIST_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$")
_SUITE_NAMES = frozenset({"oldstable", "stable", "testing", "unstable", "sid"})
_POCKETS = ("", "-updates", "-security")


@dataclass(frozen=True, slots=True)
class Source:
    """One place packages come from; `signed_by` is the keyring file that vouches for it."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str | None = None

    def stanza(self) -> str:
        """The entry as apt's deb822 format has it."""
        lines = [f"Types: deb\nURIs: {self.uri}\nSuites: {self.suite}\nComponents: main"]
        if self.signed_by:
            lines.append(f"Signed-By: {self.signed_by}")
        return "\n".join(lines) + "\n"


def machine_sources(etc_apt: Path = Path("/etc/apt")) -> list[Source]:
    """Every enabled binary entry of this machine, third parties' included."""
    files = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]
    return [source for file in files if file.is_file() for source in _read(file)]


def debian_sources(sources: list[Source], codename: str, suite: str, keyring: str | None) -> list[Source]:
    """Those of `sources` that are Debian's own, pointed at `suite`, each signed by a Debian keyring.

    An entry that names no keyring gets the installed one, so that keys of third parties never count here.
    """
    turned = [
        replace(source, suite=suite + pocket, signed_by=source.signed_by or keyring)
        for source in sources
        if (pocket := _pocket(source.suite, codename)) is not None and _is_debians(source)
    ]
    return list(dict.fromkeys(turned))


def installed_keyring(folder: Path = Path("/usr/share/keyrings")) -> str | None:
    """The Debian archive keyring of this machine, None where there is none."""
    found = [folder / f"debian-archive-keyring.{ending}" for ending in ("gpg", "pgp")]
    return next((str(path) for path in found if path.is_file()), None)


def _read(file: Path) -> Iterator[Source]:
    match file.suffix:
        case ".list":
            return _one_line_entries(file.read_text(encoding="utf-8"))
        case ".sources":
            return _deb822_entries(file.read_text(encoding="utf-8"))
        case _:
            return iter(())


def _one_line_entries(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        if found := _LIST_LINE.match(line.partition("#")[0].strip()):
            options = dict(option.partition("=")[::2] for option in (found["options"] or "").split())
            yield Source(found["uri"], found["suite"], tuple(found["components"].split()), options.get("signed-by"))


def _deb822_entries(text: str) -> Iterator[Source]:
    for block in re.split(r"\n\s*\n", text):
        fields = _fields(block)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield Source(uri, suite, components, fields.get("signed-by"))


def _fields(block: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in block.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')}\n{line}"
        else:
            name, _, value = line.partition(":")
            name = name.lower()
            fields[name] = value.strip()
    return fields


def _pocket(suite: str, codename: str) -> str | None:
    for base in (codename, *_SUITE_NAMES):
        if suite.startswith(base) and suite.removeprefix(base) in _POCKETS:
            return suite.removeprefix(base)
    return None


def _is_debians(source: Source) -> bool:
    keyring = source.signed_by
    vouched = keyring is None or "debian-archive" in Path(keyring.strip()).name
    return vouched and "main" in source.components and "debian" in source.uri.lower()
