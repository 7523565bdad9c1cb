"""``onions check``: what it says, what it explains, and what it repairs."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run
from onions.lint import explained, find, named, repair, told
from onions.pages import PageError, Project
from onions.rules import RULES
from test_rules import EXPORT, FILLER, GLOSSARY, GOOD, LESSON, cell

Small = Callable[..., Path]


@pytest.mark.parametrize("name", RULES)
def test_every_rule_says_what_it_asks_for_why_and_how_to_repair(name: str) -> None:
    asks, why, fix = re.split(r"\n  (?:why|fix): ", explained(name))
    assert asks.startswith(f"{name}: ") and all(part.endswith(".") for part in (asks, why, fix))
    assert (inspect.getdoc(RULES[name]) or "").count("\n\n") == 1


def test_the_command_says_place_rule_reason_and_remedy(small: Small, onions: Run) -> None:
    root = small(index=GOOD, other="# T\n\nThis is simply so.\n\nAnd just so.\n")
    done = onions(root, "check")
    assert done.returncode == 1
    first, second, *_ = done.stdout.splitlines()
    assert first == f"{root / 'book' / 'other.md'}:3: words: “simply”"
    assert second.endswith(":5: words: “just”")
    assert done.stdout.count("  why: whoever does not find it easy") == 1  # once for both
    assert done.stdout.count("  fix: leave the word out.") == 1
    assert done.stdout.endswith("\n2 findings\n")
    done = onions(root, "check", "index")
    assert (done.returncode, done.stdout) == (0, "every page keeps the rules\n")


def test_explain_prints_rules_and_checks_nothing(small: Small, onions: Run) -> None:
    root = small(index="# T\n\nThis is simply so.\n")
    done = onions(root, "check", "--explain", "words")
    assert (done.returncode, done.stdout) == (0, f"{explained('words')}\n")
    done = onions(root, "check", "--explain")
    assert done.returncode == 0 and all(f"\n{name}: " in f"\n{done.stdout}" for name in RULES)
    done = onions(root, "check", "--explain", "kindness")
    assert done.returncode == 2 and "there are own-code, exports" in done.stderr


def test_pages_are_known_by_name_and_by_path(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(small(index=GOOD, pooling=GOOD))
    monkeypatch.chdir(project.root)
    for name in ("pooling", "pooling.md", "book/pooling.md", str(project.book / "pooling.md")):
        assert [page.name for page in named(project, [name])] == ["pooling"]
    assert [page.name for page in named(project, [])] == ["index", "pooling"]
    with pytest.raises(PageError, match=r"^poling: .* did you mean pooling\?"):
        named(project, ["poling"])
    (project.book / "draft.md").write_text(GOOD)
    with pytest.raises(PageError, match=r"draft\.md: it is not in _toc.yml; add - file: draft"):
        named(project, ["book/draft.md"])


def repaired(project: Project) -> tuple[str, str]:
    """Repair the first page; return its text and what was said."""
    said = "\n".join(repair(project.pages()[0]))
    assert find(project.pages()[0]) == [] and repair(project.pages()[0]) == []
    return project.pages()[0].text, said


def with_glossary(root: Path) -> Project:
    (root / "book" / "reference").mkdir()
    (root / "book" / "reference" / "glossary.md").write_text(GLOSSARY)
    return Project(root)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Two pooling layers, ReLU.", "Two {term}`pooling layers <pooling layer>`, {term}`ReLU`."),
        ("ReLU. Then {term}`ReLU`.", "{term}`ReLU`. Then ReLU."),
        ("`ReLU` is code, and a pooling\nlayer.", "`ReLU` is code, and a {term}`pooling layer`."),
        ("{term}`ReLU`, {term}`ReLUs <ReLU>`.", "{term}`ReLU`, ReLUs."),
        ("Max pooling.", "{term}`Max pooling <max pooling>`."),
    ],
)
def test_terms_are_linked_at_their_first_use_only(small: Small, before: str, after: str) -> None:
    project = with_glossary(small(index=f"{LESSON}# T\n\n{before}{FILLER}\n"))
    text, said = repaired(project)
    assert text == f"{LESSON}# T\n\n{after}{FILLER}\n" and "terms: " in said


def test_minutes_are_counted(small: Small) -> None:
    lesson = LESSON.replace("teaching: 1", "teaching: 7")
    text, said = repaired(with_glossary(small(index=f"{lesson}# T{FILLER}\n")))
    assert text == f"{LESSON}# T{FILLER}\n" and "minutes: teaching: 7" in said


def test_a_missing_tag_is_added_and_what_runs_again_is_said(small: Small) -> None:
    export = cell("from onions.exports import export", EXPORT)
    for tag, again in (("remove-cell, ", False), (", export", True)):
        good = f"# T\n\n{export}"
        text, said = repaired(Project(small(index=good.replace(tag, ""))))
        assert {*text.split("[")[1].split("]")[0].split(", ")} == {
            "remove-cell",
            "build-only",
            "export",
        }
        assert ("; it will run again" in said) == again


def test_what_needs_an_author_is_left_as_it_is(small: Small, onions: Run) -> None:
    text = "# T\n\nThis is simply so.\n\n" + cell("import onions.claims") + cell("x = 1\n" * 21)
    root = small(index=text)
    done = onions(root, "check", "--fix")
    assert done.returncode == 1 and (root / "book" / "index.md").read_text() == text
    assert "repaired" not in done.stdout and "--fix repairs it" not in done.stdout


def test_the_command_repairs_and_checks_again(small: Small, onions: Run) -> None:
    index = "# T\n\nIt is simply so.\n\n" + cell("x = 1", ":tags: [build-only]\n")
    root = small(index=index)
    done = onions(root, "check")
    assert "index.md:7: own-code: " in done.stdout and "[--fix repairs it]" in done.stdout
    done = onions(root, "check", "--fix")
    assert done.returncode == 1 and ":7: own-code: " in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[0].endswith("without the tag remove-cell: repaired")
    assert done.stdout.endswith("\n1 finding\n") and "words" in done.stdout
    assert told(Project(root).page("index"), find(Project(root).page("index"))[0]) in done.stdout
