"""Books of 10, 50 and 200 pages with tiny cells: what a build costs, beside stock Jupyter Book.

Both build the same pages. Stock Jupyter Book executes with its cache (`execute_notebooks: cache`)
and its own theme and extensions. Each repetition builds all books, ours and stock's in turn, so
that a machine that grows slower does so for all; medians count. Prints tables; README.md in this
folder keeps the last ones.

    .venv/bin/python benchmarks/scale.py --pages 10 50 200 --repeat 5
"""

import argparse
import os
import shutil
import sys
import tempfile
from itertools import product
from pathlib import Path
from statistics import median

from measure import Usage, run, table

ROOT = Path(__file__).parents[1]
ONIONS = [sys.executable, "-m", "onions.cli", "--project"]
ENVIRONMENT = {**os.environ, "ONIONS_DATA": "sketches"}
PAGE = """\
---
jupytext: {{text_representation: {{extension: .md, format_name: myst}}}}
kernelspec: {{display_name: Python 3, language: python, name: python3}}
---
# Page {number}

What a list comprehension makes of the numbers below {number} + 3.

```{{code-cell}} python
squares = [n * n for n in range({number} + 3)]
squares
```

The sum of all of them:

```{{code-cell}} python
print(sum(squares))  #
```

The last line shows it.
"""
STOCK = """\
title: Scale
author: the authors of Networks are like onions
only_build_toc_files: true
execute: {execute_notebooks: cache}
html: {use_issues_button: false}
"""
TEXT, CODE = "The last line shows it.", "print(sum(squares))  #"
HEADS = ["pages", "onions: wall s", "cpu s", "MiB", "stock: wall s", "cpu s", "MiB", "ratio"]


def main() -> None:
    """Measure all sizes and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, nargs="+", default=[10, 50, 200], metavar="N")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions of each build (5)")
    options = parser.parse_args()
    kinds = {
        "Nothing changed": ("", _onions),
        "Prose edit of one page": (TEXT, _onions),
        "Prose edit of one page, `onions render` alone": (TEXT, _render),
        "Code edit of one page": (CODE, _onions),
    }
    with tempfile.TemporaryDirectory() as folder:
        books = {pages: _books(Path(folder), pages) for pages in options.pages}
        nothing = {
            pages: [(_onions(ours), _stock(stock))] for pages, (ours, stock) in books.items()
        }
        _print("From nothing", nothing)
        for kind, (edit, build) in kinds.items():
            took: dict[int, list[tuple[Usage, Usage]]] = {pages: [] for pages in books}
            for number, pages in product(range(options.repeat), books):
                ours, stock = books[pages]
                for root in (ours, stock):  # no edit twice
                    _edit(root / "book" / "page-1.md", edit, f" {kind} {number}")
                took[pages].append((build(ours), _stock(stock)))
            _print(kind, took)
        commands = {pages: [_commands(ours)] for pages, (ours, _) in books.items()}
        _print("`onions plan` (as onions), `onions status` (as stock)", commands)


def _print(kind: str, took: dict[int, list[tuple[Usage, Usage]]]) -> None:
    """Print a table of one kind of build: medians, and the median of the ratios of each pair."""
    rows = []
    for pages, pairs in took.items():
        ours, stock = (Usage.median(side) for side in zip(*pairs, strict=True))
        ratio = median(left.wall / right.wall for left, right in pairs)
        rows.append([f"{pages}", *ours.columns(), *stock.columns(), f"{ratio:.2f}"])
    print(f"\n{kind}\n\n{table(HEADS, rows)}", flush=True)


def _books(folder: Path, pages: int) -> tuple[Path, Path]:
    """Make the same book for ours and for stock's; return their folders."""
    ours, stock = folder / f"ours-{pages}", folder / f"stock-{pages}"
    _make(ours, pages, (ROOT / "_config.yml").read_text())
    _make(stock, pages, STOCK)
    return ours, stock


def _make(root: Path, pages: int, config: str) -> None:
    (root / "book").mkdir(parents=True)
    names = [f"page-{number}" for number in range(pages)]
    for number, name in enumerate(names):
        (root / "book" / f"{name}.md").write_text(PAGE.format(number=number))
    toc = "".join(f"  - file: {name}\n" for name in names[1:])
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: {names[0]}\nchapters:\n{toc}")
    (root / "_config.yml").write_text(config)
    (root / "book" / "references.bib").touch()
    shutil.copy(ROOT / "requirements.lock", root)


def _edit(page: Path, line: str, end: str) -> None:
    """Give the line of the page that begins so another end."""
    lines = [
        f"{line}{end}" if line and old.startswith(line) else old
        for old in page.read_text().splitlines()
    ]
    page.write_text("\n".join(lines) + "\n")


def _onions(root: Path) -> Usage:
    return run([*ONIONS, str(root), "execute"], ENVIRONMENT) + _render(root)


def _render(root: Path) -> Usage:
    return run([*ONIONS, str(root), "render"], ENVIRONMENT)


def _stock(root: Path) -> Usage:
    config = ["--config", str(root / "_config.yml"), "--toc", str(root / "_toc.yml")]
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(root / "book")]
    return run([*command, *config, "--path-output", str(root), "-q"], ENVIRONMENT)


def _commands(root: Path) -> tuple[Usage, Usage]:
    plan, status = (run([*ONIONS, str(root), name], ENVIRONMENT) for name in ("plan", "status"))
    return plan, status


if __name__ == "__main__":
    main()
