"""The page on how this book is made: what it shows and draws is what there is."""

import re
from collections.abc import Callable
from pathlib import Path

import onions
from conftest import ROOT, run_onions
from onions.extension.depends_on import grouped
from onions.fingerprint import Build, components
from onions.pages import Project

Small = Callable[..., Path]
CODE = Path(onions.__file__).parent
PICTURE = (ROOT / "book" / "_static" / "page_life.svg").read_text("utf-8")
PAGE = """# T

```{code-cell} python
:tags: [remove-cell, build-only]
from onions.claims import claim
claim("It is so.", True)
```

```{code-cell} python
:tags: [remove-cell, build-only, export]
from onions.exports import export
```

It is so.

```{depends-on} index
```
"""


def test_every_file_in_the_picture_is_there() -> None:
    words = re.findall(r">([^<>]+)</text>", PICTURE)
    files = [file for text in words for file in re.findall(r"[\w/]+\.py\b", text)]
    assert len(files) == len(set(files)) >= 8
    assert [file for file in files if not (CODE / file).exists()] == []
    alt = (ROOT / "book" / "reference" / "making.md").read_text("utf-8").partition(":alt:")[2]
    for step in ("read into cells", "fingerprint", "in the store?", "execute", "compare", "render"):
        assert any(step in text for text in words) and step.split()[0] in alt.split("\n")[0].lower()


def test_the_page_shows_every_part_of_a_fingerprint(small: Small) -> None:
    root = small(index=PAGE)
    for command in ("execute", "render"):
        done = run_onions(root, command)
        assert done.returncode == 0, done.stdout + done.stderr
    html = (root / "_build" / "html" / "index.html").read_text("utf-8")
    words = " ".join(re.sub("<[^>]+>", " ", html).split())
    project = Project(root)
    parts = components(project.page("index"), project, Build.read(project))
    assert "code 1 cell" in words and "code that exports 1 cell" in words
    for name in parts:
        assert name in words or name.startswith(("cell ", "export ")), name


def test_no_part_of_a_fingerprint_is_dropped() -> None:
    parts = {"cell 1": "a", "export 1": "b", "onions/x.py": "c", "keras": "3.1", "new thing": "d"}
    shown = " ".join(f"{name} {value}" for name, value in grouped(parts).items())
    assert all(part in shown for part in ("1 cell", "onions/x.py", "keras 3.1", "new thing"))
