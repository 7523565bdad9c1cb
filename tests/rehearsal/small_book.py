"""A book of four tiny pages, which run in seconds and import no TensorFlow."""

import shutil
from pathlib import Path

TOC = """\
format: jb-book
root: index
chapters:
  - file: numbers
  - file: squares
  - file: words
"""
CELL = """
```{{code-cell}} python
{code}
```

```{{code-cell}} python
:tags: [remove-cell, build-only]
from onions.claims import claim, measure

measure("total", total)
claim("{sentence}", {condition}, total=total)
```
"""
PAGES = {
    "index": "# A small book\n\nIt has {doc}`numbers`, {doc}`squares` and {doc}`words`.\n",
    "numbers": "# Numbers\n\nTheir sum is odd.\n"
    + CELL.format(
        code="total = sum(range(10))\nprint(total)",
        sentence="Their sum is odd.",
        condition="total % 2 == 1",
    ),
    "squares": "# Squares\n\nTheir sum is small.\n"
    + CELL.format(
        code="total = sum(n**2 for n in range(10))\nprint(total)",
        sentence="Their sum is small.",
        condition="total < 1000",
    ),
    "words": "# Words\n\nThere are several.\n"
    + CELL.format(
        code='total = len("networks are like onions".split())\nprint(total)',
        sentence="There are several.",
        condition="total > 2",
    ),
}


def write(root: Path) -> None:
    """Put it in the place of a project's book."""
    needed = ("references.bib", "_static/onion.svg")  # which _config.yml names
    kept = {name: (root / "book" / name).read_bytes() for name in needed}
    shutil.rmtree(root / "book")
    for name, content in kept.items():
        (root / "book" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "book" / name).write_bytes(content)
    (root / "_toc.yml").write_text(TOC)
    for name, text in PAGES.items():
        (root / "book" / f"{name}.md").write_text(text)
