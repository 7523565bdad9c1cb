"""The whole book from nothing: side by side with `onions execute`, against the same cells in a row.

The other side is what one would write without this project: one process that runs every page's
cells, one page after another, with all cores. Both train in full, and both begin without drawn
pictures. Prints a table; README.md in this folder keeps the last one.

    .venv/bin/python benchmarks/whole_book.py --pairs 1
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from measure import Usage, run, table

ROOT = Path(__file__).parents[1]
SKETCHES = ROOT / "_build" / "sketches"


def main() -> None:
    """Run both sides in turn and print how long each took."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=1, help="how often to run both (1)")
    parser.add_argument("--script", type=Path, help=argparse.SUPPRESS)  # the other side's process
    options = parser.parse_args()
    if options.script:
        _run_all_cells(options.script)
        return
    rows = []
    for pair in range(1, options.pairs + 1):
        ours, other = _execute(), _script()
        rows.append([f"{pair}", *ours.columns(), *other.columns(), f"{ours.wall / other.wall:.2f}"])
    heads = ["pair", "onions: wall s", "cpu s", "MiB", "script: wall s", "cpu s", "MiB", "ratio"]
    print(table(heads, rows))


def _execute() -> Usage:
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        shutil.copytree(ROOT / "book", project / "book")
        for name in ("_config.yml", "_toc.yml", "requirements.lock"):
            shutil.copy(ROOT / name, project / name)
        return _timed([sys.executable, "-m", "onions.cli", "--project", folder, "execute"])


def _script() -> Usage:
    return _timed([sys.executable, __file__, "--script", str(ROOT)])


def _timed(command: list[str]) -> Usage:
    shutil.rmtree(SKETCHES, ignore_errors=True)
    environment = {**os.environ, "ONIONS_DATA": os.environ.get("ONIONS_DATA") or "sketches"}
    return run(command, environment)


def _run_all_cells(root: Path) -> None:
    """Run the cells of all pages in this process, each page in a namespace of its own."""
    os.environ["MPLBACKEND"] = "Agg"
    from onions import kernel
    from onions.pages import Project

    kernel.install()
    pages = Project(root).pages()
    workplace = tempfile.TemporaryDirectory()  # as a page's kernel has one: some pages write files
    os.chdir(workplace.name)
    for page in pages:
        names: dict[str, object] = {"__name__": "__main__"}
        started = time.monotonic()
        for cell in page.cells:
            if "skip-execution" in cell.tags:
                continue
            try:
                exec(compile(cell.source, f"{page.path}:{cell.line}", "exec"), names)  # noqa: S102
            except Exception:
                if "raises-exception" not in cell.tags:
                    raise
        if page.cells:
            seconds = time.monotonic() - started
            print(f"{page.name}: {seconds:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
