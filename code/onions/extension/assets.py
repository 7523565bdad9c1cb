"""One style sheet and one script for every page, put together of all that Sphinx, its extensions
and the theme bring: each of them would be a request, which takes longer than its bytes on a phone.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from onions.extension.offline import is_offline
from onions.extension.reader import site

# Of a page's template context: what is put together, the file that it becomes, what stands between.
MERGED = {"css_files": ("book.css", "\n"), "script_files": ("book.js", "\n;\n")}


def setup(app: Sphinx) -> None:
    """Name the one file once everybody has named theirs, and write it once all are there."""
    merged: dict[str, list[str]] = {}

    def name(
        app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
    ) -> None:
        if is_offline(app):
            return
        for kind, (file, _) in MERGED.items():
            files = [str(one.filename) for one in context[kind]]
            if merged.setdefault(kind, files) != files:
                raise ExtensionError(f"{pagename}: other {kind} than the pages before: {files}")
            context[kind] = [f"_static/{file}?v={_version(app, files)}"]

    def write(app: Sphinx, error: Exception | None) -> None:
        for kind, files in merged.items() if not error else ():
            file, between = MERGED[kind]
            text = between.join(Path(app.outdir, name).read_text("utf-8") for name in files)
            Path(app.outdir, "_static", file).write_text(text, "utf-8")

    app.connect("html-page-context", name, priority=990)
    app.connect("build-finished", write, priority=990)


def _version(app: Sphinx, files: list[str]) -> str:
    """Return what changes with the one file, so that a browser loads it anew.

    Some of the files are only there once all pages are written. They change with ``book/_static``
    and with the packages.
    """
    lock = site().project.lock
    given = [*files, app.config.onions_static, lock.read_text("utf-8") if lock.exists() else ""]
    return sha256("\n".join(given).encode()).hexdigest()[:8]
