"""The downloads of a page: a notebook to work in, a notebook with solutions, a script."""

import functools
import hashlib
import io
import os
import pickle
import re
import subprocess
import sys
import tarfile
import threading
import tomllib
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbformat import NotebookNode
from onions.book.page import CodeCell
from onions.book.page import Page as BookPage
from onions.book.project import Project
from onions.extension.downloads import files
from onions.extension.downloads.files import FOLDER, SOLUTIONS
from onions.images import batches
from onions.images.download import ARCHIVE_SHA256
from PIL import Image
from playwright.sync_api import Page, expect
from support.pages import Entries, cell
from support.projects import (
    GITHUB,
    ROOT,
    Small,
    address,
    read_html,
    read_page,
    run_onions,
    small_project,
)
from support.runs import build_site, store_runs


def cells_for_readers(page: BookPage) -> list[CodeCell]:
    return [cell for cell in page.cells if "build-only" not in cell.tags]


PAGES_WITH_CODE = [page.name for page in Project(ROOT).pages() if cells_for_readers(page)]
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


def read_notebook(book: Project, folder: str, name: str) -> NotebookNode:
    notebook = nbformat.read(book.build / "html" / folder / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text(notebook: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


@pytest.fixture(scope="module")
def small_book(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A page with every construct, and a page with its glossary and bibliography."""
    root = small_project(tmp_path_factory.mktemp("book"), index=PAGE, other=OTHER)
    return build_site(root)


def test_notebook_with_solutions_contains_every_part_of_the_page(small_book: Project) -> None:
    notebook = read_notebook(small_book, SOLUTIONS, "index")
    head, check, first, exercise, solution, answer, rest, line, caption = notebook.cells
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


def test_notebook_to_work_in_has_no_outputs_and_empty_solutions(small_book: Project) -> None:
    notebook = read_notebook(small_book, FOLDER, "index")
    assert [cell.source for cell in code(notebook)][1:3] == ["one = 1", ""]
    assert all(not cell.outputs and cell.execution_count is None for cell in code(notebook))
    assert "Exercise 1 (Add)" in text(notebook) and "It is this" not in text(notebook)


def assert_script_contains_the_notebook(book: Project, name: str) -> None:
    script = (book.build / "html" / FOLDER / f"{name}.py").read_text("utf-8")
    cells = re.split(r"^# %%.*\n", script, flags=re.M)[1:]
    solved = read_notebook(book, SOLUTIONS, name).cells
    for solution, part in zip(solved, cells, strict=True):
        is_code = solution.cell_type == "code"
        source = part if is_code else re.sub(r"^# ?", "", part, flags=re.M)
        assert source.strip() == solution.source.strip(), name


def test_script_contains_the_notebook_with_solutions(small_book: Project) -> None:
    script = (small_book.build / "html" / FOLDER / "index.py").read_text("utf-8")
    assert script.startswith("# %% [markdown]\n# # Title\n#\n# A page of *[")
    assert_script_contains_the_notebook(small_book, "index")


def test_page_links_become_text_without_a_site_url(small: Small) -> None:
    root = small(index=PAGE, other=OTHER)
    project = build_site(root, GITHUB_REPOSITORY="")
    notebook = read_notebook(project, FOLDER, "index")
    assert "- A list, with The other, (" in text(notebook) and "](" not in text(notebook)
    page = read_html(project, "index")
    assert "colab" not in page and f'href="{FOLDER}/index.ipynb"' in page


def test_page_whose_code_was_removed_offers_no_downloads(small: Small) -> None:
    root = small(index="# Title\n\n```{code-cell} python\n1\n```\n")
    store_runs(root)
    for count, text in ((3, None), (0, "# Title\n")):
        if text:
            small(index=text)
        assert run_onions(root, "render").returncode == 0
        site = root / "_build" / "html"
        assert sum(path.is_file() for path in (site / FOLDER).rglob("*")) == count
        assert ('class="run-it"' in (site / "index.html").read_text("utf-8")) == bool(count)


# Markdown of a page, and the Markdown of its notebooks.
SITE = "https://founders.github.io/onions"
CONSTRUCTS = {
    "![A red dot.](dot.png)": f"![A red dot.]({SITE}/_images/dot.png)",
    "```{image} dot.png\n:alt: Red.\n```": f"![Red.]({SITE}/_images/dot.png)",
    "```{figure} dot.png\n:alt: Red.\n\nA *dot*.\n```": (
        f"![Red.]({SITE}/_images/dot.png)\n\n**Fig. 1** A *dot*."
    ),
    "A note[^1].\n\n[^1]: It is *here*.": r"A note\[1\].|\[1\] It is *here*.",
    "One.\n\n---\n\nTwo.": "One.\n\n---\n\nTwo.",
    "> One\n> *two*.\n>\n> Three.": "> One\n> *two*.\n>\n> Three.",
    "- One.\n\n  ```text\n  a\n  ```\n- Two.": "- One.\n\n  ```text\n  a\n  ```\n- Two.",
    "H{sub}`2`O, m{sup}`2`, {abbr}`CNN (a network)`": "H<sub>2</sub>O, m<sup>2</sup>, CNN",
    "::::{tab-set}\n:::{tab-item} A\nOne.\n:::\n:::{tab-item} B\n*Two*.\n:::\n::::": (
        "**A**\n\nOne.\n\n**B**\n\n*Two*."
    ),
    ":::{card} A\nText.\n+++\nFoot\n:::": "A\n\nText.\n\nFoot",
    ":::{dropdown} A\nText.\n:::": "**A**\n\nText.",
    "```{rubric} A\n```": "**A**",
    "```{button-link} https://example.org\nGo\n```": "[Go](https://example.org)",
    "{download}`Data <dot.png>`": r"[`Data`]({SITE}/_downloads/HASH/dot.png)",
    "<div>raw</div>": "(This part is only on [the page]({SITE}/index.html).)",
    "a <b>raw</b> word": "a <b>raw</b> word",
    "```{math}\nx^2\n```": "$$\nx^2\n$$",
}


@pytest.mark.parametrize("has_site", [True, False])
def test_a_page_with_code_may_hold_every_construct(small: Small, has_site: bool) -> None:
    parts = "\n\nNext.\n\n".join(CONSTRUCTS)
    root = small(index=f"# Title\n\n{cell('1')}\n{parts}\n\nNext.\n")
    Image.new("RGB", (4, 4), "red").save(root / "book" / "dot.png")
    project = build_site(root, GITHUB_REPOSITORY=GITHUB["GITHUB_REPOSITORY"] if has_site else "")
    markdown = text(read_notebook(project, FOLDER, "index"))
    if not has_site:
        assert not re.search(r"\]\((?!https://example)", markdown), markdown
        return
    markdown = re.sub("_downloads/[0-9a-f]{32}/", "_downloads/HASH/", markdown)
    for expected in "|".join(CONSTRUCTS.values()).replace("{SITE}", SITE).split("|"):
        assert f"\n{expected}\n" in f"{markdown}\n", f"{expected}\n\nis not in\n\n{markdown}"


FAILING = '''text = f"""a
  b{1}"""
print(text)
{}["key"]'''


@pytest.mark.kernel
def test_cells_that_fail_or_do_not_run_do_so_in_the_downloads(small: Small) -> None:
    """A cell may fail only where it fails on the page; what the page skips is not a code cell."""
    fails, skipped = ":tags: [raises-exception]\n", ":tags: [skip-execution]\n"
    page = cell(FAILING, fails) + cell("exit(1)", skipped) + cell("print('end')")
    root = small(index=f"# Title\n\n{page}")
    for command in ("execute", "render"):
        done = run_onions(root, command)
        assert done.returncode == 0, done.stderr
    for folder in (FOLDER, SOLUTIONS):
        cells = code(read_notebook(Project(root), folder, "index"))[1:]
        assert [c.metadata.get("tags") for c in cells] == [["raises-exception"], None]
    assert "```python\nexit(1)\n```" in text(read_notebook(Project(root), FOLDER, "index"))
    script = root / "_build" / "html" / FOLDER / "index.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "a\n  b1\nKeyError: 'key'\nend\n"), done.stderr


def test_every_page_with_code_has_all_three_downloads(book: Project, entries: Entries) -> None:
    for name in PAGES_WITH_CODE:
        page, entry = entries[name]
        executed = [
            cell for n, cell in enumerate(entry.cells) if page.cells[n] in cells_for_readers(page)
        ]
        first = 1 + any("datasets.cifar10" in c.source for c in cells_for_readers(page))
        solved = code(read_notebook(book, SOLUTIONS, name))[first:]
        assert [c.source for c in solved] == [c.source for c in cells_for_readers(page)], name
        assert [len(c.outputs) for c in solved] == [len(c.outputs) for c in executed], name
        empty = code(read_notebook(book, FOLDER, name))[first:]
        for exercise, solution in zip(empty, solved, strict=True):
            assert exercise.source in (solution.source, "") and not exercise.outputs, name
        assert_script_contains_the_notebook(book, name)
    files = (book.build / "html" / FOLDER).rglob("*")
    assert len([path for path in files if path.is_file()]) == 3 * len(PAGES_WITH_CODE)


@pytest.mark.site
def test_notebooks_contain_no_directives_and_no_roles(book: Project) -> None:
    for name in PAGES_WITH_CODE:
        markdown = text(read_notebook(book, SOLUTIONS, name))
        assert not re.search(r"\{[\w:-]+\}`|^\s*(```|:::)+\{|^:\w+:", markdown, re.M), name
        assert "onions.claims" not in markdown


@pytest.mark.site
def test_check_lists_the_imported_packages(book: Project) -> None:
    for name in PAGES_WITH_CODE:
        check, *cells = (cell.source for cell in code(read_notebook(book, SOLUTIONS, name)))
        imported = set(re.findall(r"^import (\w+)", "\n".join(cells), re.M))
        named = set(re.findall(r'^    "([\w-]+)": "\d', check, re.M))
        packages = imported - sys.stdlib_module_names
        assert {module.replace("_", "-") for module in packages} <= named, name
        assert ("tensorflow" in named) == ("keras" in named)


@pytest.mark.parametrize(
    ("versions", "missing"),
    [
        ({"no-such-package": "1.0", "none-either": "2"}, "no-such-package==1.0 none-either==2"),
        ({"pytest": "1.0"}, ""),
        ({"pytest": pytest.__version__}, ""),
        ({}, ""),
    ],
    ids=["missing", "another version", "this version", "nothing needed"],
)
def test_check_stops_only_if_a_package_is_missing(
    tmp_path: Path, versions: dict[str, str], missing: str
) -> None:
    files.write_downloads("page", "# Title", [], versions, tmp_path)
    command = [sys.executable, "-I", str(tmp_path / FOLDER / "page.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode != 0) == bool(missing)
    assert done.stderr.strip().endswith(f"Run: pip install {missing}" if missing else ""), (
        done.stderr
    )
    note = f"Note: pytest {pytest.__version__} is installed. The page ran with 1.0\n"
    assert done.stdout == (note if versions.get("pytest") == "1.0" else "")


@pytest.mark.parametrize("has_module", [False, True])
def test_check_accepts_tensorflow_from_another_package(tmp_path: Path, has_module: bool) -> None:
    files.write_downloads("page", "# Title", [], {"tensorflow": "2.0"}, tmp_path)
    if has_module:  # tensorflow-cpu provides the module tensorflow
        (tmp_path / FOLDER / "tensorflow.py").touch()
    done = subprocess.run(
        [sys.executable, "-S", str(tmp_path / FOLDER / "page.py")],  # without installed packages
        capture_output=True,
        text=True,
    )
    message = "" if has_module else "Packages are missing. Run: pip install tensorflow==2.0"
    assert done.stderr.strip().endswith(message) and (done.returncode == 0) == has_module


LOADS = nbformat.v4.new_code_cell("import keras\nkeras.datasets.cifar10.load_data()")


@pytest.mark.parametrize("loads", [True, False])
def test_only_a_page_that_loads_cifar10_first_gets_it_from_a_copy(
    tmp_path: Path, loads: bool
) -> None:
    files.write_downloads("page", "# Title", [files.Part("", LOADS)] if loads else [], {}, tmp_path)
    for folder in (FOLDER, SOLUTIONS):
        notebook = nbformat.read(tmp_path / folder / "page.ipynb", as_version=4)
        assert [cell.source for cell in code(notebook)][1:] == [files.FETCH, LOADS.source] * loads
    assert (files.FETCH in (tmp_path / FOLDER / "page.py").read_text()) == loads


def test_set_up_shows_the_cell_that_gets_cifar10_from_a_copy() -> None:
    lines = files.FETCH.split("\n")[2:]
    assert "```python\n" + "\n".join(lines) + "\n```" in (ROOT / "book" / "setup.md").read_text(
        "utf-8"
    )


LOAD = """
(images, labels), (test_images, test_labels) = keras.datasets.cifar10.load_data()
print(images.shape, labels[:3, 0], test_images.shape, test_images[0, 0, 1, 2])
"""
# Keras' `load_data` requires the official hash, which the test's archive can't have.
ACCEPT = """
from keras.src.utils import file_utils
validate = file_utils.validate_file
file_utils.validate_file = lambda path, file_hash, algorithm: validate(
    path, {!r} if file_hash == {!r} else file_hash, algorithm
)
"""


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """A server of CIFAR-10's archive, with plain images: its URL, the archive, the requests."""
    archive, requests = tmp_path / "server" / "cifar-10-python.tar.gz", []
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name in batches.FILES:
            pixels = np.zeros((10_000, 3072), np.uint8)
            pixels[0, 2 * 1024 + 1] = 7
            content = pickle.dumps({b"data": pixels, b"labels": [i % 10 for i in range(10_000)]}, 4)
            member = tarfile.TarInfo(f"{batches.FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            requests.append(self.path)

    handler = functools.partial(Handler, directory=str(archive.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", archive, requests
        server.shutdown()


@pytest.mark.kernel
def test_keras_finds_what_the_first_cell_downloaded(
    tmp_path: Path, copies: tuple[str, Path, list[str]]
) -> None:
    url, archive, requests = copies
    fetch = re.sub(r"https://.*/", url, files.FETCH)
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    cells = [ACCEPT.format(sha256, ARCHIVE_SHA256), fetch, LOAD, fetch, LOAD]
    done = subprocess.run(
        [sys.executable, "-I", "-c", "\n".join(cells)],
        env=os.environ | {"KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    loaded = "(50000, 32, 32, 3) [0 1 2] (10000, 32, 32, 3) 7"
    assert done.stdout.count(loaded) == 2, done.stdout + done.stderr
    assert requests == ["/cifar-10-python.tar.gz"]


def test_oldest_python_matches_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"].startswith(f">={'.'.join(map(str, files.OLDEST))},")


def run_without_onions(*command: str | Path, folder: Path) -> str:
    """Run a reader's command in an environment without our package; return its output.

    The images are noise, and each training is one step (tests/support/plain).
    """
    plain = {"PYTHONPATH": str(ROOT / "tests" / "support" / "plain"), "IPYTHONDIR": str(folder)}
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
    return done.stdout


@pytest.mark.parametrize("name", PAGES_WITH_CODE)
def test_script_and_cells_to_work_in_run_without_onions(
    book: Project, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cells of the notebook to work in run without those of the solutions.

    The script has the same cells and the solutions'. It runs afterwards, in the same process, since
    importing TensorFlow takes longer than most pages.
    """
    monkeypatch.setenv("MPLBACKEND", "agg")
    script, cells = book.build / "html" / FOLDER / f"{name}.py", tmp_path / "cells.py"
    cells.write_text("\n".join(cell.source for cell in code(read_notebook(book, FOLDER, name))))
    run_both = "import runpy, sys\nfor path in sys.argv[1:]:\n    runpy.run_path(path)"
    output = run_without_onions("-c", run_both, cells, script, folder=tmp_path)
    assert "is installed. The page ran with" not in output, "the check reports another version"


def test_notebook_to_work_in_runs_without_onions(book: Project, tmp_path: Path) -> None:
    path = tmp_path / "page.ipynb"
    path.write_bytes((book.build / "html" / FOLDER / "layer_types.ipynb").read_bytes())
    run_without_onions("-m", "jupyter", "execute", "--inplace", path, folder=tmp_path)
    cells = code(nbformat.read(path, as_version=4))
    assert [cell.execution_count is None for cell in cells] == [not cell.source for cell in cells]
    assert not cells[0].outputs, "the check reports another version"


def test_page_links_colab_and_three_files_below_its_title(book: Project) -> None:
    for name in PAGES_WITH_CODE:
        [box] = read_page(book, name).select("h1 + .run-it")
        files = (f"{FOLDER}/{name}.ipynb", f"{SOLUTIONS}/{name}.ipynb", f"{FOLDER}/{name}.py")
        assert tuple(a["href"] for a in box.select("details li a")) == files
        [colab] = box.select(":scope > a")
        path = f"{GITHUB['GITHUB_REPOSITORY']}/blob/notebooks/{name}.ipynb"
        assert colab.text == "Open in Colab"
        assert colab["href"] == f"https://colab.research.google.com/github/{path}"
    for name in ("index", "reference/data"):  # no code for readers
        assert read_page(book, name).select(".run-it") == []


@pytest.mark.site
def test_download_menu_opens_by_keyboard_without_javascript(
    book: Project, scriptless_tab: Page
) -> None:
    scriptless_tab.goto(address(book, "dropout"))
    link = scriptless_tab.locator(".run-it li a").first
    assert not link.is_visible()
    scriptless_tab.locator(".run-it summary").press("Enter")
    assert link.is_visible()


@pytest.mark.site
def test_download_menu_closes_by_escape_and_by_a_click_outside(book: Project, tab: Page) -> None:
    tab.goto(address(book, "dropout"))
    menu, link = tab.locator(".run-it summary"), tab.locator(".run-it li a").first
    menu.press("Enter")
    link.focus()
    tab.keyboard.press("Escape")
    expect(link).not_to_be_visible()
    expect(menu).to_be_focused()
    menu.click()
    expect(link).to_be_visible()
    tab.locator("h1").click()
    expect(link).not_to_be_visible()


def test_site_contains_the_entries_it_was_rendered_from(book: Project, entries: Entries) -> None:
    expected = {f"{entry.metadata['onions']['fingerprint']}.ipynb" for _, entry in entries.values()}
    stored = {path.name: path for path in (book.build / "html" / "store").iterdir()}
    assert stored.keys() == expected | {"build.json", "pages.json"}
    for name, path in stored.items():
        assert path.read_bytes() == (book.store / name).read_bytes()
