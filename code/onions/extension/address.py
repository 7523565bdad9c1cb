"""Where the site and its sources are on the web, for every link that leads there.

GitHub's runners say which repository they build, so a fork's site leads to the fork.
``_config.yml`` says it where that is not enough: a domain of one's own, another server.
"""

import os

from sphinx.application import Sphinx
from sphinx.config import Config

# What `_config.yml` may set; empty means that the environment says it, or that nobody does.
VALUES = {
    "onions_repository": "",  # the repository's address on GitHub, without a slash at its end
    "onions_branch": "main",  # the branch that holds the pages
    "onions_notebooks": "notebooks",  # the branch on which publishing puts the notebooks
}


def setup(app: Sphinx) -> None:
    """Register the values, and complete them."""
    for name, default in VALUES.items():
        app.add_config_value(name, default, "html", [str])
    app.connect("config-inited", _complete, priority=100)  # before other extensions read them


def _complete(app: Sphinx, config: Config) -> None:
    server, name = (os.environ.get(f"GITHUB_{part}", "") for part in ("SERVER_URL", "REPOSITORY"))
    if server and name:
        owner, _, project = name.partition("/")
        config.onions_repository = config.onions_repository or f"{server}/{name}"
        site = f"https://{owner.lower()}.github.io/"
        if project.lower() != f"{owner}.github.io".lower():  # that one is the owner's own site
            site += f"{project}/"
        config.html_baseurl = config.html_baseurl or site
    if config.html_baseurl:
        config.html_baseurl = config.html_baseurl.rstrip("/") + "/"  # names of pages follow it
