from pathlib import Path

import pytest
from onions.book.page import Page, PageError
from onions.book.project import Project
from support.projects import Small

PAGE = """---
lesson:
  teaching: 1
  exercises: 2
  questions: ["Why?"]
  objectives: [do it]
  keypoints: [Done.]
---
# A page

```{code-cell} python
---
tags: [hide-cell]
mystnb: {image: {alt: nothing}}
---

first = 1
second = 2
```

```{code-cell} python
:tags: [remove-cell]

third = 3
```

```{code-cell} python
fourth = 4
```
"""


def test_pages_come_in_the_order_of_the_table_of_contents(small: Small) -> None:
    project = Project(small(index="# One", b="# Two", a="# Three"))
    assert [page.name for page in project.pages()] == ["index", "b", "a"]
    assert [page.title for page in project.pages()] == ["One", "Two", "Three"]


def test_cells_know_their_line_in_the_file(small: Small) -> None:
    root = small(index=PAGE)
    page = Project(root).page("index")
    lines = (root / "book" / "index.md").read_text().splitlines()
    assert [lines[cell.line - 1] for cell in page.cells] == ["first = 1", "third = 3", "fourth = 4"]
    assert page.cells[0].tags == ("hide-cell",)
    assert page.cells[0].metadata["mystnb"]["image"]["alt"] == "nothing"


def test_lesson_is_read_from_the_front_matter(small: Small) -> None:
    page = Project(small(index=PAGE)).page("index")
    assert page.lesson["teaching"] == 1 and page.lesson["keypoints"] == ["Done."]
    assert Project(small(index="# No lesson")).page("index").lesson == {}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("teaching: 1", "teaching: one", "lesson: teaching must be a number"),
        ('questions: ["Why?"]', "questions: Why", "lesson: questions must be a list"),
        ("  keypoints: [Done.]\n", "", "lesson: keypoints is missing"),
        ("keypoints:", "keypoint:", "lesson: keypoints is missing"),
        ("lesson:", "lesson:\n  extra: 1", "lesson: extra is not one of teaching"),
    ],
)
def test_invalid_front_matter_is_named(small: Small, before: str, after: str, message: str) -> None:
    page = Project(small(index=PAGE.replace(before, after))).page("index")
    with pytest.raises(PageError, match=f"index.md: front matter: {message}"):
        _ = page.lesson


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the page is empty"),
        ("---\na: [\n---\n# Title", "metadata"),
        ("---\n- a\n---\n# Title", "can't be read"),
        ("---\nkernelspec: python3\n---\n# Title", "can't be read"),
        ("---\nkernelspec: {name: ir}\n---\n# Title", "the kernel must be python3, not ir"),
        ("---\nlesson: [a]\n---\n# Title", "lesson must be a mapping"),
        ("```{code-cell} python\n---\na: [\n---\n1\n```", "can't be read"),
        ("```{code-cell} python\n:tags: hide-cell\n1\n```", "tags must be a list"),
        ("```{code-cell} python\n:tags:\n1\n```", "tags must be a list"),
        ("```{code-cell} python\n:load: other.py\n```", "Write the code into the page"),
        ("```{code-cell} python\n---\nload: other.py\n---\n```", "Write the code into the page"),
        ("```{code-cell} python\n---\nmystnb: {image: null}\n---\n1\n```", "must be mappings"),
        ("```{code-cell} python\n---\nmystnb: figure\n---\n1\n```", "must be mappings"),
    ],
)
def test_an_unreadable_page_is_named(text: str, message: str) -> None:
    with pytest.raises(PageError, match=rf"(?s)some\.md.*{message}"):
        Page("some", Path("some.md"), text).check()


def test_unreadable_files_and_entries_are_named(small: Small) -> None:
    root = small(index="# One", gone="# Two")
    (root / "book" / "gone.md").unlink()
    with pytest.raises(PageError, match=r"gone\.md: can't be read .*Check _toc\.yml"):
        Project(root).pages()
    (root / "_toc.yml").write_text("root: [")
    with pytest.raises(PageError, match=r"_toc\.yml: not a table of contents"):
        Project(root).pages()
    (root / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n  - glob: b*\n")
    with pytest.raises(PageError, match=r"_toc\.yml: glob: is not supported\. Use file:"):
        Project(root).pages()
    (root / "_toc.yml").write_text("format: jb-book\nroot: index.md\n")
    assert [page.name for page in Project(root).pages()] == ["index"]
    (root / "book" / "index.md").write_bytes(b"# \xe9")
    with pytest.raises(PageError, match=r"index\.md: not UTF-8"):
        Project(root).pages()
    (root / "book" / "index.md").write_text("No title.")
    with pytest.raises(PageError, match=r"index\.md: the page has no title"):
        _ = Project(root).page("index").title
