"""Time the whole book from nothing: `onions execute`, and the same cells in one script.

The script is the alternative without this project: one process runs the cells of all pages, page
after page, on all cores. Both train in full, and draw the stand-in's images anew. Prints a table;
README.md in this folder keeps the last table.

    .venv/bin/python benchmarks/whole_book.py --pairs 1
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from measure import Resources, run_checked, table
from onions.kernel import CACHE
from tools import ROOT, copy_book, onions_command, script_command


def main() -> None:
    """Run both in turn and print a table of their resources."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=1, help="how often to run each (1)")
    rows = []
    for pair in range(1, parser.parse_args().pairs + 1):
        with tempfile.TemporaryDirectory() as folder:
            copy_book(Path(folder))
            onions = _run_from_nothing(onions_command(Path(folder), "execute"))
        script = _run_from_nothing(script_command(ROOT))
        ratio = f"{onions.seconds / script.seconds:.2f}"
        rows.append([f"{pair}", *onions.columns(), *script.columns(), ratio])
    heads = ["pair", "onions: wall s", "cpu s", "MiB", "script: wall s", "cpu s", "MiB", "ratio"]
    print(table(heads, rows))


def _run_from_nothing(command: list[str]) -> Resources:
    shutil.rmtree(CACHE, ignore_errors=True)
    environment = {**os.environ, "ONIONS_DATA": os.environ.get("ONIONS_DATA") or "sketches"}
    return run_checked(command, environment)


if __name__ == "__main__":
    main()
