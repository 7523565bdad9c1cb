"""The pinned packages in ``requirements.lock``, and a check of the installed versions."""

from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


class LockError(Exception):
    """The lock file is unreadable, or lacks a package that a page needs."""


class EnvironmentMismatch(Exception):
    """The installed packages differ from the lock file."""


def locked_versions(lock: Path, python: str) -> dict[str, str]:
    """Return the version of each package that a lock file pins for a Python version, as in 3.12.4.

    Raises LockError if the lock file can't be read.
    """
    try:
        text = lock.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{lock}: can't be read ({error}). Run `make lock`.") from error
    try:
        return _parse_lock(text, python)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise LockError(f"{lock}: {reason}. Run `make lock`.") from error


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
def _parse_lock(text: str, python: str) -> dict[str, str]:
    environment = {
        "python_version": ".".join(python.split(".")[:2]),
        "python_full_version": python,
    }
    versions: dict[str, str] = {}
    for line in text.splitlines():
        if not line or line.startswith((" ", "#", "-")):
            continue  # a hash, a comment or an option
        pin = Requirement(line.rstrip(" \\"))
        if pin.marker is None or pin.marker.evaluate(environment):
            versions[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    return versions
