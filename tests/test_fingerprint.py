import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT
from onions import imports
from onions.data import Source
from onions.fingerprint import (
    Build,
    Fingerprints,
    LockError,
    code,
    components,
    fingerprint,
    locked,
    versions,
)
from onions.pages import PageError, Project

Small = Callable[..., Path]

PAGE = """# A page

Some text.

```{code-cell} python
:tags: [hide-cell]
import keras
```

```{code-cell} python
:tags: [remove-cell, build-only]
from onions.claims import measure
measure("one", 1)
```
"""
BUILD = Build(
    Source("cifar10", "/data", "0123", "a folder", "asked for"), "tensorflow", "full", "3.12.1"
)


def of(small: Small, text: str = PAGE, build: Build = BUILD) -> str:
    project = Project(small(index=text))
    return fingerprint(project.page("index"), project, build)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Some text.", "Other text."),
        ("Some text.", "Some text.\n\n## More\n\n$x^2$"),
        ("hide-cell", "hide-input"),
        (":tags: [hide-cell]", "---\ntags: [hide-cell]\nmystnb: {image: {alt: A cat.}}\n---"),
        ("# A page", "---\nlesson: {teaching: 5}\n---\n# A page"),
    ],
    ids=["prose", "a section", "a tag for the look", "alt text", "front matter"],
)
def test_what_does_not_make_a_page_run_again(small: Small, before: str, after: str) -> None:
    assert before in PAGE
    assert of(small, PAGE.replace(before, after)) == of(small)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import keras", "import keras  # now"),
        ("import keras", "import keras\nimport numpy"),
        ("[hide-cell]", "[hide-cell, skip-execution]"),
        ('measure("one", 1)', 'measure("one", 2)'),
    ],
    ids=["code", "an import", "a tag that changes what runs", "a measure"],
)
def test_what_makes_a_page_run_again(small: Small, before: str, after: str) -> None:
    assert before in PAGE
    assert of(small, PAGE.replace(before, after)) != of(small)


@pytest.mark.parametrize(
    "change",
    [
        {"profile": "smoke"},
        {"python": "3.13.0"},
        {"source": replace(BUILD.source, identity="4567")},
        {"unlocked": locked(Project(ROOT), BUILD.python)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_build_counts(small: Small, change: dict[str, object]) -> None:
    assert of(small, build=replace(BUILD, **change)) != of(small)  # type: ignore[arg-type]


def test_why_and_where_the_data_was_found_do_not_count(small: Small) -> None:
    moved = replace(BUILD, source=replace(BUILD.source, path="/else", what="it", why="found"))
    assert of(small, build=moved) == of(small)


def test_a_locked_version_counts_where_the_page_imports_the_package(small: Small) -> None:
    project = Project(small(index=PAGE))
    page = project.page("index")
    before = fingerprint(page, project, BUILD)
    text = project.lock.read_text()
    for package, counts in [("keras", True), ("tensorflow", True), ("pandas", False)]:
        version = locked(project, BUILD.python)[package]
        project.lock.write_text(text.replace(f"{package}=={version}", f"{package}==0.1"))
        assert (fingerprint(page, project, BUILD) != before) is counts, package


def test_the_modules_are_found_from_the_imports(small: Small) -> None:
    project = Project(small(index=PAGE))
    parts = components(project.page("index"), project, BUILD)
    found = {name for name in parts if name.startswith("onions/")}
    assert found == {f"onions/{m}.py" for m in ("batches", "claims", "data", "figures", "kernel")}
    drawn = replace(BUILD, source=replace(BUILD.source, name="sketches"))
    assert "onions/sketches.py" in components(project.page("index"), project, drawn)
    assert {"cell 1", "cell 2", "keras", "tensorflow", "wrapt", "data"} <= parts.keys()
    assert not {"pandas", "seaborn", "pillow", "onions/sketches.py"} & parts.keys()


def test_a_changed_module_counts(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    before = of(small)
    source = imports.source
    monkeypatch.setattr(imports, "source", lambda n: source(n) + "\n# x" * (n == "onions.execute"))
    assert of(small) == before, "the builder is no part of a page's run"
    monkeypatch.setattr(imports, "source", lambda n: source(n) + "\n# x" * (n == "onions.data"))
    assert of(small) != before


def test_a_package_that_is_not_locked_is_named(small: Small) -> None:
    with pytest.raises(LockError, match=r"torchvision, which .* is not in requirements\.lock"):
        of(small, PAGE.replace("import keras", "import torchvision"))


def test_a_cell_that_is_not_python_is_named(small: Small) -> None:
    with pytest.raises(PageError, match=r"index\.md:7: .*plain Python"):
        of(small, PAGE.replace("import keras", "!pip install keras"))


def test_markers_in_the_lock_are_for_the_python_of_the_build(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(
        "numpy==1 ; python_full_version < '3.12' \\\n    --hash=sha256:aa\n"
        "numpy==2 ; python_full_version >= '3.12' \\\n    --hash=sha256:bb\n"
        "keras==3 \\\n    --hash=sha256:cc\n# via x==9\n"
    )
    assert locked(Project(tmp_path), "3.11.9") == {"numpy": "1", "keras": "3"}
    assert locked(Project(tmp_path), "3.12.0") == {"numpy": "2", "keras": "3"}


def test_build_facts_are_kept(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(FileNotFoundError):
        Build.read(project)
    BUILD.write(project)
    assert Build.read(project) == BUILD
    (tmp_path / "_build" / "store" / "build.json").write_text('{"profile": "full"}')
    with pytest.raises(ValueError, match=r"build\.json"):
        Build.read(project)


def test_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, onions.fingerprint, onions.site, onions.cli; "
        "print([m for m in ('tensorflow', 'keras', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_any_installed_version_counts_where_the_lock_does_not(small: Small) -> None:
    versions = locked(Project(ROOT), BUILD.python)
    before = of(small, build=replace(BUILD, unlocked=versions))
    assert of(small, build=replace(BUILD, unlocked={**versions, "h5py": "0"})) != before
    strange = PAGE.replace("import keras", "import keras\nimport torchvision")
    assert of(small, strange, replace(BUILD, unlocked=versions)) != before


def test_the_backend_counts(small: Small) -> None:
    project = Project(small(index=PAGE))
    text = project.lock.read_text()
    project.lock.write_text(text + "jax==0.10.2\n")
    page = project.page("index")
    assert fingerprint(page, project, replace(BUILD, backend="jax")) != fingerprint(
        page, project, BUILD
    )


def test_a_page_can_import_what_is_for_pages_only(small: Small) -> None:
    with pytest.raises(PageError, match=r"onions\.extension, which is no module for pages"):
        of(small, PAGE.replace("import keras", "import onions.extension"))


def test_a_damaged_lock_is_named(small: Small) -> None:
    project = Project(small(index=PAGE))
    project.lock.write_text("keras==3 ; python_version ??? 3\n")
    with pytest.raises(LockError, match=r"requirements\.lock: .*make lock"):
        fingerprint(project.page("index"), project, BUILD)


def remembered(small: Small, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose fingerprint is remembered; reading its page again is an error."""
    project = Project(small(index=PAGE))
    prints = Fingerprints(project, BUILD)
    assert prints.of(project.page("index")) == fingerprint(project.page("index"), project, BUILD)
    prints.remember()

    def read(text: str, path: Path) -> None:
        raise PageError("it is read")

    monkeypatch.setattr("onions.pages._read", read)
    return project


def test_an_unchanged_page_is_not_read_again(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    project = remembered(small, monkeypatch)
    assert len(Fingerprints(project, BUILD).of(project.page("index"))) == 64


@pytest.mark.parametrize("what", ["page", "build", "lock", "module", "memory", "one digit of it"])
def test_what_changes_a_fingerprint_is_never_answered_from_memory(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    project, build = remembered(small, monkeypatch), BUILD
    memory = project.build / "fingerprints.json"
    if what == "page":
        page = project.book / "index.md"
        page.write_text(page.read_text() + "\nMore.\n")
    elif what == "build":
        build = replace(BUILD, profile="smoke")
    elif what == "lock":
        project.lock.write_text(project.lock.read_text() + "\n# A comment\n")
    elif what == "module":
        shutil.copytree(imports.PACKAGE, tmp_path / "onions")
        (tmp_path / "onions" / "claims.py").write_text("other = 1\n")
        monkeypatch.setattr(imports, "PACKAGE", tmp_path / "onions")
    elif what == "memory":
        memory.write_text(memory.read_text()[:-2])
    else:
        text = memory.read_text()
        digit = "1" if text[-10] == "0" else "0"
        memory.write_text(text[:-10] + digit + text[-9:])
    with pytest.raises(PageError, match="it is read"):
        Fingerprints(project, build).of(project.page("index"))


def test_nothing_is_remembered_of_code_that_changed_meanwhile(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(small(index=PAGE))
    shutil.copytree(imports.PACKAGE, tmp_path / "onions")
    monkeypatch.setattr(imports, "PACKAGE", tmp_path / "onions")
    prints = Fingerprints(project, BUILD)
    (tmp_path / "onions" / "claims.py").write_text("other = 1\n")
    prints.of(project.page("index"))
    prints.remember()
    assert not (project.build / "fingerprints.json").exists()


EXPORTING = (
    PAGE
    + """
```{code-cell} python
:tags: [remove-cell, build-only, export]
from onions.exports import export
export("one", value=1)
```
"""
)


def test_what_a_cell_exports_concerns_the_book_and_no_reference_run(small: Small) -> None:
    project = Project(small(index=PAGE, with_export=EXPORTING))
    pages = [project.page(name) for name in ("index", "with_export")]
    of_book = [components(page, project, BUILD) for page in pages]
    assert of_book[1].keys() - of_book[0].keys() == {"export 1", "onions/exports.py"}
    assert versions(of_book[0]) == versions(of_book[1])
    assert code(of_book[0]) == code(of_book[1])
    reference = replace(BUILD, seed_offset=1)
    assert components(pages[0], project, reference) == components(pages[1], project, reference)
