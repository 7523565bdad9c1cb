import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from onions.base import imports
from onions.base.hashes import hash_json
from onions.book.page import PageError
from onions.book.project import Project
from onions.images.sources import Source
from onions.store import recipe
from onions.store.build import Build, StoreError
from onions.store.fingerprint import (
    FingerprintCache,
    code_hash,
    components,
    fingerprint,
)
from onions.store.lockfile import LockError, locked_versions
from support.projects import Small

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
BUILD = Build(Source("cifar10", "/data", "0123", "a folder", "asked for"), "full", "3.12.1")


def index_fingerprint(small: Small, text: str = PAGE, build: Build = BUILD) -> str:
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
    ids=["prose", "a section", "a display tag", "alt text", "front matter"],
)
def test_an_edit_that_changes_no_output_keeps_the_fingerprint(
    small: Small, before: str, after: str
) -> None:
    assert before in PAGE
    assert index_fingerprint(small, PAGE.replace(before, after)) == index_fingerprint(small)


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
def test_an_edit_that_can_change_outputs_changes_the_fingerprint(
    small: Small, before: str, after: str
) -> None:
    assert before in PAGE
    assert index_fingerprint(small, PAGE.replace(before, after)) != index_fingerprint(small)


@pytest.mark.parametrize(
    "change",
    [
        {"profile": "smoke"},
        {"python": "3.13.0"},
        {"source": replace(BUILD.source, identity="4567")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_the_build_changes_the_fingerprint(
    small: Small, change: dict[str, object]
) -> None:
    assert index_fingerprint(small, build=replace(BUILD, **change)) != index_fingerprint(small)  # type: ignore[arg-type]


def test_path_description_and_reason_of_the_data_keep_the_fingerprint(small: Small) -> None:
    moved = replace(
        BUILD, source=replace(BUILD.source, path="/else", description="it", reason="found")
    )
    assert index_fingerprint(small, build=moved) == index_fingerprint(small)


def test_a_locked_version_counts_only_if_the_page_or_its_kernel_needs_it(small: Small) -> None:
    project = Project(small(index=PAGE))
    page = project.page("index")
    before = fingerprint(page, project, BUILD)
    text = project.lock.read_text()
    needed = ["keras", "tensorflow"]  # imported, and its backend
    needed += ["rich", "numpy", "ml-dtypes", "protobuf"]  # which these need
    needed += ["ipykernel", "ipython", "matplotlib-inline", "nbclient"]  # which run every page
    not_needed = ["pandas", "seaborn", "pytest", "sphinx", "playwright"]
    for package, counts in {
        **dict.fromkeys(needed, True),
        **dict.fromkeys(not_needed, False),
    }.items():
        version = locked_versions(project.lock, BUILD.python)[package]
        project.lock.write_text(text.replace(f"\n{package}=={version}", f"\n{package}==0.1"))
        assert (fingerprint(page, project, BUILD) != before) is counts, package


def test_components_are_the_modules_and_packages_that_are_imported(small: Small) -> None:
    project = Project(small(index=PAGE))
    parts = components(project.page("index"), project, BUILD)
    images = {f"onions/images/{m}.py" for m in ("__init__", "batches", "download", "sources")}
    base = {f"onions/base/{name}.py" for name in ("__init__", "cores", "syntax")}
    own = {f"onions/{name}.py" for name in ("__init__", "claims", "figures", "kernel")}
    assert parts["modules"].keys() == images | base | own
    sketches = replace(BUILD, source=replace(BUILD.source, name="sketches"))
    with_sketches = components(project.page("index"), project, sketches)
    assert "onions/images/sketches.py" in with_sketches["modules"]
    assert parts["cells"].keys() == {"cell 1", "cell 2"} and not parts["exports"]
    assert {"keras", "tensorflow", "wrapt"} <= parts["packages"].keys()
    assert {"ipykernel", "ml-dtypes", "nbclient", "numpy", "rich"} <= parts["dependencies"].keys()
    assert not {"pandas", "seaborn", "pytest"} & (parts["packages"] | parts["dependencies"]).keys()
    facts = {"data", "profile", "seed offset", "images", "python", "kernel recipe"}
    assert parts["facts"].keys() == facts


@pytest.mark.parametrize(
    ("module", "before", "after", "changes"),
    [
        ("onions.claims", "import math\n", "import ast, math\n", True),
        ("onions.claims", '"""', '"""Changed. ', False),
        ("onions.claims", "import math\n", "\n\nimport math  # a comment\n", False),
        ("onions.cli", "import sys\n", "import sys\nimport ast\n", False),
    ],
    ids=["code", "a docstring", "a comment and blank lines", "code of the builder"],
)
def test_only_the_code_of_a_used_module_changes_the_fingerprint(
    small: Small,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    before: str,
    after: str,
    changes: bool,
) -> None:
    unchanged = index_fingerprint(small)
    read = imports.read_source
    edited = read(module).replace(before, after, 1)
    assert edited != read(module)
    monkeypatch.setattr(
        imports, "read_source", lambda name: edited if name == module else read(name)
    )
    assert (index_fingerprint(small) != unchanged) is changes


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of our package that a test may edit."""
    folder = tmp_path / "code" / "onions"
    shutil.copytree(imports.PACKAGE, folder)
    monkeypatch.setattr(imports, "PACKAGE", folder)
    return folder


IMPORTS_FIGURES = PAGE.replace("from onions.claims import measure", "from onions import figures")


@pytest.mark.parametrize("statement", ["from . import x", "from .x import y", "from .x import *"])
def test_a_relative_import_counts(small: Small, own_package: Path, statement: str) -> None:
    (own_package / "figures.py").write_text(f"{statement}\n")
    (own_package / "x.py").write_text("y = 1\n")
    before = index_fingerprint(small, IMPORTS_FIGURES)
    (own_package / "x.py").write_text("y = 2\n")
    assert index_fingerprint(small, IMPORTS_FIGURES) != before


def test_a_relative_import_from_a_package_above_counts(small: Small, own_package: Path) -> None:
    (own_package / "images" / "__init__.py").write_text("from ..x import y\n")
    (own_package / "x.py").write_text("y = 1\n")
    before = index_fingerprint(small)
    (own_package / "x.py").write_text("y = 2\n")
    assert index_fingerprint(small) != before


@pytest.mark.parametrize("package", ["__init__.py", "images/__init__.py", "base/__init__.py"])
def test_the_init_of_each_package_counts(small: Small, own_package: Path, package: str) -> None:
    before = index_fingerprint(small)
    with (own_package / package).open("a") as file:
        file.write("\nimport math\n")
    assert index_fingerprint(small) != before


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("means.json", True),
        ("images/means.json", True),
        ("images/data/means.json", True),
        ("extension/means.json", False),
        ("__pycache__/means.json", False),
    ],
)
def test_a_data_file_beside_a_module_counts(
    small: Small, own_package: Path, name: str, counts: bool
) -> None:
    (own_package / name).parent.mkdir(exist_ok=True)
    (own_package / name).write_text("1")
    before = index_fingerprint(small)
    cache = FingerprintCache(project := Project(small(index=PAGE)), BUILD)
    assert cache.get(project.page("index")) == before
    cache.save()
    (own_package / name).write_text("2")
    assert (index_fingerprint(small) != before) is counts
    assert FingerprintCache(project, BUILD).get(project.page("index")) == index_fingerprint(small)


@pytest.mark.parametrize("name", ["VERSION", "ARGUMENTS", "VARIABLES"])
def test_how_a_kernel_is_started_counts(
    small: Small, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = index_fingerprint(small)
    changed: dict[str, object] = {
        "VERSION": recipe.VERSION + 1,
        "ARGUMENTS": ["--matplotlib=agg"],
        "VARIABLES": {**recipe.VARIABLES, "TF_NUM_INTRAOP_THREADS": "2"},
    }
    monkeypatch.setattr(recipe, name, changed[name])
    assert index_fingerprint(small) != before


def test_a_lock_that_does_not_say_who_needs_what_is_refused(small: Small) -> None:
    project = Project(small(index=PAGE))
    lines = project.lock.read_text().splitlines(keepends=True)
    project.lock.write_text("".join(line for line in lines if not line.startswith("    #")))
    with pytest.raises(LockError, match=r"does not say which packages need absl-py.*make lock"):
        fingerprint(project.page("index"), project, BUILD)


def test_a_package_that_is_not_locked_is_named(small: Small) -> None:
    with pytest.raises(LockError, match=r"torchvision, which .* is not in requirements\.lock"):
        index_fingerprint(small, PAGE.replace("import keras", "import torchvision"))


def test_a_cell_that_is_not_python_is_named(small: Small) -> None:
    with pytest.raises(PageError, match=r"index\.md:7: .*plain Python"):
        index_fingerprint(small, PAGE.replace("import keras", "!pip install keras"))


def test_markers_in_the_lock_are_evaluated_for_the_python_of_the_build(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(
        "numpy==1 ; python_full_version < '3.12' \\\n    --hash=sha256:aa\n    # via keras\n"
        "numpy==2 ; python_full_version >= '3.12' \\\n    --hash=sha256:bb\n    # via keras\n"
        "keras==3 \\\n    --hash=sha256:cc\n    # via -r requirements.txt\n"
    )
    assert locked_versions(Project(tmp_path).lock, "3.11.9") == {"numpy": "1", "keras": "3"}
    assert locked_versions(Project(tmp_path).lock, "3.12.0") == {"numpy": "2", "keras": "3"}


def test_build_facts_are_read_as_they_were_written(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(StoreError, match="nothing executed yet"):
        Build.read(project.store)
    BUILD.write(project.store)
    assert Build.read(project.store) == BUILD
    (tmp_path / "_build" / "store" / "build.json").write_text('{"profile": "full"}')
    with pytest.raises(StoreError, match=r"build\.json"):
        Build.read(project.store)


def test_the_command_line_imports_no_heavy_package() -> None:
    code = (
        "import sys, onions.store.fingerprint, onions.site.render, onions.cli; "
        "print([m for m in ('tensorflow', 'keras', 'numpy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "statement",
    [
        "import onions.extension",
        "from onions.extension.teaching.quiz_keys import evaluate",
        "from onions import cli",
        "from onions.store.entries import Store",
        "from onions.nothing import anything",
    ],
)
def test_a_page_imports_only_modules_for_pages(small: Small, statement: str) -> None:
    with pytest.raises(PageError, match=r"index\.md: imports onions\.\w+.*\. Pages may import"):
        index_fingerprint(small, PAGE.replace("import keras", statement))


def test_a_damaged_lock_is_named(small: Small) -> None:
    project = Project(small(index=PAGE))
    project.lock.write_text("keras==3 ; python_version ??? 3\n")
    with pytest.raises(LockError, match=r"requirements\.lock: .*make lock"):
        fingerprint(project.page("index"), project, BUILD)


def cached_project(small: Small, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project with a cached fingerprint; reading its page again raises PageError."""
    project = Project(small(index=PAGE))
    cache = FingerprintCache(project, BUILD)
    assert cache.get(project.page("index")) == fingerprint(project.page("index"), project, BUILD)
    cache.save()

    def read(text: str, path: Path) -> None:
        raise PageError("the page is read")

    monkeypatch.setattr("onions.book.page._read", read)
    return project


def test_an_unchanged_page_is_not_read_again(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    project = cached_project(small, monkeypatch)
    assert len(FingerprintCache(project, BUILD).get(project.page("index"))) == 64


def test_a_page_whose_text_alone_changed_keeps_its_fingerprint(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(small(index=PAGE))
    before = FingerprintCache(project, BUILD).get(project.page("index"))

    def get(text: str) -> str:
        cache = FingerprintCache(project, BUILD)
        print_ = cache.get(replace(project.page("index"), text=text))
        cache.save()
        return print_

    assert get(PAGE) == before
    monkeypatch.setattr("onions.store.fingerprint.components", lambda *_: {"computed": "again"})
    assert get(f"{PAGE}\nMore.\n") == get(f"{PAGE}\nAnd more.\n") == before
    changed = {
        get(PAGE.replace("import keras", "import numpy")),
        get(PAGE.replace("[hide", "[skip-execution, hide")),
    }
    assert changed == {hash_json({"computed": "again"})}


@pytest.mark.parametrize(
    "case", ["page", "build", "lock", "module", "truncated cache", "one digit of the cache"]
)
def test_a_change_invalidates_the_cached_fingerprint(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    project, build = cached_project(small, monkeypatch), BUILD
    cache_file = project.build / "fingerprints.json"
    if case == "page":
        page = project.book / "index.md"
        page.write_text(page.read_text() + "\nMore.\n")
    elif case == "build":
        build = replace(BUILD, profile="smoke")
    elif case == "lock":
        project.lock.write_text(project.lock.read_text() + "\n# A comment\n")
    elif case == "module":
        shutil.copytree(imports.PACKAGE, tmp_path / "onions")
        (tmp_path / "onions" / "claims.py").write_text("other = 1\n")
        monkeypatch.setattr(imports, "PACKAGE", tmp_path / "onions")
    elif case == "truncated cache":
        cache_file.write_text(cache_file.read_text()[:-2])
    else:
        text = cache_file.read_text()
        digit = "1" if text[-10] == "0" else "0"
        cache_file.write_text(text[:-10] + digit + text[-9:])
    with pytest.raises(PageError, match="the page is read"):
        FingerprintCache(project, build).get(project.page("index"))


def test_no_fingerprint_is_cached_if_the_code_changed_meanwhile(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(small(index=PAGE))
    shutil.copytree(imports.PACKAGE, tmp_path / "onions")
    monkeypatch.setattr(imports, "PACKAGE", tmp_path / "onions")
    cache = FingerprintCache(project, BUILD)
    (tmp_path / "onions" / "claims.py").write_text("other = 1\n")
    cache.get(project.page("index"))
    cache.save()
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


def test_an_export_changes_the_components_of_the_book_but_not_of_reference_runs(
    small: Small,
) -> None:
    project = Project(small(index=PAGE, with_export=EXPORTING))
    pages = [project.page(name) for name in ("index", "with_export")]
    book_components = [components(page, project, BUILD) for page in pages]
    without, with_export = ({**parts["exports"], **parts["modules"]} for parts in book_components)
    assert with_export.keys() - without.keys() == {"export 1", "onions/exports.py"}
    assert book_components[0]["packages"] == book_components[1]["packages"]
    assert code_hash(book_components[0]) == code_hash(book_components[1])
    reference = replace(BUILD, seed_offset=1)
    assert components(pages[0], project, reference) == components(pages[1], project, reference)
