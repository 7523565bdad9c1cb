"""What GitHub keeps between jobs: the repository, caches, artifacts, Pages, pull requests, issues.

Its interface answers on this machine's own address only, and allows what a job's token may do.
"""

import json
import re
import secrets
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "lesson/onions"
BOT = "github-actions[bot]"
MAIN = "refs/heads/main"
# What a push must show: a token that may write. Git hands the hook its environment.
HOOK = """#!/bin/sh
test -n "$TOKEN" && test -e "{writers}/$TOKEN" && exit
echo 'Write access to repository not granted.' >&2
exit 1
"""


@dataclass(frozen=True)
class Event:
    """Something that may start workflows: its payload, the commit and ref that they run on."""

    name: str
    sha: str
    ref: str
    payload: dict[str, Any] = field(default_factory=dict)

    @property
    def fork(self) -> bool:
        """Whether it runs code from elsewhere: then nothing may be written."""
        pull = self.payload.get("pull_request")
        return pull is not None and pull["head"]["repo"]["full_name"] != REPOSITORY

    @property
    def ref_name(self) -> str:
        """The branch or tag, or for a pull request ``1/merge``."""
        return re.sub(r"^refs/(heads|tags|pull)/", "", self.ref)

    @property
    def ref_type(self) -> str:
        """Either branch or tag."""
        return "tag" if self.ref.startswith("refs/tags/") else "branch"


@dataclass(frozen=True)
class Cache:
    """A kept folder or file. Only runs on its ref find it; those on main's are for all."""

    key: str
    ref: str
    path: str
    content: Path


class Service:
    """GitHub, with one repository. Close it at the end."""

    def __init__(self, folder: Path, variables: dict[str, str]):
        self.folder, self.variables = folder, variables
        self.caches: list[Cache] = []
        self.artifacts: dict[int, dict[str, Path]] = {}
        self.lost: set[str] = set()  # artifacts that vanish after their upload
        self.tokens: dict[str, dict[str, str]] = {}
        self.pulls: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.comments: list[dict[str, Any]] = []
        self.said = folder / "said"  # what actions and `gh` were asked, as they can't do it here
        self.runs = 0
        self.writers = folder / "writers"
        self.writers.mkdir(parents=True)
        self.repository = self._make_repository()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where repositories lie."""
        return (self.folder / "repositories").as_uri()

    @property
    def api_url(self) -> str:
        """Where the interface answers."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def site(self) -> Path:
        """What GitHub Pages shows."""
        return self.folder / "pages" / "site"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def git(self, *arguments: str) -> str:
        """Run git in the repository and return what it printed."""
        command = ["git", "-C", str(self.repository), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def files(self, sha: str, folder: str) -> dict[str, str]:
        """Return the texts of the files in a folder of a commit, by path."""
        names = self.git("ls-tree", "--name-only", sha, f"{folder}/").splitlines()
        return {name: self.git("show", f"{sha}:{name}") for name in names}

    def token(self, permissions: dict[str, str]) -> str:
        """Return a new token that may do just this."""
        token = secrets.token_hex(8)
        self.tokens[token] = permissions
        if permissions.get("contents") == "write":
            (self.writers / token).touch()
        return token

    def restore(self, event: Event, path: str, keys: list[str]) -> Cache | None:
        """Return the first cache that fits: on the event's own ref, then on main; by whole key,
        then the newest that begins with one of the keys.
        """
        for ref in dict.fromkeys([event.ref, MAIN]):
            found = [c for c in reversed(self.caches) if (c.ref, c.path) == (ref, path)]
            exact = [c for c in found if c.key == keys[0]]
            begins = [c for key in keys for c in found if c.key.startswith(key)]
            if fits := exact + begins:
                return fits[0]
        return None

    def save(self, event: Event, path: str, key: str, source: Path) -> None:
        """Keep a folder or file for later runs. Raises PermissionError for a fork."""
        if event.fork:
            raise PermissionError(f"the cache {key} may not be written for a fork's pull request")
        if any((c.ref, c.path, c.key) == (event.ref, path, key) for c in self.caches):
            return
        content = self.folder / "caches" / str(len(self.caches))
        copy(source, content)
        self.caches.append(Cache(key, event.ref, path, content))

    def say(self, line: str) -> None:
        """Keep what somebody was asked to do elsewhere."""
        with self.said.open("a") as file:
            file.write(f"{line}\n")

    def deploy(self, artifact: Path) -> None:
        """Show another site: the old one until the moment when the new one is whole."""
        number = len(list(self.site.parent.glob("site-*")))
        whole = self.site.with_name(f"site-{number}")
        copy(artifact, whole)
        link = whole.with_name("next")
        link.symlink_to(whole.name)
        link.replace(self.site)

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Answer what a script asks the interface: a status and a value."""
        url = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        inside = url.path.removeprefix(f"/repos/{REPOSITORY}/")
        for known, pattern, scope, run in (
            ("GET", r"pulls", "pull-requests", self._list_pulls),
            ("GET", r"issues", "issues", self._list_issues),
            ("POST", r"issues", "issues", self._open_issue),
            ("GET", r"issues/(\d+)/comments", "", self._list_comments),
            ("POST", r"issues/(\d+)/comments", "", self._comment),
            ("PATCH", r"issues/comments/(\d+)", "", self._edit_comment),
        ):
            if method == known and (match := re.fullmatch(pattern, inside)):
                needed = [scope] if scope else ["issues", "pull-requests"]
                if not self._may(token, needed, "read" if method == "GET" else "write"):
                    return 403, {"message": "Resource not accessible by integration"}
                return 201 if method == "POST" else 200, run(
                    asked | body, *map(int, match.groups())
                )
        return 404, {"message": f"the rehearsal does not know {method} {path}"}

    def _may(self, token: str, scopes: list[str], access: str) -> bool:
        has = self.tokens.get(token, {})
        return any(has.get(scope) in (access, "write") for scope in scopes)

    def _list_pulls(self, asked: dict[str, Any]) -> Any:
        head = asked.get("head")
        return self._page([p for p in self.pulls if head in (None, p["head"]["label"])], asked)

    def _list_issues(self, asked: dict[str, Any]) -> Any:
        by = asked.get("creator")
        return self._page([i for i in self.issues if by in (None, i["user"]["login"])], asked)

    def _open_issue(self, asked: dict[str, Any]) -> Any:
        number = len(self.pulls) + len(self.issues) + 1
        issue = {"number": number, **asked, "user": {"login": BOT}, "html_url": f"#{number}"}
        self.issues.append(issue)
        return issue

    def _list_comments(self, asked: dict[str, Any], number: int) -> Any:
        return self._page([c for c in self.comments if c["issue"] == number], asked)

    def _comment(self, asked: dict[str, Any], number: int) -> Any:
        comment = {
            "id": len(self.comments) + 1,
            "issue": number,
            "edits": 0,
            "body": asked["body"],
            "user": {"login": BOT},
            "html_url": f"#{number}-{len(self.comments) + 1}",
        }
        self.comments.append(comment)
        return comment

    def _edit_comment(self, asked: dict[str, Any], number: int) -> Any:
        comment = self.comments[number - 1]
        comment.update(body=asked["body"], edits=comment["edits"] + 1)
        return comment

    @staticmethod
    def _page(items: list[Any], asked: dict[str, Any]) -> list[Any]:
        size, page = int(asked.get("per_page", 30)), int(asked.get("page", 1))
        return items[size * (page - 1) : size * page]

    def _make_repository(self) -> Path:
        path = self.folder / "repositories" / REPOSITORY
        path.parent.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
        allow = ["git", "-C", str(path), "config", "uploadpack.allowAnySHA1InWant", "true"]
        subprocess.run(allow, check=True)
        hook = path / "hooks" / "pre-receive"
        hook.write_text(HOOK.format(writers=self.writers))
        hook.chmod(0o755)
        return path

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size) or "{}")
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                status, value = service.answer(self.command, self.path, token, body)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(value).encode())

            do_GET = do_POST = do_PATCH = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        return Handler


def copy(source: Path, target: Path) -> None:
    """Copy a file or folder to a path, into what is there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, symlinks=True)
    else:
        shutil.copy2(source, target)
