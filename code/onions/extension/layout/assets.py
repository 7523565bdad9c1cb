"""One merged file of all style sheets, and one of all scripts.

Sphinx, its extensions and the theme each add files. On a phone, requesting a file takes longer than
transferring its bytes.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

from onions.extension.base.builder import connect_site
from onions.extension.base.session import session

# The merged file, and its separator, for each list of assets in a page's template context.
MERGED = {"css_files": ("book.css", "\n"), "script_files": ("book.js", "\n;\n")}
# Attributes that a merged file does not need; sphinx-design sets the last.
IGNORED_ATTRIBUTES = {"rel", "type", "data-sd-tabs-storage-prefix"}


def setup(app: Sphinx) -> None:
    """Link every page to the merged files, and write them at the end of the build."""
    app.add_config_value("onions_static", "", "html", [str])
    app.connect("config-inited", _hash_static)
    merged: dict[str, list[str]] = {}  # paths of the parts, by key of MERGED

    def name(
        app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
    ) -> None:
        for kind, (merged_file, _) in MERGED.items():
            # Sphinx sorts the assets only after this event.
            assets = sorted(context[kind], key=lambda asset: asset.priority)
            paths = [_mergeable_path(asset) for asset in assets]
            if merged.setdefault(kind, paths) != paths:
                raise ExtensionError(f"{pagename}: its {kind} differ from other pages: {paths}")
            context[kind] = [f"_static/{merged_file}?v={_version(app, paths)}"]

    def write(app: Sphinx, error: Exception | None) -> None:
        for kind, paths in merged.items() if not error else ():
            merged_file, separator = MERGED[kind]
            text = separator.join(Path(app.outdir, path).read_text("utf-8") for path in paths)
            Path(app.outdir, "_static", merged_file).write_text(text, "utf-8")

    connect_site(app, "html-page-context", name, priority=990)
    connect_site(app, "build-finished", write, priority=990)


def _hash_static(app: Sphinx, config: Config) -> None:
    # Every page links to the merged files with a hash. The hash of the static files is a
    # configuration value, so Sphinx writes every page again when one of them changes.
    static = sorted(path for path in (app.srcdir / "_static").rglob("*") if path.is_file())
    config.onions_static = sha256(b"".join(path.read_bytes() for path in static)).hexdigest()


def _mergeable_path(asset: Any) -> str:
    """Return an asset's path. Raises ExtensionError if it can't be merged."""
    if (
        not str(asset.filename).startswith("_static/")
        or asset.attributes.keys() - IGNORED_ATTRIBUTES
    ):
        raise ExtensionError(f"{asset!r} can't be merged: it has attributes or is not in _static/")
    return str(asset.filename)


def _version(app: Sphinx, paths: list[str]) -> str:
    """Return a hash that makes browsers reload a merged file when it changes.

    Some parts are written only after all pages, so the hash covers their sources instead:
    ``book/_static``, the lock file and the configuration.
    """
    project = session().project
    sources = [project.lock, project.config]
    texts = [path.read_text("utf-8") for path in sources if path.exists()]
    inputs = [*paths, app.config.onions_static, *texts]
    return sha256("\n".join(inputs).encode()).hexdigest()[:8]
