"""Test projects: small ones, and copies of the whole book."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from onions.book.project import Project

ROOT = Path(__file__).parents[2]
# The book's repository, in the environment variables of GitHub's runners.
GITHUB = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "Founders/onions"}

Run = Callable[..., subprocess.CompletedProcess[str]]
Small = Callable[..., Path]  # the fixture `small`


def run_onions(
    project: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `onions` on a project, with sketches unless `environment` sets ONIONS_DATA."""
    return subprocess.run(
        [sys.executable, "-m", "onions.cli", "--project", str(project), *arguments],
        env={**os.environ, "ONIONS_DATA": "sketches", **GITHUB, **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )


def copy_project(target: Path) -> Path:
    """Copy the files that a build of the book reads; return the copy's folder."""
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ROOT / "book", target / "book")
    for name in ("_config.yml", "_toc.yml", "requirements.lock"):
        shutil.copy(ROOT / name, target / name)
    return target


def build_site(root: Path, **environment: str) -> Project:
    """Execute a project, then render it with the given environment variables."""
    done = run_onions(root, "execute")
    assert done.returncode == 0, done.stdout + done.stderr
    done = run_onions(root, "render", **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return Project(root)


def address(book: Project, name: str) -> str:
    """Return the file URL of a page of the rendered site."""
    return (book.build / "html" / f"{name}.html").as_uri()


def read_html(book: Project, name: str) -> str:
    return (book.build / "html" / f"{name}.html").read_text("utf-8")


def tree(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def small_project(root: Path, **pages: str) -> Path:
    """Make a project in `root` from the texts of pages, by name; return `root`.

    The first page is the root of the table of contents.
    """
    first, *others = pages
    toc = f"format: jb-book\nroot: {first}\n"
    if others:
        toc += "chapters:\n" + "".join(f"  - file: {name}\n" for name in others)
    (root / "_toc.yml").write_text(toc)
    shutil.copy(ROOT / "_config.yml", root)
    shutil.copy(ROOT / "requirements.lock", root)
    (root / "book" / "_static").mkdir(parents=True, exist_ok=True)
    for name in ("references.bib", "_static/onion.svg"):
        shutil.copy(ROOT / "book" / name, root / "book" / name)
    for name, text in pages.items():
        (root / "book" / f"{name}.md").write_text(text)
    return root
