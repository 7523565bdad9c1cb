"""What pages show besides their own text: files, and values of other pages' runs.

Files are pictures and included files, inside or outside the book's folder. They are compared by
content: Sphinx compares times, which are no proof.
"""

from pathlib import Path

from docutils import nodes
from myst_nb.ext.glue.crossref import read_glue_cache
from myst_nb.ext.glue.utils import PendingGlueReference
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from onions.base.hashes import DEPENDENCIES_FILE, hash_file, write_hashes
from onions.extension.base.session import note_run_dependency


def setup(app: Sphinx) -> None:
    """Note what each page that is read shows."""
    app.connect("builder-inited", lambda app: read_glue_cache.cache_clear())
    app.connect("doctree-read", _note, priority=900)  # after Sphinx has collected the pictures
    app.connect("build-finished", _save)


def pages_with_changed_files(env: BuildEnvironment) -> set[str]:
    """Return the pages that show a file whose content has changed since they were read."""
    hashes = {path: hash_file(Path(env.srcdir, path)) for path in _all_noted(env)}
    return {
        page
        for page, noted in _noted(env).items()
        if any(hashes[path] != noted[path] for path in noted)
    }


def _note(app: Sphinx, doctree: nodes.document) -> None:
    env = app.env
    page = env.docname
    paths = sorted(env.dependencies.get(page, ()))
    noted = {path: hash_file(Path(app.srcdir, path)) for path in paths}
    env.onions_dependencies = _noted(env) | {page: noted}  # type: ignore[attr-defined]
    for glued in doctree.findall(PendingGlueReference):
        note_run_dependency(env, glued.refdoc)


def _save(app: Sphinx, error: Exception | None) -> None:
    if not error:
        noted = _all_noted(app.env).items()
        hashes = {Path(app.srcdir, path): digest for path, digest in noted}
        write_hashes(Path(app.doctreedir, DEPENDENCIES_FILE), hashes)


def _noted(env: BuildEnvironment) -> dict[str, dict[str, str]]:
    """Return the noted hashes by page, then by path relative to the book's folder."""
    noted: dict[str, dict[str, str]] = getattr(env, "onions_dependencies", {})
    return {page: noted[page] for page in noted if page in env.all_docs}


def _all_noted(env: BuildEnvironment) -> dict[str, str]:
    return {path: digest for noted in _noted(env).values() for path, digest in noted.items()}
