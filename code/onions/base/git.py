"""Git facts: the commit of a build, and the date of each page's last change."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

UNCOMMITTED = "now"  # the date of a page with uncommitted changes


@dataclass(frozen=True)
class GitFacts:
    """Git facts about a book; empty if git is not installed or the book is not in a repository.

    `commit` is a full hash; `has_changes` is True if tracked files differ from that commit.
    `last_changed` maps a page's name to the date of its last commit, as in 2026-11-24, or to
    UNCOMMITTED. In a shallow clone, it contains only uncommitted pages.
    """

    commit: str = ""
    has_changes: bool = False
    last_changed: dict[str, str] = field(default_factory=dict)


def read_git(root: Path) -> GitFacts:
    """Return the git facts of the book in `root`.

    On a GitHub runner, `commit` is ``GITHUB_SHA`` and `has_changes` is False.
    """
    runner_commit = os.environ.get("GITHUB_SHA", "")
    head = _git(root, "rev-parse", "--is-shallow-repository", "HEAD").split()
    if len(head) != 2:
        return GitFacts(runner_commit)
    is_shallow, commit = head
    changed = _git(root, "diff", "--name-only", "--relative", "-z", "HEAD").split("\0")[:-1]
    dates: dict[str, str] = {}
    if is_shallow == "false":  # in a shallow clone, the oldest commit seems to add every file
        log = _git(root, "log", "--format=%x00%cs", "--name-only", "--relative", "--", "book")
        for entry in log.split("\0")[1:]:
            date, *paths = entry.splitlines()
            for path in paths:
                dates.setdefault(_page_name(path), date)
    dates |= dict.fromkeys(map(_page_name, changed), UNCOMMITTED)
    return GitFacts(runner_commit or commit, bool(changed) and not runner_commit, dates)


def _page_name(path: str) -> str:
    return path.removeprefix("book/").removesuffix(".md")


def _git(root: Path, *arguments: str) -> str:
    """Return git's output; an empty string if git fails or is not installed."""
    command = ["git", "-c", "core.quotePath=off", "-C", str(root), *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return result.stdout if result.returncode == 0 else ""
