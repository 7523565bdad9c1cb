"""Time the edit of a sentence here and in another revision of this project, in turn.

Both revisions execute their own pages in the smoke profile once. Then one sentence after another is
added to a page: in each revision, time `onions execute` and `onions render`, and the preview of
`onions live`. Prints a table of medians; README.md in this folder keeps the last table.

    .venv/bin/python benchmarks/edits.py HEAD~5
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from measure import paired_medians, run_checked, table
from tools import ROOT

EDITED = "pooling"  # a page with code
FILES = ("_config.yml", "_toc.yml", "requirements.lock")
ROWS = ("a sentence, two commands", "nothing changed", "first preview", "a sentence, preview")


class Revision:
    """The code and the executed book of one revision, in a folder of its own."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self.folder, self.edits = folder, 0
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(tree / "code"),
            "ONIONS_DATA": "sketches",
            "ONIONS_PROFILE": "smoke",
        }
        shutil.copytree(tree / "book", folder / "book")
        for name in FILES:
            shutil.copy(tree / name, folder)
        self.build()

    def build(self) -> float:
        """Execute and render; return the seconds."""
        started = time.monotonic()
        for name in ("execute", "render"):
            run_checked(self.command(name), self.environment)
        return time.monotonic() - started

    def edit(self) -> None:
        """Add a sentence to a page."""
        self.edits += 1
        with (self.folder / "book" / f"{EDITED}.md").open("a") as page:
            page.write(f"This is new sentence number {self.edits}.\n")

    def command(self, name: str, *arguments: str) -> list[str]:
        """Return the command line of an `onions` command of this revision."""
        return [sys.executable, "-m", "onions.cli", "--project", str(self.folder), name, *arguments]

    @contextmanager
    def preview(self) -> Iterator[Callable[[], float]]:
        """Start the preview; yield a function that returns the seconds of its next rendering."""
        shutil.rmtree(self.folder / "_build" / "live", ignore_errors=True)
        environment = {k: v for k, v in self.environment.items() if k != "ONIONS_DATA"}
        with subprocess.Popen(
            self.command("live", "--port", "0"),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout  # noqa: S101, for the types

            def next_rendering() -> float:
                for line in process.stdout or ():
                    if match := re.search(r"Rendered in ([\d.]+) s", line):
                        return float(match[1])
                raise SystemExit("the preview has ended")

            yield next_rendering
            process.send_signal(signal.SIGINT)


def main() -> None:
    """Measure both revisions in turn, and print the table."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="Example: .venv/bin/python benchmarks/edits.py main",
    )
    parser.add_argument("revision", help="the other revision, whose packages are the same")
    parser.add_argument("--pairs", type=int, default=5, help="how often to measure each (5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary, "tree")
        clone = ["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(tree)]
        subprocess.run(clone, check=True)
        checkout = ["git", "-C", str(tree), "checkout", "--quiet", options.revision]
        subprocess.run(checkout, check=True)
        revisions = [
            Revision(tree, Path(temporary, "other")),
            Revision(ROOT, Path(temporary, "own")),
        ]
        seconds = [_measure(revisions, row, options.pairs) for row in ROWS]
    lines = [
        [row, f"{other:.2f}", f"{own:.2f}", f"{own / other:.2f}"]
        for row, (other, own) in zip(ROWS, seconds, strict=True)
    ]
    print(table(["edit", f"{options.revision}: s", "here: s", "ratio"], lines))


def _measure(revisions: list[Revision], row: str, pairs: int) -> list[float]:
    """Return the median seconds of each revision."""
    measures = [partial(_time, revision, row) for revision in revisions]
    return paired_medians(measures, 1 if row == "first preview" else pairs)


def _time(revision: Revision, row: str) -> float:
    if "preview" not in row:
        if row != "nothing changed":
            revision.edit()
        return revision.build()
    with revision.preview() as next_rendering:
        first = next_rendering()
        if row == "first preview":
            return first
        times = []
        for _ in range(4):
            time.sleep(1)  # as long as an author needs to look
            revision.edit()
            times.append(next_rendering())
        return median(times[1:])  # the first edit imports a few modules more


if __name__ == "__main__":
    main()
