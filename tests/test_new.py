"""``onions new``: a page that is right as it stands, in its place, and nothing half done."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Run, copy_project, run_onions, tree
from onions import new
from onions.files import write_whole
from onions.lint import find
from onions.pages import PageError, Project

Small = Callable[..., Path]


def names(project: Project) -> list[str]:
    return [page.name for page in project.pages()]


@pytest.fixture
def copy(tmp_path: Path) -> Project:
    """The whole book, not executed."""
    return Project(copy_project(tmp_path))


def test_a_page_keeps_the_rules_and_stands_with_the_optional_ones(copy: Project) -> None:
    before, toc = names(copy), (copy.root / "_toc.yml").read_text().splitlines()
    page, place = new.add_page(copy, "my_topic")
    after = names(copy)
    optional = [page.name for page in copy.pages() if page.lesson.get("optional")]
    assert [place, "my_topic"] == optional[-2:] and after[after.index(place) + 1] == "my_topic"
    assert [name for name in after if name != "my_topic"] == before
    lines = (copy.root / "_toc.yml").read_text().splitlines()
    assert [line for line in lines if line not in toc] == ["      - file: my_topic"]
    assert copy.page("my_topic").text == page.text and page.lesson["optional"] is True
    assert page.title == "My topic" and find(page) == []


def test_a_page_of_the_course_stands_where_it_is_asked_for(copy: Project) -> None:
    page, _ = new.add_page(copy, "upsampling", after="pooling", exercise=True)
    assert names(copy)[names(copy).index("pooling") + 1] == "upsampling"
    assert "optional" not in page.lesson and page.lesson["exercises"] == new.MINUTES
    assert find(page) == [] and "{solution-start} exercise-upsampling" in page.text
    page, place = new.add_page(copy, "reference/notes", part="Reference")
    assert place == "reference/bibliography" and names(copy)[-1] == page.name
    assert page.lesson["optional"] is True and find(page) == []


def test_what_belongs_to_an_entry_stays_with_it(small: Small) -> None:
    root = small(one="# 1", two="# 2", three="# 3")
    toc = "format: jb-book\nroot: one\n# why\nchapters:\n  - file: two.md # so\n    title: T\n"
    (root / "_toc.yml").write_text(f"{toc}\n  - file: three\n")
    new.add_page(Project(root), "more", after="two")
    text = (root / "_toc.yml").read_text()
    assert text == f"{toc}  - file: more\n\n  - file: three\n"


def test_an_exercise_is_added_to_a_page_that_is_there(copy: Project) -> None:
    before = copy.page("pooling").text
    assert new.add_exercise(copy, "pooling") == "exercise-pooling"
    assert new.add_exercise(copy, "pooling") == "exercise-pooling-2"
    page = copy.page("pooling")
    assert page.text.startswith(before.rstrip()) and find(page) == []
    assert page.text.count("{exercise-start} ") == before.count("{exercise-start} ") + 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["My-Topic.md"], "small letters, digits and underscores, as in my_topic"),
        (["../up"], "small letters, digits and underscores, as in up"),
        (["pooling"], "pooling.md: it is there already; --exercise adds"),
        (["notes/mine"], "notes: there is no such folder"),
        (["mine", "--after", "poolin"], "did you mean pooling?"),
        (["mine", "--after", "index"], "no place found after index"),
        (["mine", "--part", "Extra"], "there are Begin, The lesson, Optional, Reference"),
        (["pooling", "--exercise", "--after", "setup"], "--after and --part are for a new page"),
        (["mine", "--part", "Optional", "--after", "setup"], "not allowed with"),
    ],
)
def test_what_is_refused_leaves_everything_as_it_was(
    copy: Project, onions: Run, arguments: list[str], says: str
) -> None:
    before = tree(copy.root)
    done = onions(copy.root, "new", *arguments)
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert tree(copy.root) == before


def test_without_its_entry_there_is_no_page(copy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        if path.name == "_toc.yml":
            raise OSError(28, "No space left on device")
        write_whole(path, text)

    before = tree(copy.root)
    monkeypatch.setattr("onions.new.write_whole", full)
    with pytest.raises(OSError, match="No space"):
        new.add_page(copy, "my_topic")
    assert tree(copy.root) == before


def test_a_name_in_the_table_without_a_file(small: Small) -> None:
    root = small(one="# 1", two="# 2")
    (root / "book" / "two.md").unlink()
    with pytest.raises(PageError, match=r"two\.md: can't be read"):
        new.add_page(Project(root), "three")


def test_it_runs_and_renders_unedited(small: Small) -> None:
    root = small(index="# One", two="# Two")
    done = run_onions(root, "new", "my_topic", "--exercise")
    assert done.returncode == 0 and "Made book/my_topic.md, in _toc.yml after two." in done.stdout
    assert run_onions(root, "new", "my_topic", "--exercise").returncode == 0
    for command in (["check"], ["execute"], ["render"]):  # a warning stops the last
        done = run_onions(root, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    html = (root / "_build" / "html" / "my_topic.html").read_text()
    words = " ".join(re.sub("<[^>]+>", "", html).split())
    assert "No answer is negative. Of 5 answers 3 are 0;" in words
    assert "Exercise 1" in words and "Exercise 2" in words


def test_what_it_says_to_do_next_stands_in_contributing() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    commands = [line.split("  ")[1] for line in new.NEXT.splitlines()[1:]]
    assert len(commands) == 3
    for command in commands:
        assert command.replace("{0}", "my_topic") in text, command
