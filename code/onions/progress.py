"""What a build shows while pages run side by side."""

import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from onions.runner import OnCell  # which takes as long to import as all the rest


def plain_console(*, stderr: bool = False) -> Console:
    """Return a console that prints texts as they are, brackets and paths included."""
    return Console(stderr=stderr, soft_wrap=True, markup=False, highlight=False)


class PageProgress:
    """Which page is at which cell: live rows on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.rows: dict[str, TaskID] = {}
        self.live = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("cell {task.fields[cell]} of {task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[before]}", style="dim"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> None:
        self.live.start()

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def row(self, name: str, total: int, before: float | None) -> "OnCell":
        """Show a page that starts, its number of cells and how long it took last time; return what
        its cells call.
        """
        started = time.monotonic()
        last_time = f"last time {before:.0f} s" if before else ""
        row = self.live.add_task(name, total=total, cell=1, before=last_time)
        self.rows[name] = row

        def on_cell(index: int) -> None:
            self.live.update(row, completed=index, cell=index + 1)
            if not self.console.is_terminal:
                seconds = time.monotonic() - started
                self.console.print(f"{name}: cell {index + 1} of {total} ({seconds:.0f} s)")

        return on_cell

    def end(self, name: str) -> None:
        """Take a page's row away."""
        if name in self.rows:
            self.live.remove_task(self.rows.pop(name))
