"""The progress of pages that run in parallel."""

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from onions.run.cells import OnCell  # slow to import


def plain_console() -> Console:
    """Return a console that prints text unchanged, brackets and paths included."""
    return Console(soft_wrap=True, markup=False, highlight=False)


class PageProgress:
    """The current cell of each running page: live rows on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.rows: dict[str, TaskID] = {}
        self.live = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("cell {task.fields[cell]} of {task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[last_time]}", style="dim"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> None:
        self.live.start()

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def start(self, name: str, total: int, last_seconds: float | None) -> "OnCell":
        """Show a page of `total` cells, with the seconds of its last run if they are known.

        Return a callback, to be called with the index (from 0) of each cell before it runs.
        """
        started = time.monotonic()
        last_time = f"last run {last_seconds:.0f} s" if last_seconds else ""
        row = self.live.add_task(name, total=total, cell=1, last_time=last_time)
        self.rows[name] = row

        def on_cell(index: int) -> None:
            self.live.update(row, completed=index, cell=index + 1)
            if not self.console.is_terminal:
                seconds = time.monotonic() - started
                self.console.print(f"{name}: cell {index + 1} of {total} ({seconds:.0f} s)")

        return on_cell

    def finish(self, name: str) -> None:
        """Remove a page's row."""
        if name in self.rows:
            self.live.remove_task(self.rows.pop(name))
