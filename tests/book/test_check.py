"""``onions check``: its findings, explanations and repairs."""

import inspect
import re
from pathlib import Path

import pytest
from onions.book.check import check_page, explain_rule, format_finding, repair_page
from onions.book.page import PageError
from onions.book.project import Project, select_pages
from onions.book.rules import RULES
from support.lessons import CLAIMING_PAGE, FRONT_MATTER, LESSON_BODY, add_glossary
from support.pages import EXPORT_TAGS, cell
from support.projects import Small, run_onions


@pytest.mark.parametrize("name", RULES)
def test_every_rule_has_a_demand_a_reason_and_a_fix(name: str) -> None:
    demand, why, fix = re.split(r"\n  (?:why|fix): ", explain_rule(name))
    assert demand.startswith(f"{name}: ") and all(part.endswith(".") for part in (demand, why, fix))
    assert (inspect.getdoc(RULES[name]) or "").count("\n\n") == 1


def test_check_prints_place_rule_reason_and_fix(small: Small) -> None:
    root = small(index=CLAIMING_PAGE, other="# T\n\nThis is simply so.\n\nAnd just so.\n")
    done = run_onions(root, "check")
    assert done.returncode == 1
    first, second, *_ = done.stdout.splitlines()
    assert first == f"{root / 'book' / 'other.md'}:3: words: “simply”: leave it out"
    assert second.endswith(":5: words: “just”: leave it out")
    assert done.stdout.count("  why: readers who find it hard") == 1  # once for both
    assert done.stdout.count("  fix: leave the word out,") == 1
    assert done.stdout.endswith("\n2 findings\n")
    done = run_onions(root, "check", "index")
    assert (done.returncode, done.stdout) == (0, "Every page follows the rules.\n")


def test_explain_prints_rules_and_checks_nothing(small: Small) -> None:
    root = small(index="# T\n\nThis is simply so.\n")
    done = run_onions(root, "check", "--explain", "words")
    assert (done.returncode, done.stdout) == (0, f"{explain_rule('words')}\n")
    done = run_onions(root, "check", "--explain")
    assert done.returncode == 0 and all(f"\n{name}: " in f"\n{done.stdout}" for name in RULES)
    done = run_onions(root, "check", "--explain", "kindness")
    assert done.returncode == 2 and "Choose one of python, repeats" in done.stderr


def test_pages_are_selected_by_name_or_path(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(small(index=CLAIMING_PAGE, pooling=CLAIMING_PAGE))
    monkeypatch.chdir(project.root)
    for name in ("pooling", "pooling.md", "book/pooling.md", str(project.book / "pooling.md")):
        assert [page.name for page in select_pages(project, [name])] == ["pooling"]
    assert [page.name for page in select_pages(project, [])] == ["index", "pooling"]
    with pytest.raises(PageError, match=r"^poling: .* Did you mean pooling\?"):
        select_pages(project, ["poling"])
    (project.book / "draft.md").write_text(CLAIMING_PAGE)
    with pytest.raises(PageError, match=r"draft\.md: not in _toc.yml. Add - file: draft"):
        select_pages(project, ["book/draft.md"])


def repair(project: Project) -> tuple[str, str]:
    """Repair the first page; return its text and the messages, one per line."""
    messages = "\n".join(repair_page(project.pages()[0]))
    assert check_page(project.pages()[0]) == [] and repair_page(project.pages()[0]) == []
    return project.pages()[0].text, messages


def project_with_glossary(root: Path) -> Project:
    add_glossary(root)
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
    project = project_with_glossary(small(index=f"{FRONT_MATTER}# T\n\n{before}{LESSON_BODY}\n"))
    text, messages = repair(project)
    assert text == f"{FRONT_MATTER}# T\n\n{after}{LESSON_BODY}\n" and "terms: " in messages


def test_a_missing_tag_is_added_and_a_new_run_is_announced(small: Small) -> None:
    export = cell("from onions.exports import export", EXPORT_TAGS)
    for tag, runs_again in (("remove-cell, ", False), (", export", True)):
        page = f"# T\n\n{export}"
        text, messages = repair(Project(small(index=page.replace(tag, ""))))
        assert {*text.split("[")[1].split("]")[0].split(", ")} == {
            "remove-cell",
            "build-only",
            "export",
        }
        assert ("; the page will run again" in messages) == runs_again


def test_findings_without_an_automatic_fix_are_left_alone(small: Small) -> None:
    text = "# T\n\nThis is simply so.\n\n" + cell("import onions.claims") + cell("x = 1\n" * 21)
    root = small(index=text)
    done = run_onions(root, "check", "--fix")
    assert done.returncode == 1 and (root / "book" / "index.md").read_text() == text
    assert "repaired" not in done.stdout and "--fix repairs it" not in done.stdout


def test_fix_repairs_and_checks_again(small: Small) -> None:
    index = "# T\n\nIt is simply so.\n\n" + cell("x = 1", ":tags: [build-only]\n")
    root = small(index=index)
    done = run_onions(root, "check")
    assert "index.md:7: own-code: " in done.stdout and "[--fix repairs it]" in done.stdout
    done = run_onions(root, "check", "--fix")
    assert done.returncode == 1 and ":7: own-code: " in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[0].endswith("without the tag remove-cell: repaired")
    assert done.stdout.endswith("\n1 finding\n") and "words" in done.stdout
    assert (
        format_finding(Project(root).page("index"), check_page(Project(root).page("index"))[0])
        in done.stdout
    )


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_repair_keeps_line_ends_links_and_mode(small: Small, tmp_path: Path, mark: bytes) -> None:
    index = "# T\n\nA page.\n\n" + cell("x = 1", ":tags: [build-only]\n")
    root = small(index=index)
    path, target = root / "book" / "index.md", tmp_path / "elsewhere.md"
    target.write_bytes(mark + index.replace("\n", "\r\n").encode())
    target.chmod(0o664)
    path.unlink()
    path.symlink_to(target)
    assert run_onions(root, "check", "--fix").returncode == 0
    repaired = index.replace("[build-only]", "[build-only, remove-cell]")
    assert target.read_bytes() == mark + repaired.replace("\n", "\r\n").encode()
    assert path.is_symlink() and target.stat().st_mode & 0o777 == 0o664
