"""Time builds of a small and of a large book, here and with stock Jupyter Book, in turn.

Both books have the same pages of text, a tenth of them with a code cell. Prints a table of medians
and their ratios; README.md in this folder keeps the last table.

    .venv/bin/python benchmarks/many_pages.py
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml
from measure import paired_medians, run_checked, table
from tools import FILES, ROOT, onions_command

SECTION = """
## Part {number} of page {page}

A paragraph with *emphasis*, `code`, a formula $x^2 + {number}$, a [link](#title-{other}). It says
nothing, at the length of a paragraph that a reader would read to the end before the next one.

- One item of a list, which is short.
- Another item, with **strong** words.

| left | right |
| --- | --- |
| {number} | {page} |
"""
CELL = "\n```{{code-cell}} python\nprint({page})\n```\n"
SECTIONS, PAGES_PER_CELL = 4, 10
EDITED = 5  # the number of the edited page
ENVIRONMENT = {**os.environ, "ONIONS_DATA": "sketches"}


def main() -> None:
    """Measure both tools at each size, and print the table."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="Example: .venv/bin/python benchmarks/many_pages.py --sizes 20 200",
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 200], help="pages (20 200)")
    parser.add_argument("--pairs", type=int, default=3, help="how often to measure each (3)")
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as temporary:
            builds = [_jupyter_book(Path(temporary, "stock"), size), _ours(Path(temporary), size)]
            for row in ("from nothing", "a sentence", "nothing changed"):
                measures = [partial(_time, build, row) for build in builds]
                seconds = paired_medians(measures, 1 if row == "from nothing" else options.pairs)
                stock, own = (f"{value:.2f}" for value in seconds)
                rows.append([f"{size}", row, stock, own, f"{seconds[1] / seconds[0]:.2f}"])
    print(table(["pages", "build", "Jupyter Book: s", "here: s", "ratio"], rows))


Build = tuple[Path, Callable[[], float]]  # the edited page, and a build that returns its seconds


def _time(build: Build, row: str) -> float:
    page, run = build
    if row == "a sentence":
        page.write_text(f"{page.read_text('utf-8')}\nOne more sentence.\n", "utf-8")
    return run()


def _ours(folder: Path, size: int) -> Build:
    root = folder / "onions"
    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", root / "book")
    for name in FILES:
        shutil.copy(ROOT / name, root)
    page = _write_pages(root / "book", root / "_toc.yml", size)
    commands = [onions_command(root, name) for name in ("execute", "render")]
    return page, lambda: sum(_seconds(command) for command in commands)


def _jupyter_book(folder: Path, size: int) -> Build:
    page = _write_pages(folder, folder / "_toc.yml", size)
    settings = {
        "title": "Many pages",
        "execute": {"execute_notebooks": "cache"},
        "parse": {"myst_heading_anchors": 1},
    }
    (folder / "_config.yml").write_text(yaml.safe_dump(settings), "utf-8")
    program = str(Path(sys.executable).with_name("jupyter-book"))
    return page, lambda: _seconds([program, "build", str(folder)])


def _seconds(command: list[str]) -> float:
    return run_checked(command, ENVIRONMENT).seconds


def _write_pages(folder: Path, toc: Path, size: int) -> Path:
    """Write the pages and their table of contents; return the edited page."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"page_{number}" for number in range(size)]
    head = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n"
    for page, name in enumerate(names):
        parts = [
            SECTION.format(number=number, page=page, other=(page + 1) % size)
            for number in range(SECTIONS)
        ]
        cell = CELL.format(page=page) if page % PAGES_PER_CELL == 0 else ""
        text = f"{head}(title-{page})=\n# Title {page}\n{''.join(parts)}{cell}"
        (folder / f"{name}.md").write_text(text, "utf-8")
    chapters = [{"file": name} for name in names[1:]]
    content = {"format": "jb-book", "root": names[0], "chapters": chapters}
    toc.write_text(yaml.safe_dump(content), "utf-8")
    return folder / f"{names[EDITED]}.md"


if __name__ == "__main__":
    main()
