"""Which of a machine's package entries are Debian's own, in both of apt's formats."""

from pathlib import Path

import pytest

from twin.servers.sources import Source, debian_sources, machine_sources

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

ONE_LINE = """\
# a mirror near us
deb http://mirror.example/debian/ bookworm main contrib  # and more
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/d/debian bookworm-updates main
deb-src http://mirror.example/debian/ bookworm main
deb http://mirror.example/debian bookworm-backports main
deb [signed-by=/usr/share/keyrings/vendor.gpg] https://vendor.example/debian bookworm main
deb https://packages.vendor.example/apt cloud-sdk-bookworm main
"""
DEB822 = """\
Types: deb deb-src
# said to be fast
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: https://vendor.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQENBF

Enabled: no
Types: deb
URIs: http://other.example/debian
Suites: bookworm
Components: main
"""


def _machine(etc_apt: Path, name: str, text: str) -> list[Source]:
    file = etc_apt / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return machine_sources(etc_apt)


def test_one_line_entries_are_turned_to_another_suite(tmp_path: Path) -> None:
    sources = debian_sources(_machine(tmp_path, "sources.list", ONE_LINE), "bookworm", "trixie", KEYRING)
    assert sources == [
        Source("http://mirror.example/debian/", "trixie", ("main", "contrib"), KEYRING),
        Source("http://mirror.example/d/debian", "trixie-updates", ("main",), KEYRING),
    ]


def test_deb822_entries_are_turned_to_another_suite(tmp_path: Path) -> None:
    machine = _machine(tmp_path, "sources.list.d/debian.sources", DEB822)
    sources = debian_sources(machine, "bookworm", "trixie", KEYRING)
    own = "/usr/share/keyrings/debian-archive-keyring.pgp"
    assert [(source.uri, source.suite, source.signed_by) for source in sources] == [
        ("http://mirror.example/debian", "trixie", own),
        ("http://mirror.example/debian", "trixie-updates", own),
        ("http://mirror.example/debian-security", "trixie-security", KEYRING),
    ]


def test_a_machine_without_debian_entries_has_no_sources(tmp_path: Path) -> None:
    machine = _machine(tmp_path, "sources.list", "deb http://archive.vendor.example/ubuntu noble main\n")
    assert debian_sources(machine, "noble", "trixie", KEYRING) == []


def test_files_that_apt_ignores_are_ignored(tmp_path: Path) -> None:
    assert _machine(tmp_path, "sources.list.d/old.list.save", ONE_LINE) == []


@pytest.mark.parametrize("suite", ["stable", "bookworm", "testing"])
def test_suites_may_be_named_by_state_or_codename(suite: str) -> None:
    source = Source("http://mirror.example/debian", f"{suite}-security", ("main",))
    assert debian_sources([source], "bookworm", "trixie", KEYRING)[0].suite == "trixie-security"


def test_a_stanza_asks_for_main_only_and_names_its_keyring() -> None:
    stanza = Source("http://mirror.example/debian", "trixie", ("main", "contrib"), KEYRING).stanza()
    assert stanza == (
        f"Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nComponents: main\nSigned-By: {KEYRING}\n"
    )
