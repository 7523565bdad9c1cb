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
# What the elements may say besides where the file is: a default of sphinx-design's is among it.
MEANINGLESS = {"rel", "type", "data-sd-tabs-storage-prefix"}


def setup(app: Sphinx) -> None:
    """Name the one file once everybody has named theirs, and write it once all are there."""
    merged: dict[str, list[str]] = {}

    def name(
        app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
    ) -> None:
        if is_offline(app):
            return
        for kind, (file, _) in MERGED.items():
            # Sphinx sorts them only after this event.
            files = [_plain(one) for one in sorted(context[kind], key=lambda one: one.priority)]
            if merged.setdefault(kind, files) != files:
                raise ExtensionError(f"{pagename}: other {kind} than the pages before: {files}")
            context[kind] = [f"_static/{file}?v={_version(app, files)}"]

    def write(app: Sphinx, error: Exception | None) -> None:
        for kind, files in merged.items() if not error else ():
            file, between = MERGED[kind]
            text = between.join(Path(app.outdir, path).read_text("utf-8") for path in files)
            Path(app.outdir, "_static", file).write_text(text, "utf-8")

    app.connect("html-page-context", name, priority=990)
    app.connect("build-finished", write, priority=990)


def _plain(one: Any) -> str:
    """Return the path of a file that means the same in another one. Raises ExtensionError."""
    if not str(one.filename).startswith("_static/") or one.attributes.keys() - MEANINGLESS:
        raise ExtensionError(f"{one!r} can't be put into {[name for name, _ in MERGED.values()]}")
    return str(one.filename)


def _version(app: Sphinx, files: list[str]) -> str:
    """Return what changes with the one file, so that a browser loads it anew.

    Some of the files are only there once all pages are written. They come from ``book/_static``,
    from the packages and from the configuration.
    """
    project = site().project
    sources = [project.lock, project.root / "_config.yml"]
    texts = [path.read_text("utf-8") for path in sources if path.exists()]
    given = [*files, app.config.onions_static, *texts]
    return sha256("\n".join(given).encode()).hexdigest()[:8]
