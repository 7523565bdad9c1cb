import json
import re
from pathlib import Path

import jupytext
import pytest
from onions.book import new
from onions.book.page import Page, PageError, mask_code
from onions.book.project import Project
from onions.book.rules import apply_rules
from support.projects import ROOT, Small

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


def test_a_line_that_looks_like_an_option_of_a_cell_is_text(small: Small) -> None:
    example = "````markdown\n```{code-cell} python\n:load: x.py\n:tags: x\n1\n```\n````\n"
    page = Project(small(index=f"# T\n\nload: this.\n:tags: x\n\n{example}")).page("index")
    page.check()
    assert page.cells == []


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x0c", "\x0b", "\x1c", "\x85", "\x00"])
def test_a_character_that_only_some_tools_take_for_a_line_end_is_named(
    small: Small, character: str
) -> None:
    page = Project(small(index=f"# Title\n\nOne.\n\nTwo{character}three.\n")).page("index")
    with pytest.raises(PageError, match=r"index\.md:5: contains the control character .+\. Delete"):
        page.check()


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(small: Small) -> None:
    root = small(index=PAGE)
    before = Project(root).page("index")
    (root / "book" / "index.md").write_bytes(b"\xef\xbb\xbf" + PAGE.replace("\n", "\r\n").encode())
    page = Project(root).page("index")
    assert (page.text, page.cells, page.lesson) == (before.text, before.cells, before.lesson)


@pytest.mark.parametrize("item", ["Pooling: it shrinks.", "32", "", "2026-11-30", '" "', "[a]"])
@pytest.mark.parametrize("field", ["questions", "objectives", "keypoints"])
def test_an_item_that_yaml_takes_for_something_else_is_named(
    small: Small, field: str, item: str
) -> None:
    lists = {name: ["One."] for name in ("questions", "objectives", "keypoints")}
    lists[field].append(item)
    lines = [
        line
        for name, items in lists.items()
        for line in (f"  {name}:", *(f"    - {i}" for i in items))
    ]
    text = "\n".join(
        ("---", "lesson:", "  teaching: 1", "  exercises: 0", *lines, "---", "# T", "")
    )
    number = text.split("\n").index(f"    - {item}") + 1
    page = Project(small(index=text)).page("index")
    with pytest.raises(PageError, match=rf"index\.md:{number}: an item of {field} is not text"):
        page.check()


@pytest.mark.parametrize(
    "code",
    ["```\n# A comment\n```", "~~~python\n# A comment\n~~~", "```{code-cell} python\n# A\n```"],
)
def test_a_comment_in_code_is_not_the_title(small: Small, code: str) -> None:
    assert Project(small(index=f"{code}\n\n# The title\n")).page("index").title == "The title"


def test_a_comment_in_the_front_matter_is_not_the_title(small: Small) -> None:
    root = small(index="---\n# A comment\nlesson: {}\n---\n\n# The title\n")
    assert Project(root).page("index").title == "The title"


def test_markup_is_the_text_without_code() -> None:
    text = (
        "{a}`b` and ``{c}`d` `` and `e`.\n"
        "```{note}\n{f}`g`\n~~~\n{h}`i`\n~~~\n```\n"
        "````markdown\n```{note}\n{j}`k`\n```\n````\n"
        "```{code-cell} python\n{l}`m`\n```\n"
        ":::{quiz} n\n{o}`p`\n:::\n"
        "``` {q}`r`"
    )
    masked = mask_code(text)
    assert len(masked) == len(text) and masked.count("\n") == text.count("\n")
    assert re.findall(r"\{\w\}`\w`", masked) == ["{a}`b`", "{f}`g`", "{o}`p`", "{q}`r`"]


@pytest.mark.parametrize("name", [page.name for page in Project(ROOT).pages() if page.lesson])
def test_a_page_saved_by_jupytext_is_the_same_page(name: str) -> None:
    page = Project(ROOT).page(name)
    notebook = jupytext.reads(page.text, fmt="md:myst")
    saved = Page(name, page.path, jupytext.writes(notebook, fmt="md:myst"))
    assert saved.text != page.text
    assert (saved.lesson, saved.title) == (page.lesson, page.title)
    cells = [[(c.source, sorted(c.tags)) for c in each.cells] for each in (saved, page)]
    assert cells[0] == cells[1]
    assert apply_rules(saved) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("./b", "write b, the path"),
        ("a//b", "write a/b, the path"),
        ("/b", "write b, the path"),
        ("../b", "write b, the path"),
        ("b.ipynb", "pages are Markdown files, not .ipynb. Jupytext converts notebooks"),
        ("b.rst", "pages are Markdown files, not .rst"),
        ("my page", "use only the letters"),
        ("bök", "use only the letters"),
        ("a#b", "use only the letters"),
        ("100%", "use only the letters"),
        ("search", "the site needs this name itself"),
        ("404", "the site needs this name itself"),
        ("_static/b", "the site needs this name itself"),
        ("notebooks/b.md", "the site needs this name itself"),
        ("index.md", "the page is listed twice"),
    ],
)
def test_a_page_name_that_cannot_work_everywhere_is_refused(
    small: Small, name: str, problem: str
) -> None:
    root = small(index="# One")
    toc = f"format: jb-book\nroot: index\nchapters:\n  - file: {json.dumps(name)}\n"
    (root / "_toc.yml").write_text(toc)
    with pytest.raises(PageError) as raised:
        Project(root).pages()
    assert str(raised.value).startswith(f"{root}/_toc.yml: {name.removesuffix('.md')}: {problem}")


def test_a_part_may_end_in_a_link(small: Small) -> None:
    root = small(index="# One", b="# Two")
    toc = (
        "format: jb-book\nroot: index\nparts:\n  - caption: Optional\n    chapters:\n"
        "      - file: b\n      - {url: https://example.org, title: Elsewhere}\n"
    )
    (root / "_toc.yml").write_text(toc)
    assert [page.name for page in Project(root).pages()] == ["index", "b"]
    _, previous = new.add_page(Project(root), "c")
    assert previous == "b" and [p.name for p in Project(root).pages()] == ["index", "b", "c"]
