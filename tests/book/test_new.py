"""``onions new`` adds a valid page and its table of contents entry, or changes nothing."""

import re
from pathlib import Path

import pytest
from onions.book import new
from onions.book.check import check_page
from onions.book.page import PageError
from onions.book.project import Project
from support.disks import disk_full
from support.projects import ROOT, Small, copy_project, run_onions, tree


def page_names(project: Project) -> list[str]:
    return [page.name for page in project.pages()]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """The whole book, not executed."""
    return Project(copy_project(tmp_path))


def test_a_new_page_keeps_the_rules_and_follows_the_last_optional_page(project: Project) -> None:
    before, toc = page_names(project), (project.root / "_toc.yml").read_text().splitlines()
    page, previous = new.add_page(project, "my_topic")
    after = page_names(project)
    optional = [page.name for page in project.pages() if page.lesson.get("optional")]
    assert [previous, "my_topic"] == optional[-2:]
    assert after[after.index(previous) + 1] == "my_topic"
    assert [name for name in after if name != "my_topic"] == before
    lines = (project.root / "_toc.yml").read_text().splitlines()
    assert [line for line in lines if line not in toc] == ["      - file: my_topic"]
    assert project.page("my_topic").text == page.text and page.lesson["optional"] is True
    assert page.title == "My topic" and check_page(page) == []


def test_after_selects_the_page_before_the_new_page(project: Project) -> None:
    page, _ = new.add_page(project, "upsampling", after="pooling", exercise=True)
    assert page_names(project)[page_names(project).index("pooling") + 1] == "upsampling"
    assert "optional" not in page.lesson and page.lesson["exercises"] == new.MINUTES
    assert check_page(page) == [] and "{solution-start} exercise-upsampling" in page.text
    page, previous = new.add_page(project, "reference/notes", after="reference/bibliography")
    assert previous == "reference/bibliography" and page_names(project)[-1] == page.name
    assert page.lesson["optional"] is True and check_page(page) == []


def test_comments_and_options_of_an_entry_stay_with_it(small: Small) -> None:
    root = small(one="# 1", two="# 2", three="# 3")
    toc = "format: jb-book\nroot: one\n# why\nchapters:\n  - file: two.md # so\n    title: T\n"
    (root / "_toc.yml").write_text(f"{toc}\n  - file: three\n")
    new.add_page(Project(root), "more", after="two")
    text = (root / "_toc.yml").read_text()
    assert text == f"{toc}  - file: more\n\n  - file: three\n"


def test_an_exercise_is_added_to_an_existing_page(project: Project) -> None:
    before = project.page("pooling").text
    assert new.add_exercise(project, "pooling") == "exercise-pooling"
    assert new.add_exercise(project, "pooling") == "exercise-pooling-2"
    page = project.page("pooling")
    assert page.text.startswith(before.rstrip()) and check_page(page) == []
    assert page.text.count("{exercise-start} ") == before.count("{exercise-start} ") + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["My-Topic.md"], "lowercase letters, digits and underscores, as in my_topic"),
        (["../up"], "lowercase letters, digits and underscores, as in up"),
        (["pooling"], "pooling.md: the page exists already. Use --exercise"),
        (["notes/mine"], "notes: no such folder"),
        (["mine", "--after", "poolin"], "Did you mean pooling?"),
        (["mine", "--after", "index"], "can't insert a page after index"),
        (["pooling", "--exercise", "--after", "setup"], "--after is for a new page"),
    ],
)
def test_a_refused_command_changes_no_file(
    project: Project, arguments: list[str], message: str
) -> None:
    before = tree(project.root)
    done = run_onions(project.root, "new", *arguments)
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert tree(project.root) == before


def test_no_page_is_left_if_the_table_of_contents_can_t_be_written(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(project.root)
    monkeypatch.setattr("onions.book.new.rewrite", lambda *_: disk_full())
    with pytest.raises(OSError, match="No space"):
        new.add_page(project, "my_topic")
    assert tree(project.root) == before


def test_an_entry_without_a_file_is_an_error(small: Small) -> None:
    root = small(one="# 1", two="# 2")
    (root / "book" / "two.md").unlink()
    with pytest.raises(PageError, match=r"two\.md: can't be read"):
        new.add_page(Project(root), "three")


@pytest.mark.kernel
def test_a_new_page_executes_and_renders_unedited(small: Small) -> None:
    root = small(index="# One", two="# Two")
    done = run_onions(root, "new", "my_topic", "--exercise")
    assert done.returncode == 0 and "Made book/my_topic.md, in _toc.yml after two." in done.stdout
    assert run_onions(root, "new", "my_topic", "--exercise").returncode == 0
    for command in (["check"], ["execute"], ["render"]):  # a warning makes `render` fail
        done = run_onions(root, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    html = (root / "_build" / "html" / "my_topic.html").read_text()
    words = " ".join(re.sub("<[^>]+>", "", html).split())
    assert "No answer is negative. Of 5 answers 3 are 0;" in words
    assert "Exercise 1" in words and "Exercise 2" in words


def test_contributing_has_the_commands_that_new_prints() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    commands = [line.split("  ")[1] for line in new.NEXT.splitlines()[1:]]
    assert len(commands) == 3
    for command in commands:
        assert command.replace("{0}", "my_topic") in text, command


def test_a_new_page_keeps_the_line_ends_of_the_table_of_contents(small: Small) -> None:
    root = small(one="# 1", two="# 2")
    toc = root / "_toc.yml"
    toc.write_bytes(toc.read_bytes().replace(b"\n", b"\r\n"))
    new.add_page(Project(root), "three")
    assert b"  - file: two\r\n  - file: three\r\n" in toc.read_bytes()
