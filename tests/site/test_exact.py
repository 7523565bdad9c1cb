"""After any edit, an incremental build equals one from scratch, byte for byte."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis.strategies import lists, sampled_from
from onions.book.project import Project
from PIL import Image
from support.lessons import LESSON
from support.pages import BUILD_ONLY_TAGS, cell
from support.projects import run_onions, small_project, tree
from support.runs import build_site, store_runs

FIRST = (
    f"{LESSON}# First\n\nThe {{term}}`accuracy` of {{cite}}`srivastava2014`.\n\n"
    + cell("total = 307_299 + 1")
    + cell("from onions.claims import measure\nmeasure('total', total)", BUILD_ONLY_TAGS)
    + "There are {glue:text}`total:,d`.\n\n"
    + "(sec-middle)=\n## The middle\n\nText in the middle.\n\n"
    + ":::{figure} _static/dot.bmp\n:name: fig-dot\n:alt: A dot.\n\nA dot.\n:::\n\n"
    + ":::{table} Numbers\n:name: tab-one\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n:::\n\n"
    + "```{math}\n:label: eq-sum\na + b\n```\n\n"
    + "`````{exercise-start} How many\n:label: ex\n`````\nCheck both.\n"
    + "`````{exercise-end}\n`````\n\n"
    + "`````{solution-start} ex\n:label: sol\n`````\nTwo.\n`````{solution-end}\n`````\n"
)
SECOND = (
    f"{LESSON}# Second\n\nSee {{numref}}`fig-dot`, {{numref}}`tab-one`, {{eq}}`eq-sum`, "
    "{ref}`sec-middle`, {doc}`first`, {numref}`ex`, {ref}`ex`, [](first.md), [](#sec-middle) "
    "and [this](#fig-dot).\n\n"
    "It is {glue:}`first.md::total`.\n\n"
    "```{literalinclude} ../scripts/tool.py\n```\n\n"
    "```{include} ../scripts/notes.md\n```\n"
)
PAGES = {
    "index": "# Home\n\nWelcome.\n\n```{schedule}\n```\n",
    "first": FIRST,
    "second": SECOND,
    "third": "# Third\n\nSome text.\n\n" + cell("print('ready')"),
    "reference/results": "# Results\n\n```{measures}\n```\n\n```{versions}\n```\n",
    "reference/exercises": "# All exercises\n\n```{all-exercises}\n```\n",
    "reference/points": "# Points\n\n```{key-points}\n```\n",
    "reference/glossary": (
        "# Glossary\n\n```{glossary}\naccuracy\n  The share of right answers.\n```\n\n"
        "```{bibliography}\n```\n"
    ),
}
SOURCES = """@misc{srivastava2014, author = {Nitish Srivastava}, title = {Dropout}, year = 2014}
@misc{abel2013, author = {Ann Abel}, title = {Before}, year = 2013}
"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Path]]:
    """A rendered course, whose pages show something of each other in every way; and a copy."""
    root = small_project(tmp_path_factory.mktemp("course"), **PAGES)
    (root / "book" / "references.bib").write_text(SOURCES)
    (root / "scripts").mkdir()
    (root / "scripts" / "tool.py").write_text("one = 1\n")
    (root / "scripts" / "notes.md").write_text("An included note.\n")
    Image.new("RGB", (8, 8), "red").save(root / "book" / "_static" / "dot.bmp")
    (root / "book" / "_static" / "site.css").write_text("p { color: red }\n")
    project, copy = build_site(root), tmp_path_factory.mktemp("copy")
    yield project, shutil.copytree(root, copy, dirs_exist_ok=True)


@pytest.fixture
def course(rendered: tuple[Project, Path]) -> Project:
    """The course, as it was."""
    return restore(rendered)


def restore(rendered: tuple[Project, Path]) -> Project:
    """Restore the course, with the times of its files."""
    project, copy = rendered
    shutil.rmtree(project.root)
    shutil.copytree(copy, project.root)
    return project


def assert_exact(course: Project) -> None:
    """Render incrementally, then from scratch, and compare status and files."""
    statuses, sites = [], []
    for _ in range(2):
        done = run_onions(course.root, "render")
        statuses.append((done.returncode, done.stderr if done.returncode else ""))
        sites.append(tree(course.build / "html"))
        for name in ("html", "render"):
            shutil.rmtree(course.build / name, ignore_errors=True)
    incremental, scratch = statuses
    assert incremental[0] == scratch[0], incremental[1] + scratch[1]
    if scratch[0] == 0:
        assert sites[0].keys() == sites[1].keys()
        assert [name for name in sites[0] if sites[0][name] != sites[1][name]] == []


Edit = tuple[str, str, str]  # a file, a text in it, and the text that replaces it
FIGURE = ":::{figure} _static/dot.bmp\n:name: fig-new\n:alt: A new dot.\n\nA new dot.\n:::\n\n"
TABLE = ":::{table} New\n:name: tab-new\n\n| c |\n| --- |\n| 3 |\n:::\n\n"
EQUATION = "```{math}\n:label: eq-new\nc\n```\n\n"
EXERCISE = FIRST[FIRST.index("`````{exercise-start}") : FIRST.index("`````{solution-start}")]
MIDDLE = "(sec-middle)=\n## The middle\n"
MEASURE = cell("from onions.claims import measure\nmeasure('more', 1)", BUILD_ONLY_TAGS)
TOC = "_toc.yml"

EDITS: dict[str, list[Edit]] = {
    "prose": [("book/first.md", "Text in the", "A new text in the")],
    "a figure before another": [("book/first.md", MIDDLE, FIGURE + MIDDLE)],
    "a table before another": [("book/first.md", MIDDLE, TABLE + MIDDLE)],
    "an equation before another": [("book/first.md", MIDDLE, EQUATION + MIDDLE)],
    "an exercise before another": [
        ("book/first.md", MIDDLE, EXERCISE.replace(":label: ex", ":label: new") + MIDDLE)
    ],
    "a section's title": [("book/first.md", "## The middle", "## The *centre*")],
    "a page's title": [("book/first.md", "# First", "# The `first`")],
    "the text of an exercise": [("book/first.md", "Check both.", "Check them.")],
    "a label that is gone": [("book/first.md", "(sec-middle)=\n", "")],
    "a label that is gone and back": [
        ("book/first.md", "(sec-middle)=\n", ""),
        ("book/third.md", "Some text.", "Other text."),
        ("book/first.md", "## The middle", "(sec-middle)=\n## The middle"),
    ],
    "a label that moves to another page": [
        ("book/first.md", MIDDLE, ""),
        ("book/third.md", "Some text.", f"{MIDDLE}\nSome text."),
    ],
    "a value": [("book/first.md", "307_299 + 1", "307_299 + 2")],
    "a value that is gone": [
        ("book/first.md", "measure('total', total)", "measure('other', total)"),
        ("book/first.md", "`total:,d`", "`other:,d`"),
    ],
    "a new value": [("book/third.md", "Some text.", f"Some text.\n\n{MEASURE}")],
    "an included file": [("scripts/tool.py", "one = 1", "one = 2")],
    "included prose, and where it is included": [
        ("scripts/notes.md", "An included", "A changed"),
        ("book/third.md", "Some text.", "```{include} ../scripts/notes.md\n```\n"),
        ("scripts/notes.md", "A changed", "Another"),
    ],
    "a source": [("book/references.bib", "Nitish", "Nora")],
    "a citation that comes before another": [
        ("book/third.md", "Some text.", "Some text of {cite}`abel2013`.")
    ],
    "a citation that is gone": [("book/first.md", " of {cite}`srivastava2014`", "")],
    "a term": [("book/reference/glossary.md", "The share of", "How often there are")],
    "minutes in class": [("book/first.md", "teaching: 4", "teaching: 9")],
    "minutes to read": [("book/first.md", "Text in the", "More text. " * 200 + "Text in the")],
    "the order of pages": [
        (TOC, "  - file: first\n  - file: second\n", "  - file: second\n  - file: first\n")
    ],
    "a page that is gone and back": [
        (TOC, "  - file: third\n", ""),
        (TOC, "  - file: second\n", "  - file: second\n  - file: third\n"),
    ],
    "a style": [("book/_static/site.css", "red", "blue")],
}
MORE_EDITS: dict[str, list[Edit]] = {  # only in random sequences
    "nothing": [],
    "prose, and undone": [
        ("book/first.md", "Text in the", "A new text in the"),
        ("book/first.md", "A new text in the", "Text in the"),
    ],
    "a figure on an earlier page": [("book/index.md", "Welcome.", FIGURE)],
    "a caption": [("book/first.md", "\nA dot.\n", "\nA dot that is red.\n")],
    "the title of an exercise": [("book/first.md", "} How many", "} How few")],
    "a label that moves to another section": [
        ("book/first.md", MIDDLE, "## Another\n\nMore.\n\n(sec-middle)=\n## The middle\n")
    ],
    "an equation's label that is gone": [("book/first.md", ":label: eq-sum\n", "")],
    "no more code": [("book/third.md", cell("print('ready')"), "")],
    "a term that is gone": [("book/reference/glossary.md", "accuracy\n", "precision\n")],
    "a key point": [("book/first.md", "It counts.", "It counts well.")],
    "an optional page": [("book/first.md", "teaching: 4", "optional: true\n  teaching: 4")],
    "a page that is gone": [(TOC, "  - file: third\n", "")],
    "the book's title": [("_config.yml", "title: Networks", "title: Nets")],
}


def edit(course: Project, name: str, before: str, after: str) -> None:
    """Replace a text in a file; run what has become stale, and render, even if that fails."""
    path = course.root / name
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), "utf-8")
    store_runs(course.root)
    run_onions(course.root, "render")


@pytest.mark.kernel  # dozens of builds
@pytest.mark.parametrize("name", EDITS)
def test_an_incremental_build_equals_one_from_scratch(course: Project, name: str) -> None:
    for change in EDITS[name]:
        edit(course, *change)
    assert_exact(course)


@pytest.mark.slow
@settings(max_examples=15, deadline=None, database=None)
@given(names=lists(sampled_from(sorted(EDITS | MORE_EDITS)), min_size=2, max_size=5, unique=True))
def test_any_sequence_of_edits(rendered: tuple[Project, Path], names: list[str]) -> None:
    """Some edits break the build, and later ones may repair it."""
    course = restore(rendered)
    for change in (change for name in names for change in (EDITS | MORE_EDITS)[name]):
        if change[1] in (course.root / change[0]).read_text("utf-8"):
            edit(course, *change)
    assert_exact(course)


def replace_keeping_times(path: Path, change: Callable[[Path], object]) -> None:
    """Change a file in a way that keeps its size and its time of modification."""
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.kernel
@pytest.mark.parametrize("name", ["book/_static/dot.bmp", "scripts/tool.py", "scripts/notes.md"])
def test_a_changed_file_with_the_same_size_and_time_counts(course: Project, name: str) -> None:
    def change(path: Path) -> None:
        if path.suffix == ".bmp":
            Image.new("RGB", (8, 8), "blue").save(path)
        else:
            path.write_text(path.read_text().replace("e", "a"))

    site = course.build / "html"
    before = tree(site)
    replace_keeping_times(course.root / name, change)
    run_onions(course.root, "render")
    assert tree(site) != before
    assert_exact(course)
