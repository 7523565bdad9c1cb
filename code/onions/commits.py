"""What git says of the pages: when each was changed last, and from which commit a build is made."""

import os
import subprocess
from dataclasses import dataclass, field

from onions.pages import Project

NOT_COMMITTED = "now"  # stands for the date of a page that has changes which no commit holds


@dataclass(frozen=True)
class History:
    """What git says; nothing of it where there is no repository, or no git.

    `commit` is a hash; `changed` holds the date of each page's last change, as in 2026-11-24, by
    the page's name, or NOT_COMMITTED. A clone without the history knows no dates.
    """

    commit: str = ""
    has_changes: bool = False
    changed: dict[str, str] = field(default_factory=dict)


def history(project: Project) -> History:
    """Ask git. On GitHub's runners, the commit is the one they say they build."""
    said = os.environ.get("GITHUB_SHA", "")
    head = _git(project, "rev-parse", "--is-shallow-repository", "HEAD").split()
    if len(head) != 2:
        return History(said)
    is_shallow, commit = head
    edited = _git(project, "diff", "--name-only", "--relative", "-z", "HEAD").split("\0")[:-1]
    changed: dict[str, str] = {}
    if is_shallow == "false":  # else the oldest commit there seems to have made every file
        log = _git(project, "log", "--format=%x00%cs", "--name-only", "--relative", "--", "book")
        for entry in log.split("\0")[1:]:
            date, *names = entry.splitlines()
            for name in names:
                changed.setdefault(_page(name), date)
    changed |= dict.fromkeys(map(_page, edited), NOT_COMMITTED)
    return History(said or commit, bool(edited) and not said, changed)


def _page(path: str) -> str:
    return path.removeprefix("book/").removesuffix(".md")


def _git(project: Project, *arguments: str) -> str:
    """Return what git prints, and nothing where it fails."""
    command = ["git", "-c", "core.quotePath=off", "-C", str(project.root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:  # git is not installed
        return ""
    return done.stdout if done.returncode == 0 else ""
