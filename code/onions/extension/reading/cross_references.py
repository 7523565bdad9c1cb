"""Cross-references: pages that link to other pages, and show their titles, numbers or labels.

Sphinx inserts these texts while it writes a page, and does not write the page again when they
change. This module notes, for each page, to which pages it links, and compares between builds what
a link to each page can show.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from onions.extension.base.builder import connect_site

FILE = "cross-references.json"  # in the folder of the doctrees
UNRESOLVED = ""  # stands for the target of a link that leads nowhere


def setup(app: Sphinx) -> None:
    """Note the links of each page that is written, and write pages again when a target changes."""
    links: dict[str, set[str]] = {}  # targets by page
    last_targets: dict[str, str] = {}  # hashes by page
    targets: dict[str, str] = {}
    unresolved: set[str] = set()  # pages with a link that leads nowhere

    def load(app: Sphinx) -> None:
        path = Path(app.doctreedir, FILE)
        if path.exists():
            state = json.loads(path.read_text("utf-8"))
            links.update((page, set(names)) for page, names in state["links"].items())
            last_targets.update(state["targets"])

    def outdated(app: Sphinx, env: BuildEnvironment) -> set[str]:
        targets.update(_hash_targets(env))
        changed = {name for name in targets if targets[name] != last_targets.get(name)}
        changed.add(UNRESOLVED)
        # A page with the bibliography has changed itself if another page cites a new source.
        return {page for page in env.found_docs if changed & {page, *links.get(page, ())}}

    def note_unresolved(
        app: Sphinx, env: BuildEnvironment, node: nodes.Element, content: nodes.Node
    ) -> None:
        unresolved.add(env.docname)

    def note(app: Sphinx, doctree: nodes.document, page: str) -> None:
        links[page] = {*_linked_pages(doctree, page), *([UNRESOLVED] * (page in unresolved))}

    def save(app: Sphinx, error: Exception | None) -> None:
        if not error:
            state = {"targets": targets, "links": {page: sorted(links[page]) for page in links}}
            Path(app.doctreedir, FILE).write_text(json.dumps(state), "utf-8")

    connect_site(app, "builder-inited", load)
    connect_site(app, "env-get-updated", outdated, priority=900)  # after figures have numbers
    connect_site(app, "doctree-resolved", note)
    connect_site(app, "missing-reference", note_unresolved)
    connect_site(app, "build-finished", save)


def _linked_pages(doctree: nodes.document, page: str) -> Iterator[str]:
    """Yield the names of the pages that a page links to."""
    for link in doctree.findall(nodes.reference):
        path = unquote(urlsplit(link.get("refuri", "")).path)
        if link.get("internal") and path:
            yield normpath(join(dirname(page), path)).removesuffix(".html")


def _hash_targets(env: BuildEnvironment) -> dict[str, str]:
    """Return, for each page, a hash of everything that a link to it can show."""
    parts: dict[str, list[Any]] = defaultdict(list)
    standard, math, citations = (cast(Any, env.get_domain(n)) for n in ("std", "math", "cite"))
    for label, (page, *place) in sorted({**standard.anonlabels, **standard.labels}.items()):
        parts[page].append([label, *place])
    for label, (page, number) in sorted(math.equations.items()):
        parts[page].append(["equation", label, number])
    for label, entry in sorted(getattr(env, "sphinx_exercise_registry", {}).items()):
        titles = [title.astext() for title in entry["node"].findall(nodes.title)]
        parts[entry["docname"]].append([label, titles[:1]])
    for citation in citations.citations:
        label = citation.formatted_entry.label
        parts[citation.bibliography_key.docname].append(["source", citation.key, label])
    for page in env.found_docs:
        slugs = env.metadata[page].get("myst_slugs", {})  # a line, an id and a text for each
        parts[page] += [
            env.titles[page].pformat(),
            env.toc_fignumbers.get(page),
            env.toc_secnumbers.get(page),
            [[slug, *place[1:]] for slug, place in slugs.items()],
        ]
    return {page: sha256(repr(parts[page]).encode()).hexdigest() for page in env.found_docs}
