"""Git in a test's own repository."""

import subprocess
from pathlib import Path

AUTHOR = ("user.name=An author", "user.email=author@example.org", "commit.gpgsign=false")


def git(repository: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run git in a repository. Raises CalledProcessError on failure, unless `check` is false."""
    settings = [part for setting in AUTHOR for part in ("-c", setting)]
    return subprocess.run(
        ["git", "-C", str(repository), *settings, *arguments],
        check=check,
        capture_output=True,
        text=True,
        timeout=300,
    )
