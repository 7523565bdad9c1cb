#!/usr/bin/env python3
"""Comment a build's report on its pull request, or open an issue that lists failed jobs.

A later report replaces the comment. While the issue is open, later failures are added as comments.

    .github/scripts/tell.py comment report.md --head OWNER:BRANCH --commit SHA --run ID
    .github/scripts/tell.py issue "The scheduled build fails" --needs '{"rebuild": …}'
"""

import argparse
import json
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

MARK = "<!-- onions: report -->"
BOT = "github-actions[bot]"  # the author of everything that a workflow's token writes
LONGEST = 60_000  # characters; GitHub's limit is 65,536
FAILED = ("failure", "timed_out", "cancelled")  # a job is cancelled when it reaches its time limit


def main() -> None:
    """Run the command in the arguments, and print its result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("comment", help="post a report under a pull request")
    one.add_argument("report", type=Path)
    one.add_argument("--head", required=True, help="the pull request's head, OWNER:BRANCH")
    one.add_argument("--commit", required=True, help="the pull request's last commit")
    one.add_argument("--run", dest="build", required=True, help="the build's workflow run")
    one.set_defaults(run=comment)
    other = commands.add_parser("issue", help="open an issue, or comment on the open one")
    other.add_argument("title")
    other.add_argument("--needs", required=True, help="the workflow's toJSON(needs)")
    other.set_defaults(run=issue)
    options = parser.parse_args()
    try:
        print(options.run(options))
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"tell.py: {error}")


def comment(options: argparse.Namespace) -> str:
    """Post failed jobs and the report under the pull request whose last commit is `options.commit`.

    Return the comment's URL, or a sentence if no open pull request has this last commit.
    """
    head = urllib.parse.quote(options.head)
    pulls = [
        p for p in ask("GET", f"pulls?state=open&head={head}") if p["head"]["sha"] == options.commit
    ]
    if not pulls:
        return "No open pull request has this commit as its last. Nothing posted."
    number = pulls[0]["number"]
    own = (pulls[0]["head"]["repo"] or {}).get("full_name") == os.environ["GITHUB_REPOSITORY"]
    text = f"{_failed_jobs(options.build)}{_read(options.report)}"
    body = {"body": f"{MARK}\n{text if own else _quote(text)}"}
    for old in pages(f"issues/{number}/comments?"):
        if old["user"]["login"] == BOT and old["body"].startswith(MARK):
            return str(ask("PATCH", f"issues/comments/{old['id']}", body)["html_url"])
    return str(ask("POST", f"issues/{number}/comments", body)["html_url"])


def issue(options: argparse.Namespace) -> str:
    """Open an issue that lists the failed jobs, or comment on the open one; return the URL."""
    needs = json.loads(options.needs)
    failed = [job for job, facts in needs.items() if facts["result"] in FAILED]
    body = f"Failed: {_names(failed)}. See {_run_url(os.environ['GITHUB_RUN_ID'])}."
    for old in pages(f"issues?state=open&creator={urllib.parse.quote(BOT)}&"):
        if old["title"] == options.title:
            return str(ask("POST", f"issues/{old['number']}/comments", {"body": body})["html_url"])
    return str(ask("POST", "issues", {"title": options.title, "body": body})["html_url"])


def _failed_jobs(run: str) -> str:
    """Return a paragraph that names the jobs of a run that did not succeed; "" if all did."""
    jobs = ask("GET", f"actions/runs/{run}/jobs?per_page=100")["jobs"]
    failed = [job["name"] for job in jobs if job["conclusion"] in FAILED]
    return f"**Failed:** {_names(failed)}. See {_run_url(run)}.\n\n" if failed else ""


def _names(jobs: list[str]) -> str:
    return ", ".join(f"`{job}`" for job in jobs)


def _run_url(run: str) -> str:
    return f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}/actions/runs/{run}"


def _read(report: Path) -> str:
    """Return the report's text, cut after `LONGEST` characters; a sentence if there is none.

    Raises ValueError if `report` is a symbolic link, and OSError if it can't be read.
    """
    if report.is_symlink():
        raise ValueError(f"{report}: a symbolic link. Pass a regular file.")
    try:
        with report.open("rb") as file:
            text = file.read(4 * LONGEST).decode("utf-8", "replace")
    except FileNotFoundError:
        return "There is no report, since the build stopped before it."
    if len(text) > LONGEST:
        return f"{text[:LONGEST]}\n… truncated; the workflow run has the full report."
    return text


def _quote(text: str) -> str:
    """Return text as a code block, since a fork's code may write anything into it."""
    fence = "`" * (1 + max([2, *map(len, re.findall(r"`+", text))]))
    return f"What the fork's own build reports:\n\n{fence}text\n{text}\n{fence}"


def pages(path: str) -> list[Any]:
    """Return at most 1,000 items of a paginated list; `path` ends with `?` or `&`."""
    found: list[Any] = []
    for number in range(1, 11):
        page = ask("GET", f"{path}per_page=100&page={number}")
        found += page
        if len(page) < 100:
            break
    return found


def ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Call GitHub's API for this repository; return its answer. Raises OSError if it fails."""
    api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    request = urllib.request.Request(
        f"{api}/repos/{os.environ['GITHUB_REPOSITORY']}/{path}",
        None if body is None else json.dumps(body).encode(),
        {
            "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}",
            "Accept": "application/vnd.github+json",
        },
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise OSError(f"{method} {path}: {error} {error.read()[:300]!r}") from error


if __name__ == "__main__":
    main()
