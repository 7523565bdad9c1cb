"""Citations: keep them between builds.

sphinxcontrib-bibtex would format all sources in each build, which takes a tenth of the time of a
small edit.
"""

import ast
from typing import Any, cast

from sphinx.application import Sphinx
from sphinxcontrib.bibtex.domain import get_docnames

from onions.extension.base.session import session
from onions.extension.reading.outdated import SOURCES


def setup(app: Sphinx) -> None:
    """Format the citations only if one of them may have changed."""
    app.connect("env-before-read-docs", lambda app, env, names: _keep_citations(app))


def _keep_citations(app: Sphinx) -> None:
    env: Any = app.env
    domain = cast(Any, env.get_domain("cite"))
    format_citations = domain.env_updated  # called when all pages have been read

    def env_updated() -> list[str]:
        inputs = _inputs(env, domain)
        # Reading a page deletes the citations of its bibliographies.
        was_read = any(key.docname in session().read for key in domain.bibliographies)
        if not was_read and inputs == getattr(env, "onions_citation_inputs", None):
            return []  # `domain.citations` is from the last build
        env.onions_citation_inputs = inputs
        return list(format_citations())

    domain.env_updated = env_updated


def _inputs(env: Any, domain: Any) -> str:
    """Return everything that can change a citation: citations, bibliographies, sources, order."""
    citations = [
        (citation.docname, [target.key for target in citation.targets])
        for citation in sorted(domain.citation_refs, key=lambda citation: citation.docname)
    ]
    bibliographies = [
        bibliography._replace(
            filter_=ast.dump(bibliography.filter_),
            citation_nodes={
                name: node["ids"] for name, node in bibliography.citation_nodes.items()
            },
        )
        for bibliography in domain.bibliographies.values()
    ]
    keys = [*domain.bibliographies]
    return repr((citations, keys, bibliographies, env.onions_states[SOURCES], [*get_docnames(env)]))
