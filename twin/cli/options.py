"""What several commands have in common: settings from the environment and options, and how errors end a command."""

import asyncio
import os
import re
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn, TypeVar

import asyncpg
import msgspec
import typer
import uvloop
from rich.console import Console

from twin.backup.errors import BackupError
from twin.layering import RegistryError
from twin.servers import ServersError
from twin.settings import Settings, SettingsError, read_settings
from twin.store.commit import AnotherWriterError, OvertakenError
from twin.store.rows import IncompatibleVersionError

_T = TypeVar("_T")

Host = Annotated[str | None, typer.Option(help="Address to serve pages and API on. [default: 127.0.0.1]")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port of pages and API; 0: any free one.")]
Duration = Annotated[str | None, typer.Option("--for", metavar="30s", help="End by itself after so long (s, m, h).")]
DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def settings_with(**options: str | int | None) -> Settings:
    """The environment's settings, with these options over them."""
    given = {name: value for name, value in options.items() if value is not None}
    return msgspec.structs.replace(read_settings(os.environ), **given)


def seconds(duration: str | None) -> float | None:
    """A duration such as `30s`, `5m`, `1.5h` in seconds."""
    if duration is None:
        return None
    match = DURATION.fullmatch(duration)
    if match is None:
        raise typer.BadParameter(f"{duration!r} is no duration: write 30s, 5m or 1h", param_hint="--for")
    return float(match[1]) * _SECONDS[match[2]]


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a command's coroutine on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@contextmanager
def explained(errors: Console) -> Iterator[None]:
    """End with exit code 1 and one clear message where something is wrong that the reader can put right."""
    try:
        yield
    except (SettingsError, ServersError, AnotherWriterError, OvertakenError, RegistryError, BackupError) as error:
        _end(errors, str(error))
    except IncompatibleVersionError as error:
        _end(errors, f"{error}. Use the version that wrote them; a demo starts anew with: twin demo --fresh")
    except asyncpg.PostgresError as error:
        _end(errors, f"The database refused: {error}. `twin doctor` says what it lacks.")
    except OSError as error:
        _end(errors, f"{error}. `twin doctor` checks database, broker and ports.")


def _end(errors: Console, message: str) -> NoReturn:
    errors.print(f"[bold red]Cannot go on.[/] {message}", highlight=False, soft_wrap=True)
    raise typer.Exit(1)
