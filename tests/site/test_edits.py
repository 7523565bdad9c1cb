"""What an edit of a page, an output or a style changes on the site, in a small course."""

import re
from pathlib import Path

import pytest
from nbformat import NotebookNode
from onions.book.project import Project
from onions.extension.downloads.files import FOLDER, SOLUTIONS
from onions.store.entries import Store
from support.lessons import LESSON
from support.pages import BUILD_ONLY_TAGS, cell, current_fingerprint
from support.projects import Small, read_html, run_onions
from support.runs import build_site, change_run

SET_UP = "# Set up\n\nSome text.\n\n" + cell("print('ready')")
COUNT = (
    f"{LESSON}# Count\n\nThe {{term}}`accuracy` of {{cite}}`srivastava2014`.\n\n"
    + cell("total = 307_299 + 1")
    + cell("from onions.claims import measure\nmeasure('total', total)", BUILD_ONLY_TAGS)
    + "There are {glue:text}`total:,d`.\n"
    + "That is more than half of it{claim}`total > 0.5 * total`.\n\n"
    + "`````{exercise-start} How many\n:label: ex\n`````\nCheck both.\n"
    + "`````{exercise-end}\n`````\n\n"
    + "`````{solution-start} ex\n:label: sol\n`````\nTwo.\n`````{solution-end}\n`````\n"
)
PAGES = {
    "index": "# Home\n\nWelcome.\n",
    "setup": SET_UP,
    "count": COUNT,
    "more": f"{LESSON}# More\n\nMore of it.\n",
    "reference/results": "# Results\n\n```{measures}\n```\n\n```{claims}\n```\n",
    "reference/exercises": "# All exercises\n\n```{all-exercises}\n```\n",
    "reference/glossary": (
        "# Glossary\n\n```{glossary}\naccuracy\n  The share of right answers.\n```\n\n"
        "```{bibliography}\n```\n"
    ),
}
SOURCE = "@misc{srivastava2014, author = {Nitish Srivastava}, title = {Dropout}, year = 2014}\n"


@pytest.fixture
def course(small: Small) -> Project:
    """A rendered course of two lessons."""
    root = small(**PAGES)
    (root / "book" / "references.bib").write_text(SOURCE)
    (root / "book" / "_static" / "site.css").write_text("/* Folded parts. */\n")
    return build_site(root)


def edit(course: Project, name: str, before: str, after: str) -> None:
    """Replace a text in a file of the book, and render."""
    path = course.book / name
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after), "utf-8")
    done = run_onions(course.root, "render")
    assert done.returncode == 0, done.stderr


def test_prose_edit_is_rendered_without_execution(course: Project) -> None:
    other = course.build / "html" / "count.html"
    untouched = other.read_bytes()
    edit(course, "setup.md", "Some text.", "A new sentence.")
    for name in ("setup.html", f"{FOLDER}/setup.ipynb", f"{SOLUTIONS}/setup.ipynb"):
        assert "A new sentence." in (course.build / "html" / name).read_text("utf-8"), name
    assert other.read_bytes() == untouched


def test_new_outputs_of_an_unchanged_page_reach_the_site(course: Project) -> None:
    """The page's source is unchanged, and the results page depends on the outputs."""

    def recount(entry: NotebookNode) -> None:
        [output] = [o for cell in entry.cells for o in cell.outputs if "onions" in o.metadata]
        output.metadata["onions"]["measure"]["value"] = 307301
        output.data["application/papermill.record/text/plain"] = "307301"

    change_run(Store(course.store), current_fingerprint(course, "count"), recount)
    assert run_onions(course.root, "render").returncode == 0
    for name in ("count", "reference/results"):
        assert "307,301" in read_html(course, name), name
    notebook = course.build / "html" / SOLUTIONS / "count.ipynb"
    assert "307,301" in notebook.read_text("utf-8")


def test_warning_fails_every_build_and_keeps_the_last_site(course: Project) -> None:
    site = (course.build / "html" / "setup.html").read_bytes()
    page = course.book / "setup.md"
    page.write_text(f"{SET_UP}\nSee {{doc}}`nowhere`.\n")
    for _ in range(2):  # Sphinx alone would pass an unchanged second build
        done = run_onions(course.root, "render")
        assert done.returncode == 1 and "unknown document" in done.stderr
        assert "The last good site is unchanged" in done.stderr
        assert (course.build / "html" / "setup.html").read_bytes() == site


def test_edit_reaches_every_page_that_shows_it(course: Project) -> None:
    edit(course, "reference/glossary.md", "The share of right answers", "How often it is right")
    assert "How often it is right" in read_html(course, "count")  # in a tip
    edit(course, "setup.md", "# Set up", "# Begin here")
    assert "Begin here" in read_html(course, "count")  # in the list of pages
    edit(course, "references.bib", "Nitish", "Nora")
    assert "Nora Srivastava" in read_html(course, "count")  # in another tip
    edit(course, "count.md", "That is more", "These are more")
    assert "These are more than half of it." in read_html(course, "reference/results")
    edit(course, "count.md", "Check both.", "Check them.")
    assert "Check them." in read_html(course, "reference/exercises")

    def minutes() -> list[int]:
        schedule = re.search(r"minute (\d+) to (\d+) of (\d+)", read_html(course, "more"))
        assert schedule
        return [int(minute) for minute in schedule.groups()]

    before = minutes()
    edit(course, "count.md", "teaching: 4", "teaching: 5")
    assert minutes() == [minute + 1 for minute in before]


def test_changed_style_reaches_every_page(course: Project) -> None:
    def style_hash(name: str) -> str:
        return read_html(course, name).partition("book.css?v=")[2][:8]

    before = style_hash("index")
    edit(course, "_static/site.css", "/* Folded parts. */", "/* Folded. */")
    assert style_hash("index") == style_hash("more") != before
    merged, own = (
        Path(course.build, f"html/_static/{name}.css").read_text("utf-8")
        for name in ("book", "site")
    )
    assert "/* Folded. */" in merged and merged.endswith(own)  # the last rules win
