"""Run Sphinx through Jupyter Book, with execution off; no other module uses Jupyter Book."""

import filecmp
import gc
import hashlib
import importlib
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from onions.base.files import write_atomic
from onions.base.imports import PACKAGE
from onions.book.project import Project

# What affects how pages look, in our package: the extension, and what it imports.
SOURCES = ("extension", "base", "book", "claims.py", "exports.py", "images", "store")
SUFFIXES = (".py", ".html", ".js")


def build_book(
    project: Project,
    work: Path,
    builder: str = "html",
    options: Mapping[str, object] | None = None,
    *,
    strict: bool = True,
) -> int:
    """Build the book with Sphinx's `builder`, into the folder of that name in `work`.

    `options` override ``_config.yml``. Return Sphinx's status, 0 for success. With `strict`, a
    build with warnings fails.
    """
    _skip_unused_imports()
    filecmp.clear_cache()  # Sphinx compares files with it, and its keys are sizes and times
    with _no_garbage_collection():
        from jupyter_book.sphinx import build_sphinx  # here, since it takes a second to import

        status = build_sphinx(
            project.book,
            work / builder,
            builder=builder,
            path_config=project.config,
            noconfig=True,
            confoverrides={
                "external_toc_path": str(project.toc),
                "latex_individualpages": False,
                "nitpicky": True,
                **(options or {}),
            },
            doctreedir=work / "doctrees",
            warningiserror=strict,
            keep_going=True,
            quiet=True,
        )
    if isinstance(status, KeyboardInterrupt):
        raise status
    return status if isinstance(status, int) else 1


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Collect no garbage: a build keeps nearly all of its objects, and would spend a sixth of its
    time searching them. Without collection, this book takes 70 MB more.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # nor later: these objects would be searched at once
        gc.enable()


def _skip_unused_imports() -> None:
    """Replace MyST-NB's clients that execute notebooks, since a build never does.

    They import SQLAlchemy, which takes a tenth of the time of a small edit.
    """
    for client in ("Cache", "Direct"):
        name = f"myst_nb.core.execute.{client.lower()}"
        if name not in sys.modules:
            sys.modules[name] = ModuleType(name)
            setattr(sys.modules[name], f"NotebookClient{client}", None)


def import_everything() -> None:
    """Import the modules that a build needs, to make the next build start faster."""
    _skip_unused_imports()
    for name in ("jupyter_book.sphinx", "onions.extension", "myst_nb.sphinx_ext", "furo"):
        importlib.import_module(name)


@contextmanager
def incremental_folder(project: Project, work: Path) -> Iterator[None]:
    """Keep the last build's doctrees and pages in `work` for the build in the block.

    Empty the folder if the last build failed, or our code, the settings or the commit changed:
    Sphinx does not repeat the warnings of unchanged pages, and does not notice these changes.
    """
    mark, digest = work / "built-with", _hash_renderer(project)
    if not mark.exists() or mark.read_text("utf-8") != digest:
        shutil.rmtree(work, ignore_errors=True)
    mark.unlink(missing_ok=True)
    yield
    write_atomic(mark, digest)


def renderer_sources() -> list[Path]:
    """Return our files that affect how pages look."""
    tops = [PACKAGE / name for name in SOURCES]
    paths = [Path(__file__), *tops, *(path for top in tops for path in top.rglob("*"))]
    return sorted(path for path in paths if path.suffix in SUFFIXES)


def _hash_renderer(project: Project) -> str:
    """Return a hash of everything that affects how all pages look."""
    # Every page names the commit GITHUB_SHA. Sphinx itself notices changed `options`.
    digest = hashlib.sha256(os.environ.get("GITHUB_SHA", "").encode())
    settings = [project.config, project.toc, project.lock]
    for path in [*renderer_sources(), *settings]:
        if path.exists():
            digest.update(path.read_bytes())
    return digest.hexdigest()
