"""Who pushes commits and opens pull requests."""

import os
import subprocess
from pathlib import Path

from rehearsal.service import MAIN, REPOSITORY, Event, Service

PERSON = {"NAME": "An author", "EMAIL": "author@example.org"}


class Author:
    """Somebody with a clone, who writes commits; each on what main was at the beginning."""

    def __init__(self, folder: Path, service: Service):
        self.folder, self.service = folder, service
        self.token = service.token({"contents": "write"})
        self.git("init", "-q", "-b", "main")
        self.first = self.commit("The project as it stands")

    def git(self, *arguments: str) -> str:
        """Run git in the clone and return what it printed."""
        person = {f"GIT_{w}_{k}": v for w in ("AUTHOR", "COMMITTER") for k, v in PERSON.items()}
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**os.environ, **person, "TOKEN": self.token},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def add(self, page: str, text: str) -> None:
        """Write something at the end of a page."""
        with (self.folder / "book" / f"{page}.md").open("a") as file:
            file.write(text)

    def commit(self, message: str) -> str:
        """Commit everything and return the commit."""
        self.git("add", "--all")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, ref: str = MAIN) -> Event:
        """Push the clone's commit to main, or a tag."""
        self.git("push", "-q", "--force", str(self.service.repository), f"HEAD:{ref}")
        return Event("push", self.git("rev-parse", "HEAD"), ref)

    def pull_request(self, number: int, owner: str) -> Event:
        """Push the clone's commit to a pull request, opened by it if there is none yet."""
        head, name = self.git("rev-parse", "HEAD"), f"{owner}/onions"
        merge = self.git(
            *("commit-tree", f"{head}^{{tree}}", "-p", self.first, "-p", head, "-m", "Merge")
        )
        refs = [f"{head}:refs/pull/{number}/head", f"{merge}:refs/pull/{number}/merge"]
        self.git("push", "-q", "--force", str(self.service.repository), *refs)
        pull = {
            "number": number,
            "head": {
                "sha": head,
                "ref": "change",
                "label": f"{owner}:change",
                "repo": {"full_name": name, "id": 1 if name == REPOSITORY else 2},
            },
            "base": {"sha": self.first, "ref": "main"},
        }
        self.service.pulls[number - 1 :] = [pull]
        return Event("pull_request", merge, f"refs/pull/{number}/merge", {"pull_request": pull})

    def back(self) -> None:
        """Go back to what main was at the beginning, here and on GitHub, without a workflow."""
        self.git("reset", "-q", "--hard", self.first)
        self.push()
