"""What a page can be taken along as: a notebook to work in, one with solutions, a script."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from conftest import GITHUB, ROOT, run_onions, small_project
from nbformat import NotebookNode
from onions import downloads
from onions.downloads import FOLDER, SOLUTIONS
from onions.pages import CodeCell, Page, Project
from playwright.sync_api import Browser

Small = Callable[..., Path]
Entries = dict[str, tuple[Page, NotebookNode]]


def for_readers(page: Page) -> list[CodeCell]:
    return [cell for cell in page.cells if "build-only" not in cell.tags]


RUN = [page.name for page in Project(ROOT).pages() if for_readers(page)]
PAGE = """# Title

```{code-cell} python
one = 1
```

`````{exercise-start} Add
:label: exercise-add
`````
Add $1$ and *one*. See {numref}`fig-line`.
`````{exercise-end}
`````

`````{solution-start} exercise-add
:label: solution-add
`````
It is this:

```{code-cell} python
one + 1
```
`````{solution-end}
`````

- A list, with {doc}`other`, {cite}`dumoulin2016` and {term}`words <word>`.

```{code-cell} python
:tags: [remove-cell, build-only]
from onions.claims import measure

measure("two", one + 1)
```

The run says {glue:text}`two:.1f`, in text with \\* and \\$.

```{code-cell} python
---
mystnb: {image: {alt: A line.}, figure: {name: fig-line, caption: A caption.}}
---
import matplotlib.pyplot as plt

plt.plot([1, 2]);
```
"""
OTHER = """# The other

```{glossary}
word
: A term.
```

```{bibliography}
```
"""


def notebook(book: Project, folder: str, name: str) -> NotebookNode:
    found = nbformat.read(book.build / "html" / folder / f"{name}.ipynb", as_version=4)
    nbformat.validate(found)
    return found


def code(found: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in found.cells if cell.cell_type == "code"]


def text(found: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in found.cells if cell.cell_type == "markdown")


@pytest.fixture(scope="module")
def small_book(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A page with one of each construct, and where its words come from."""
    root = small_project(tmp_path_factory.mktemp("book"), index=PAGE, other=OTHER)
    for command in ("execute", "render"):
        done = run_onions(root, command)
        assert done.returncode == 0, done.stderr
    return Project(root)


def test_what_a_page_becomes(small_book: Project) -> None:
    found = notebook(small_book, SOLUTIONS, "index")
    head, check, first, exercise, solution, answer, rest, line, caption = found.cells
    assert head.source.startswith("# Title\n\nA page of *[Networks are like onions](")
    assert "(https://founders.github.io/onions/index.html)" in head.source
    assert check.source.startswith("# Is everything here?") and not check.outputs
    assert first.source == "one = 1" and first.execution_count == 1
    assert exercise.source == "**Exercise 1 (Add)**\n\nAdd $1$ and *one*. See Fig. 1."
    assert solution.source == "**Solution**\n\nIt is this:"
    assert answer.outputs[0]["data"]["text/plain"] == "2"
    assert rest.source == (
        "- A list, with [The other](https://founders.github.io/onions/other.html), "
        "(Dumoulin and Visin, 2016) and words.\n\n"
        r"The run says 2.0, in text with \* and \$."
    )
    assert "image/svg+xml" in line.outputs[-1]["data"]
    assert caption.source == "**Fig. 1** A caption."


def test_the_one_to_work_in_has_no_outputs_and_empty_solutions(small_book: Project) -> None:
    found = notebook(small_book, FOLDER, "index")
    assert [cell.source for cell in code(found)][1:3] == ["one = 1", ""]
    assert all(not cell.outputs and cell.execution_count is None for cell in code(found))
    assert "Exercise 1 (Add)" in text(found) and "It is this" not in text(found)


def test_the_script_holds_the_notebook_with_solutions(small_book: Project) -> None:
    script = (small_book.build / "html" / FOLDER / "index.py").read_text("utf-8")
    assert script.startswith("# %% [markdown]\n# # Title\n#\n# A page of *[")
    cells = re.split(r"^# %%.*\n", script, flags=re.M)[1:]
    whole = notebook(small_book, SOLUTIONS, "index").cells
    for cell, part in zip(whole, cells, strict=True):
        plain = part if cell.cell_type == "code" else re.sub(r"^# ?", "", part, flags=re.M)
        assert plain.strip() == cell.source.strip()


def test_without_an_address_links_become_words(small: Small) -> None:
    root = small(index=PAGE, other=OTHER)
    assert run_onions(root, "execute").returncode == 0
    assert run_onions(root, "render", GITHUB_REPOSITORY="").returncode == 0
    found = notebook(Project(root), FOLDER, "index")
    assert "- A list, with The other, (" in text(found) and "](" not in text(found)
    page = (root / "_build" / "html" / "index.html").read_text("utf-8")
    assert "colab" not in page and f'href="{FOLDER}/index.ipynb"' in page


def test_a_page_whose_code_is_gone_offers_nothing(small: Small) -> None:
    root = small(index="# Title\n\n```{code-cell} python\n1\n```\n")
    assert run_onions(root, "execute").returncode == 0
    for files, text in ((3, None), (0, "# Title\n")):
        if text:
            small(index=text)
        assert run_onions(root, "render").returncode == 0
        site = root / "_build" / "html"
        assert sum(path.is_file() for path in (site / FOLDER).rglob("*")) == files
        assert ('class="run-it"' in (site / "index.html").read_text("utf-8")) == bool(files)


@pytest.mark.parametrize("construct", ["A note[^1].\n\n[^1]: Here.", "A footnote\n\n---\n\nline"])
def test_what_has_no_plain_markdown_is_refused(small: Small, construct: str) -> None:
    root = small(index=f"# Title\n\n```{{code-cell}} python\n1\n```\n\n{construct}\n")
    assert run_onions(root, "execute").returncode == 0
    done = run_onions(root, "render")
    assert done.returncode == 1 and "no plain Markdown for" in done.stderr, done.stderr


def test_every_page_that_a_reader_can_run_has_all_three(book: Project, entries: Entries) -> None:
    for name in RUN:
        page, entry = entries[name]
        ran = [cell for n, cell in enumerate(entry.cells) if page.cells[n] in for_readers(page)]
        shown = code(notebook(book, SOLUTIONS, name))[1:]
        assert [c.source for c in shown] == [c.source for c in for_readers(page)], name
        assert [len(c.outputs) for c in shown] == [len(c.outputs) for c in ran], name
        empty = code(notebook(book, FOLDER, name))[1:]
        for cell, whole in zip(empty, shown, strict=True):
            assert cell.source in (whole.source, "") and not cell.outputs, name
        assert (book.build / "html" / FOLDER / f"{name}.py").exists()
    files = (book.build / "html" / FOLDER).rglob("*")
    assert len([path for path in files if path.is_file()]) == 3 * len(RUN)


@pytest.mark.site
def test_no_directive_and_no_role_is_left(book: Project) -> None:
    for name in RUN:
        found = text(notebook(book, SOLUTIONS, name))
        assert not re.search(r"\{[\w:-]+\}`|^\s*(```|:::)+\{|^:\w+:", found, re.M), name
        assert "onions.claims" not in found


@pytest.mark.site
def test_the_check_names_what_the_page_imports(book: Project) -> None:
    for name in RUN:
        check, *cells = (cell.source for cell in code(notebook(book, SOLUTIONS, name)))
        imported = set(re.findall(r"^import (\w+)", "\n".join(cells), re.M))
        named = set(re.findall(r'^    "([\w-]+)": "\d', check, re.M))
        assert {module.replace("_", "-") for module in imported} <= named, name
        assert ("tensorflow" in named) == ("keras" in named)


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"no-such-package": "1.0", "none-either": "2"}, "no-such-package==1.0 none-either==2"),
        ({"pytest": "1.0"}, ""),
        ({"pytest": pytest.__version__}, ""),
        ({}, ""),
    ],
    ids=["missing", "another version", "this version", "nothing needed"],
)
def test_the_check_stops_only_where_something_is_missing(
    tmp_path: Path, versions: dict[str, str], said: str
) -> None:
    downloads.write_downloads("page", "# Title", [], versions, tmp_path)
    command = [sys.executable, "-I", str(tmp_path / FOLDER / "page.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode != 0) == bool(said)
    assert done.stderr.strip().endswith(f"Run: pip install {said}" if said else ""), done.stderr
    noted = f"Note: pytest {pytest.__version__} is installed. The page ran with 1.0\n"
    assert done.stdout == (noted if versions.get("pytest") == "1.0" else "")


@pytest.mark.parametrize(
    ("backend", "installed", "stops"),
    [("", False, True), ("", True, False), ("tensorflow", False, False), ("jaxx", False, True)],
    ids=["no backend", "under another name", "another backend", "another that is missing"],
)
def test_the_check_takes_any_backend_that_keras_runs_on(
    tmp_path: Path, backend: str, installed: bool, stops: bool
) -> None:
    downloads.write_downloads("page", "# Title", [], {"torch": "2.0"}, tmp_path)
    if installed:  # as tensorflow-cpu brings the module tensorflow
        (tmp_path / FOLDER / "torch.py").touch()
    done = subprocess.run(
        [sys.executable, str(tmp_path / FOLDER / "page.py")],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.stderr.strip().endswith("pip install torch==2.0") == stops, done.stderr
    assert (done.returncode != 0) == stops


def test_the_oldest_python_is_that_of_the_book() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"].startswith(f">={'.'.join(map(str, downloads.OLDEST))},")


def run_plainly(command: list[str | Path], folder: Path) -> None:
    """Run a reader's command where nothing of ours can be imported, on pictures of noise and with
    trainings of one step (tests/plain).
    """
    plain = {"PYTHONPATH": str(ROOT / "tests" / "plain"), "IPYTHONDIR": str(folder)}
    mute = {"TF_CPP_MIN_LOG_LEVEL": "3", "MPLCONFIGDIR": str(folder), "KERAS_HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, **plain, **mute},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("name", RUN)
def test_the_notebook_to_work_in_runs_anywhere_with_its_solutions_empty(
    book: Project, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "page.ipynb"
    path.write_bytes((book.build / "html" / FOLDER / f"{name}.ipynb").read_bytes())
    run_plainly(["-m", "jupyter", "execute", "--inplace", path], tmp_path)
    ran = code(nbformat.read(path, as_version=4))
    assert [cell.execution_count is None for cell in ran] == [not cell.source for cell in ran]
    assert not ran[0].outputs, "the check has found another version"


@pytest.mark.parametrize("name", RUN)
def test_the_script_runs_anywhere(
    book: Project, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    run_plainly([book.build / "html" / FOLDER / f"{name}.py"], tmp_path)


def test_a_page_offers_colab_and_three_files_below_its_title(
    book: Project, chromium: Browser
) -> None:
    tab = chromium.new_context(java_script_enabled=False).new_page()
    for name in RUN:
        tab.goto((book.build / "html" / f"{name}.html").as_uri())
        assert tab.locator("h1 + .run-it").count() == 1, name
        links = tab.locator(".run-it li a")
        assert not links.first.is_visible()
        tab.locator(".run-it summary").press("Enter")
        assert links.first.is_visible()
        files = (f"{FOLDER}/{name}.ipynb", f"{SOLUTIONS}/{name}.ipynb", f"{FOLDER}/{name}.py")
        assert [a.get_attribute("href") for a in links.all()] == list(files)
        colab = tab.get_by_role("link", name="Open in Colab").get_attribute("href")
        place = f"{GITHUB['GITHUB_REPOSITORY']}/blob/notebooks/{name}.ipynb"
        assert colab == f"https://colab.research.google.com/github/{place}"
    for name in ("index", "reference/data"):  # nothing that a reader could run
        tab.goto((book.build / "html" / f"{name}.html").as_uri())
        assert tab.locator(".run-it").count() == 0
    tab.context.close()


def test_the_site_holds_the_runs_that_it_was_made_from(book: Project, entries: Entries) -> None:
    expected = {f"{entry.metadata['onions']['fingerprint']}.ipynb" for _, entry in entries.values()}
    found = {path.name: path for path in (book.build / "html" / "store").iterdir()}
    assert found.keys() == expected | {"build.json"}
    for name, path in found.items():
        assert path.read_bytes() == (book.store / name).read_bytes()
