"""Whether a demo has lived through a past: noted in its home, so that none is lived twice, nor half of one kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twin.servers.homes import write_secret

_NOTE = "past"
_BEGUN, _LIVED = "begun", "lived"


@contextmanager
def lived(home: Path) -> Iterator[None]:
    """Note that a past is lived through in the block; it counts once the block ends well."""
    write_secret(home / _NOTE, _BEGUN)
    yield
    write_secret(home / _NOTE, _LIVED)


def is_lived(home: Path) -> bool:
    """Has it a past?"""
    return _noted(home) == _LIVED


def was_cut_short(home: Path) -> bool:
    """Did living through a past end before it was lived?"""
    return _noted(home) == _BEGUN


def _noted(home: Path) -> str | None:
    note = home / _NOTE
    return note.read_text(encoding="utf-8") if note.exists() else None
