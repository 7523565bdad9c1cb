"""Books of 10, 50 and 200 pages with tiny cells: what a build costs, beside stock Jupyter Book.

Both build the same pages. Stock Jupyter Book executes with its cache (`execute_notebooks: cache`)
and its own theme and extensions. Each kind of build is run in turn, ours and stock's, and the
median of its repetitions counts. Prints tables; README.md in this folder keeps the last ones.

    .venv/bin/python benchmarks/scale.py --pages 10 50 200 --repeat 3
"""

import argparse
import os
import shutil
import sys
import tempfile
from itertools import count, islice
from pathlib import Path

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


def main() -> None:
    """Measure all sizes and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, nargs="+", default=[10, 50, 200], metavar="N")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions of each build (3)")
    options = parser.parse_args()
    kinds: dict[str, list[list[str]]] = {}
    for pages in options.pages:
        for kind, ours, stock in _builds(pages, options.repeat):
            ratio = f"{ours.wall / stock.wall:.2f}"
            row = [f"{pages}", *ours.columns(), *stock.columns(), ratio]
            kinds.setdefault(kind, []).append(row)
            print(f"{kind}: {' '.join(row)}", file=sys.stderr, flush=True)
    heads = ["pages", "onions: wall s", "cpu s", "MiB", "stock: wall s", "cpu s", "MiB", "ratio"]
    for kind, rows in kinds.items():
        print(f"\n{kind}\n\n{table(heads, rows)}")


def _builds(pages: int, repeat: int) -> list[tuple[str, Usage, Usage]]:
    """Return each kind of build with what ours and stock's took."""
    with tempfile.TemporaryDirectory() as folder:
        ours, stock = Path(folder, "ours"), Path(folder, "stock")
        _make(ours, pages, (ROOT / "_config.yml").read_text())
        _make(stock, pages, STOCK)
        found = [("From nothing", _onions(ours), _stock(stock))]
        edits = {
            "Nothing changed": ("", _onions),
            "Prose edit of one page": (TEXT, _onions),
            "Prose edit of one page, `onions render` alone": (TEXT, _render),
            "Code edit of one page": (CODE, _onions),
        }
        numbers = count()  # no edit twice
        for kind, (edit, build) in edits.items():
            left, right = [], []
            for number in islice(numbers, repeat):
                for root in (ours, stock):
                    _edit(root / "book" / "page-1.md", edit, number)
                left.append(build(ours))
                right.append(_stock(stock))
            found.append((kind, _median(left), _median(right)))
        plans = [run([*ONIONS, str(ours), "plan"], ENVIRONMENT) for _ in range(repeat)]
        states = [run([*ONIONS, str(ours), "status"], ENVIRONMENT) for _ in range(repeat)]
        heading = "`onions plan` (as onions), `onions status` (as stock)"
        return [*found, (heading, _median(plans), _median(states))]


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


def _edit(page: Path, line: str, number: int) -> None:
    """Change the line of the page that begins so."""
    lines = [
        f"{line}{number}" if line and old.startswith(line) else old
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


def _median(runs: list[Usage]) -> Usage:
    return sorted(runs, key=lambda usage: usage.wall)[(len(runs) - 1) // 2]


if __name__ == "__main__":
    main()
