"""The pinned packages in ``requirements.lock``, and a check of the installed versions."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


class LockError(Exception):
    """The lock file is unreadable, or lacks a package that a page needs."""


class EnvironmentMismatch(Exception):
    """The installed packages differ from the lock file."""


@dataclass
class Pin:
    """A package in a lock file: its version, and the names of the packages that it needs."""

    version: str
    requires: set[str] = field(default_factory=set)


def read_lock(lock: Path, python: str) -> dict[str, Pin]:
    """Return the packages that a lock file pins for a Python version, as in 3.12.4.

    Callers must not change the result. Raises LockError if the lock file can't be read.
    """
    try:
        text = lock.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{lock}: can't be read ({error}). Run `make lock`.") from error
    try:
        return _parse_lock(text, python)
    except ValueError as error:  # or InvalidRequirement, a kind of ValueError
        reason = str(error).splitlines()[0]
        raise LockError(f"{lock}: {reason}. Run `make lock`.") from error


def locked_versions(lock: Path, python: str) -> dict[str, str]:
    """Return the version of each package of `read_lock`, which raises the same errors."""
    return {name: pin.version for name, pin in read_lock(lock, python).items()}


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each package, or "missing"."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "missing"
    return versions


def check_environment(lock: Path, python: str) -> None:
    """Raise EnvironmentMismatch, which lists all differences, if installed versions differ.

    Raises LockError if the lock file can't be read.
    """
    pinned = locked_versions(lock, python)
    installed = installed_versions(pinned)
    different = [
        f"{name} {installed[name]}, not {pinned[name]}"
        for name in pinned
        if installed[name] != pinned[name]
    ]
    if different:
        raise EnvironmentMismatch(
            f"The environment differs from {lock.name}: {'; '.join(different)}. Run `make install`."
        )


@cache
def _parse_lock(text: str, python: str) -> dict[str, Pin]:
    """Parse a lock file. Raises ValueError if it is malformed or does not say who needs what."""
    environment = {
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
    }
    pins: dict[str, Pin] = {}
    needed_by: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=[^\s#-])", f"\n{text}")[1:]:
        line, *others = block.splitlines()
        requirement = Requirement(line.rstrip(" \\"))
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = str(canonicalize_name(requirement.name))
            pins[name] = Pin(str(requirement.specifier).removeprefix("=="))
            needed_by[name] = _requirers(others)
            if not needed_by[name]:
                raise ValueError(f"it does not say which packages need {name}")
    for name, requirers in needed_by.items():
        for requirer in requirers:
            if requirer in pins:
                pins[requirer].requires.add(name)
    return pins


def _requirers(lines: list[str]) -> list[str]:
    """Return the packages and files that need a package, from the comments that uv adds to it."""
    comments = [line.strip("# ") for line in lines if line.startswith("    #")]
    names = [comment.removeprefix("via").strip() for comment in comments]
    return [
        name if name.startswith("-") else canonicalize_name(name.partition("[")[0])
        for name in names
        if name
    ]
