"""The page on how this book is made: its picture and its list of components match the code."""

import re
from pathlib import Path

import onions
from onions.store.build import Build
from onions.store.fingerprint import components
from support.projects import ROOT, Small, read_html
from support.runs import build_site

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


def test_every_file_in_the_picture_exists() -> None:
    words = re.findall(r">([^<>]+)</text>", PICTURE)
    files = [file for text in words for file in re.findall(r"[\w/]+\.py\b|extension/", text)]
    assert len(files) == len(set(files)) >= 8
    assert [file for file in files if not (CODE / file).exists()] == []
    alt = (ROOT / "book" / "reference" / "making.md").read_text("utf-8").partition(":alt:")[2]
    for step in ("read into cells", "fingerprint", "in the store?", "execute", "compare", "render"):
        assert any(step in text for text in words) and step.split()[0] in alt.split("\n")[0].lower()


def test_page_shows_every_component_of_a_fingerprint(small: Small) -> None:
    project = build_site(small(index=PAGE))
    html = read_html(project, "index")
    words = " ".join(re.sub("<[^>]+>", " ", html).split())
    parts = components(project.page("index"), project, Build.read(project.store))
    assert "code 1 cell" in words and "code that exports 1 cell" in words
    assert f"{len(parts['dependencies'])} packages, pinned in requirements.lock" in words
    for kind in ("facts", "modules", "packages"):
        assert parts[kind] and all(name in words for name in parts[kind]), kind
