"""Run the cells of all pages in one process, page after page, as without this project.

.venv/bin/python benchmarks/script.py .
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Run the cells of the project on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("project", type=Path, help="a folder with book/ and _toc.yml")
    _run_all_cells(parser.parse_args().project)


def _run_all_cells(root: Path) -> None:
    """Run each page in its own namespace, and print its seconds."""
    os.environ["MPLBACKEND"] = "Agg"
    from onions import kernel
    from onions.book.project import Project

    kernel.install()
    pages = Project(root).pages()
    folder = tempfile.TemporaryDirectory()  # like a kernel's, since some pages write files
    os.chdir(folder.name)
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
