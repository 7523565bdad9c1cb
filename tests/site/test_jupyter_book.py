"""``jupyter-book build``, which people who know Jupyter Book type first."""

import subprocess
import sys
from pathlib import Path

import pytest
from onions.book.project import Project
from support.pages import cell
from support.projects import ROOT, Small, run_onions, tree, variables
from support.runs import store_runs

pytestmark = pytest.mark.kernel

PAGE = "# Title\n\nText.\n\n" + cell("print(6 * 7)")


@pytest.fixture
def root(small: Small) -> Path:
    """A small project with the links of this book's folder."""
    root = small(index=PAGE, other="# Other\n\nSee {doc}`index`.\n")
    for name in ("_config.yml", "_toc.yml"):
        link = ROOT / "book" / name
        assert link.is_symlink()
        (root / "book" / name).symlink_to(link.readlink())
    return root


def jupyter_book(root: Path, folder: str) -> tuple[int, str]:
    """Run the real command in `root`; return its exit code and its last line."""
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", folder],
        cwd=root,
        env=variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout.strip().split("\n")[-1]


def test_it_builds_the_pages_of_the_site(root: Path) -> None:
    store_runs(root)
    assert jupyter_book(root, "book")[0] == 0
    assert run_onions(root, "render").returncode == 0
    built, site = tree(root / "book" / "_build" / "html"), tree(root / "_build" / "html")
    assert "42" in site["index.html"].decode()
    own = {name for name in site if name.startswith("store/")} | {".nojekyll"}
    assert built.keys() - {".buildinfo"} == site.keys() - own
    assert all(built[name] == site[name] for name in site.keys() - own)


def test_in_the_projects_folder_it_says_where_the_pages_are(root: Path) -> None:
    store_runs(root)
    line = "onions: the pages are in book. Run `jupyter-book build book`."
    assert jupyter_book(root, ".") == (1, line)
    assert run_onions(root, "render").returncode == 0


def test_it_says_what_to_run_if_pages_are_stale(root: Path) -> None:
    message = f"onions: {root / '_build' / 'store'}: nothing executed yet. Run `onions execute`."
    assert jupyter_book(root, "book") == (1, message)
    store_runs(root)
    page = Project(root).page("index")
    page.path.write_text(page.text.replace("6", "8"))
    message = "onions: stale pages: index. Run `onions execute`."
    assert jupyter_book(root, "book") == (1, message)
