"""The URLs of the site and its repository.

On GitHub's runners, the environment names the repository, so a fork's site links to the fork.
``_config.yml`` overrides it, for example for a custom domain or another server.
"""

import os

from sphinx.application import Sphinx
from sphinx.config import Config

# Values that `_config.yml` may set. Empty ones are filled in from the environment, if possible.
VALUES = {
    "onions_repository": "",  # the repository's URL on GitHub, without a slash at its end
    "onions_branch": "main",  # the branch that holds the pages
    "onions_notebooks": "notebooks",  # the branch to which the notebooks are published
}


def setup(app: Sphinx) -> None:
    """Register the values, and fill in the empty ones."""
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
        if name.lower() != f"{owner}.github.io".lower():  # the owner's own site has no folder
            site_url += f"{name}/"
        config.html_baseurl = config.html_baseurl or site_url
    if config.html_baseurl:
        config.html_baseurl = config.html_baseurl.rstrip("/") + "/"  # page names are appended to it
