"""The URLs of the site and of its repository, for all links to them.

On GitHub's runners the environment names the repository, so the site of a fork links to the fork.
``_config.yml`` overrides it, for a custom domain or another server.
"""

import os

from sphinx.application import Sphinx
from sphinx.config import Config

# The values that `_config.yml` may set. An empty one comes from the environment, where that has it.
VALUES = {
    "onions_repository": "",  # the repository's URL on GitHub, without a slash at its end
    "onions_branch": "main",  # the branch that holds the pages
    "onions_notebooks": "notebooks",  # the branch to which the notebooks are published
}


def setup(app: Sphinx) -> None:
    """Register the values, and fill in those that `_config.yml` leaves empty."""
    for name, default in VALUES.items():
        app.add_config_value(name, default, "html", [str])
    app.connect("config-inited", _complete, priority=100)  # before other extensions read them


def _complete(app: Sphinx, config: Config) -> None:
    server = os.environ.get("GITHUB_SERVER_URL", "")
    repository = os.environ.get("GITHUB_REPOSITORY", "")  # owner/name
    if server and repository:
        owner, _, name = repository.partition("/")
        config.onions_repository = config.onions_repository or f"{server}/{repository}"
        site_url = f"https://{owner.lower()}.github.io/"
        if name.lower() != f"{owner}.github.io".lower():  # the repository of the owner's own site
            site_url += f"{name}/"
        config.html_baseurl = config.html_baseurl or site_url
    if config.html_baseurl:
        config.html_baseurl = config.html_baseurl.rstrip("/") + "/"  # page names are appended to it
