"""A stand-in for each action that the workflows use: what it does, refuses, and leaves behind.

Its keyword arguments are the inputs that the workflows may give it, with the action's own defaults.
"""

import hashlib
import inspect
import re
import subprocess
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from rehearsal.machine import Machine
from rehearsal.service import MAIN, copy

Outputs = dict[str, str]
Action = Callable[..., Outputs | None]


class ActionFailed(Exception):
    """An action ended with an error, so its step fails."""


class Unknown(Exception):
    """An action, or an input of one, that has no stand-in here."""


def find(uses: str, inputs: dict[str, Any]) -> Action:
    """Return an action's stand-in. Raises Unknown, also for inputs that it does not know."""
    name, _, version = uses.partition("@")
    if not re.fullmatch(r"[0-9a-f]{40}", version):
        raise Unknown(f"{uses} is not pinned by a whole commit")
    if name not in ACTIONS:
        raise Unknown(f"{name} has no stand-in in tests/rehearsal/actions.py")
    try:
        inspect.signature(ACTIONS[name]).bind(None, **python_names(inputs))
    except TypeError as error:
        raise Unknown(f"{name}: {error}") from error
    return ACTIONS[name]


def python_names(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return an action's inputs as keyword arguments."""
    return {name.replace("-", "_"): value for name, value in inputs.items()}


def checkout(machine: Machine, *, persist_credentials: str, fetch_depth: str = "1") -> None:
    """Clone the event's commit into the workspace."""
    if persist_credentials != "false":
        raise ActionFailed("persist-credentials: false is asked for, as no step needs them")
    _need(machine, "contents: read")
    event, address = machine.event, machine.service.repository.as_uri()
    depth = [] if fetch_depth == "0" else [f"--depth={fetch_depth}"]
    wanted = [event.sha]
    if fetch_depth == "0":
        wanted += ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]
    branch = ["-B", event.ref_name] if event.ref == MAIN else ["--detach"]
    _git(machine, "init", "-q")
    _git(machine, "remote", "add", "origin", address)
    _git(machine, "fetch", "-q", "--no-tags", *depth, "origin", *wanted)
    _git(machine, "checkout", "-q", *branch, event.sha)


def setup_python(machine: Machine, *, python_version_file: str) -> None:
    """Check that the file names a Python that the project runs on; it is the caller's, here."""
    try:
        version = machine.path(python_version_file).read_text("utf-8").strip()
    except OSError as error:
        raise ActionFailed(f"{python_version_file}: {error.strerror}") from error
    if not re.fullmatch(r"3\.1[123](\.\d+)?", version):
        raise ActionFailed(f"{python_version_file} names Python {version}, not 3.11 to 3.13")


def restore(machine: Machine, *, path: str, key: str, restore_keys: str = "") -> Outputs:
    """Put the cache that fits best in place, if there is one."""
    keys = [key, *restore_keys.split()]
    found = machine.service.restore(machine.event, path, keys)
    if found:
        copy(found.content, machine.path(path))
    return {"cache-hit": str(bool(found) and found.key == key).lower()} if found else {}


def save(machine: Machine, *, path: str, key: str) -> None:
    """Keep a path for later runs; where it is missing, GitHub only warns."""
    if machine.path(path).exists():
        try:
            machine.service.save(machine.event, path, key, machine.path(path))
        except PermissionError as error:
            raise ActionFailed(str(error)) from error


def cache(machine: Machine, *, path: str, key: str) -> Outputs:
    """Restore now; save at the end of a job that succeeds."""
    outputs = restore(machine, path=path, key=key)
    if outputs.get("cache-hit") != "true":
        machine.at_end.append(lambda: save(machine, path=path, key=key))
    return outputs


def upload(
    machine: Machine,
    *,
    name: str,
    path: str,
    retention_days: str,
    include_hidden_files: str = "false",
) -> None:
    """Keep files for this run's later jobs. A name can't be used twice."""
    kept = machine.service.artifacts.setdefault(machine.run_id, {})
    if name in kept:
        raise ActionFailed(f"an artifact with the name {name} exists already (409)")
    source, hidden = machine.path(path), include_hidden_files == "true"
    folder = source if source.is_dir() else source.parent
    files = [p for p in (folder.rglob("*") if source.is_dir() else [source]) if p.is_file()]
    files = [p for p in files if hidden or not _hidden(p.relative_to(folder))]
    if not files:
        raise ActionFailed(f"no files were found with the provided path: {path}")
    if name in machine.service.lost:
        return
    kept[name] = machine.service.folder / "artifacts" / str(machine.run_id) / name
    for file in files:
        copy(file, kept[name] / file.relative_to(folder))


def download(
    machine: Machine,
    *,
    path: str,
    name: str = "",
    pattern: str = "",
    merge_multiple: str = "false",
    run_id: str = "",
    github_token: str = "",
) -> None:
    """Put one artifact, or all that fit a pattern, into a folder.

    Several are unpacked at the same time, so a file that differs between two can come out as a mix
    of both (https://github.com/actions/download-artifact/issues/395): that is an error here.
    """
    if run_id:
        _need(machine, "actions: read")
        if machine.service.tokens.get(github_token) != machine.permissions:
            raise ActionFailed("another run's artifacts need the job's github-token")
    kept = machine.service.artifacts.get(int(run_id or machine.run_id), {})
    if name and name not in kept:
        raise ActionFailed(f"Unable to find any artifacts for the associated workflow: {name}")
    if not name and (not pattern or merge_multiple != "true"):
        raise ActionFailed("the stand-in wants a name, or a pattern with merge-multiple")
    wanted = [name] if name else [other for other in kept if fnmatch(other, pattern)]
    seen: dict[Path, bytes] = {}
    for artifact in wanted:
        for file in (p for p in kept[artifact].rglob("*") if p.is_file()):
            inside, content = file.relative_to(kept[artifact]), file.read_bytes()
            if seen.setdefault(inside, content) != content:
                raise ActionFailed(f"{inside} differs between the artifacts {', '.join(wanted)}")
            copy(file, machine.path(path) / inside)


def upload_pages(machine: Machine, *, path: str) -> None:
    """Keep a site as the artifact that GitHub Pages deploys."""
    upload(machine, name="github-pages", path=path, retention_days="1")


def configure_pages(machine: Machine) -> None:
    """Ask GitHub Pages about the site."""
    _need(machine, "pages: write")


def deploy_pages(machine: Machine) -> Outputs:
    """Show the artifact as the site."""
    _need(machine, "pages: write", "id-token: write")
    if machine.environment != "github-pages":
        raise ActionFailed("the job has no environment github-pages")
    artifact = machine.service.artifacts.get(machine.run_id, {}).get("github-pages")
    if artifact is None:
        raise ActionFailed("No artifacts named github-pages were found for this workflow run")
    machine.service.deploy(artifact)
    return {"page_url": machine.service.site.as_uri()}


def attest(machine: Machine, *, subject_path: str) -> None:
    """Write down the SHA-256 of each file, as the signed statement would."""
    _need(machine, "id-token: write", "attestations: write", "contents: read")
    files = sorted(p for p in machine.workspace.glob(subject_path) if p.is_file())
    if not files:
        raise ActionFailed(f"Could not find subject at path {subject_path}")
    for file in files:
        machine.service.say(f"attest {hashlib.sha256(file.read_bytes()).hexdigest()} {file.name}")


def pull_request(
    machine: Machine, *, add_paths: str, branch: str, title: str, commit_message: str, body: str
) -> None:
    """Say what pull request would be opened, if one of the files changed."""
    _need(machine, "contents: write", "pull-requests: write")
    changed = _git(machine, "status", "--porcelain", "--", *add_paths.split()).split()[1::2]
    if changed:
        machine.service.say(f"pull request {branch}: {title} ({', '.join(changed)})")


def lychee(machine: Machine, *, args: str, fail: str) -> None:
    """Say what links would be followed."""
    machine.service.say(f"lychee {args}")


ACTIONS: dict[str, Action] = {
    "actions/checkout": checkout,
    "actions/setup-python": setup_python,
    "actions/cache": cache,
    "actions/cache/restore": restore,
    "actions/cache/save": save,
    "actions/upload-artifact": upload,
    "actions/download-artifact": download,
    "actions/upload-pages-artifact": upload_pages,
    "actions/configure-pages": configure_pages,
    "actions/deploy-pages": deploy_pages,
    "actions/attest-build-provenance": attest,
    "peter-evans/create-pull-request": pull_request,
    "lycheeverse/lychee-action": lychee,
}


def _git(machine: Machine, *arguments: str) -> str:
    command = ["git", "-C", str(machine.workspace), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ActionFailed(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def _need(machine: Machine, *permissions: str) -> None:
    for permission in permissions:
        if not machine.may(*permission.split(": ")):
            raise ActionFailed(f"the job's permissions lack {permission}")


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
