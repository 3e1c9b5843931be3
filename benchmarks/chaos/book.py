"""The controllers' book: what each of them really did, line by line; it is there whatever becomes of the process.

A line is written before the deed it tells of leaves the process, and an acknowledgement once it has been received. So
after a kill at any moment: what was sent is written, and what is written as acknowledged was.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from benchmarks.chaos.grants import Grants


class Made(msgspec.Struct, frozen=True, tag="made"):
    """A message got its identity; it is sent from then on until it is acknowledged."""

    at_ms: int
    controller: str
    kind: str
    message: dict[str, Any]

    @property
    def identity(self) -> "Identity":
        """What names it for ever."""
        return self.controller, self.message["boot"], self.message["seq"]


class Acknowledged(msgspec.Struct, frozen=True, tag="acknowledged"):
    """The broker sent its PUBACK for this message."""

    at_ms: int
    controller: str
    boot: str
    seq: int

    @property
    def identity(self) -> "Identity":
        """Which message."""
        return self.controller, self.boot, self.seq


class Told(msgspec.Struct, frozen=True, tag="told"):
    """A command came; `relay` is what the relay was told, None for other commands."""

    at_ms: int
    controller: str
    id: str
    expires_ms: int
    relay: bool | None


class Switched(msgspec.Struct, frozen=True, tag="switched"):
    """The relay moved, by a command; by none where the controller decided by itself while it was cut off."""

    at_ms: int
    controller: str
    on: bool
    command: str | None


class Granted(msgspec.Struct, frozen=True, tag="granted"):
    """The controller was told whom it may let in by itself."""

    at_ms: int
    controller: str
    grants: Grants


class Started(msgspec.Struct, frozen=True, tag="started"):
    """The controller was switched on."""

    at_ms: int
    controller: str
    boot: str


Identity: TypeAlias = tuple[str, str, int]
"""Controller, boot, seq."""
Entry: TypeAlias = Made | Acknowledged | Told | Switched | Granted | Started

_DECODER = msgspec.json.Decoder(Entry)
_ENCODER = msgspec.json.Encoder()


class Book:
    """For the controllers: appends entries, each of which is with the system on return."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, *entries: Entry) -> None:
        """Append entries."""
        os.write(self._file, b"".join(_ENCODER.encode(each) + b"\n" for each in entries))


class BookReader:
    """For everybody else: what has been added since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def news(self) -> Iterable[Entry]:
        """The entries that are new and whole."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return [_DECODER.decode(line) for line in whole.splitlines()]
