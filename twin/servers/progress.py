"""What the servers are doing, shown on a terminal as a bar, elsewhere as a line per step."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from twin.servers.packages import Progress


@contextmanager
def console_progress(console: Console) -> Iterator[Progress]:
    """A `Progress` that writes to the console until the block ends."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        yield _Bar(bars)


class _Lines:
    """Each step once: a log has no use for a hundred percentages."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = ""

    def __call__(self, what: str, _done: float | None) -> None:
        if what != self._shown:
            self._console.print(f"{what}...", highlight=False)
        self._shown = what


class _Bar:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task = bars.add_task("", total=None)

    def __call__(self, what: str, done: float | None) -> None:
        self._bars.update(self._task, description=what, completed=done or 0.0, total=None if done is None else 1.0)
