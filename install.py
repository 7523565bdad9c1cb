"""Install a lock into `.venv`. `make install` runs this script.

The script runs before anything is installed, on Python 3.8 or later, with the standard library
alone. It installs a pinned uv; uv finds or downloads a Python and installs the lock. uv ignores
pip's settings, so the script translates them into uv's environment variables:
https://docs.astral.sh/uv/reference/environment/
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

# Settings of pip, and the variables of uv with the same meaning.
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "trusted-host": "UV_INSECURE_HOST",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
    "keyring-provider": "UV_KEYRING_PROVIDER",
}
# Former names of variables. uv still reads them, but prefers the new names.
FORMER_NAMES = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
PREFERENCES = ("UV_PYTHON_PREFERENCE", "UV_MANAGED_PYTHON", "UV_NO_MANAGED_PYTHON")


def main() -> None:
    """Install the lock. Exits with 1 and a message if that fails."""
    parser = argparse.ArgumentParser(
        description="Install a lock into .venv.",
        epilog="Example: python3 install.py requirements-site.lock --python python3.12",
    )
    parser.add_argument("lock", type=Path, help="for example requirements.lock")
    parser.add_argument("--python", help="the Python for .venv (default: keep its own or find one)")
    options = parser.parse_args()
    if os.name == "nt":
        sys.exit("Windows is not supported. Use Linux in WSL: https://aka.ms/wsl")
    os.chdir(ROOT)
    print(f"Installing {options.lock} into {VENV}. With TensorFlow, this takes 3 GB and minutes.")
    sys.stdout.flush()
    folder = install_uv()
    uv = folder / "bin" / "uv"
    pip_settings = read_pip_settings(folder)
    environment = uv_environment(pip_settings, os.environ)
    make_venv(uv, options.python, environment)
    install_lock(uv, options.lock, pip_settings, environment)


def install_uv() -> Path:
    """Return a virtual environment that has the uv of `requirements.lock`, verified by its hash.

    It is in the user's cache, so that a second clone can be installed without a network.
    """
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pin = re.search(r"^uv==(\S+)(?:.*\\\n)+.*", lock, re.MULTILINE)
    if not pin:
        stop("requirements.lock does not pin uv. Run git restore requirements.lock")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onions"
    folder = cache / f"uv-{pin[1]}"
    if works(folder / "bin" / "python", "-m", "pip", "--version"):
        return folder
    if not works(sys.executable, "-c", "import ensurepip, venv"):
        stop("this Python has no venv. On Debian and Ubuntu: sudo apt install python3-venv")
    shutil.rmtree(folder, ignore_errors=True)  # broken, for example because its Python was removed
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        complete, requirement = Path(temporary, "complete"), Path(temporary, "uv.txt")
        requirement.write_text(pin[0], "utf-8")
        pip = [complete / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
        if not (
            run([sys.executable, "-m", "venv", complete])
            and run([*pip, "install", "--require-hashes", "-r", requirement])
        ):
            stop(f"uv {pin[1]} could not be installed, for the reason above. Run make again.")
        with suppress(OSError):  # another clone may have installed it meanwhile
            complete.rename(folder)
    return folder


def read_pip_settings(folder: Path) -> dict[str, str]:
    """Return the settings of `pip install`, by name, from its files and environment variables.

    https://pip.pypa.io/en/stable/topics/configuration/
    """
    command = [str(folder / "bin" / "python"), "-m", "pip", "config", "list"]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    lines = [line.partition("=") for line in output.splitlines()]
    settings = {}
    for section in ("global.", "install.", ":env:."):  # a later section overrides
        for key, _, value in lines:
            if key.startswith(section):
                settings[key[len(section) :]] = str(ast.literal_eval(value))
    return settings


def uv_environment(
    pip_settings: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """Return `environment` with pip's settings as variables of uv. `environment` overrides them."""
    added = {
        variable: " ".join(pip_settings[name].split())
        for name, variable in PIP_TO_UV.items()
        if pip_settings.get(name) and FORMER_NAMES.get(variable, "") not in environment
    }
    if "UV_FIND_LINKS" in added:  # uv separates only this list by commas
        added["UV_FIND_LINKS"] = added["UV_FIND_LINKS"].replace(" ", ",")
    if "UV_INDEX" in added:  # like pip, search all indexes; the hashes reject a wrong package
        added["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # pip reads these
        if environment.get(variable):
            added.setdefault("SSL_CERT_FILE", environment[variable])
    added["UV_SYSTEM_CERTS"] = "true"  # as pip does by default
    added["UV_COMPILE_BYTECODE"] = "true"  # likewise; each process of the build starts sooner
    if not any(name in environment for name in PREFERENCES):
        added["UV_PYTHON_PREFERENCE"] = "system"  # download a Python only if none fits
    return {**added, **environment}


def make_venv(uv: Path, python: str | None, environment: Mapping[str, str]) -> None:
    """Make `.venv` with `python`, the name or path of a Python.

    If it is None, keep a `.venv` whose Python fits, or use the first Python that fits.
    """
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    [least, limit] = re.findall(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"', project, re.M)[0]
    versions = f"3.{least} to 3.{int(limit) - 1}"
    fits = f"import sys; sys.exit(not (3, {least}) <= sys.version_info < (3, {limit}))"
    if python and not works(python, "-c", fits):
        stop(f"{python} is not a Python {versions}. Name another: make PYTHON=python3.12 install")
    if not python and works(PYTHON, "-c", fits):
        return
    request = python or f">=3.{least},<3.{limit}"
    if not run([uv, "venv", "--quiet", "--clear", "--python", request, VENV], environment):
        stop(
            f"no Python {versions} is installed, and uv could not download one, for the reason "
            "above. Install one, for example python3.12, or name it: "
            "make PYTHON=/path/to/python3.12 install"
        )


def install_lock(
    uv: Path, lock: Path, pip_settings: Mapping[str, str], environment: Mapping[str, str]
) -> None:
    """Install the lock and this project; without a network if uv's cache has all packages."""
    options: list[Any] = ["--python", PYTHON]
    if pip_settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        options.append("--no-index")
    for constraints in pip_settings.get("constraint", "").split():
        # uv refuses version ranges beside hashes, so check the constraints separately.
        check = [uv, "pip", "compile", *options, "--quiet", "--no-deps", "-c", constraints]
        if not run_cached([*check, "--output-file", os.devnull, lock], environment):
            stop(f"{lock} conflicts with {constraints}, a constraints file of pip; see above.")
    install = [uv, "pip", "install", *options]
    if not run_cached([*install, "--require-hashes", "-r", lock], environment):
        stop(f"{lock} could not be installed, for the reason above. Run make again to resume.")
    project = ["--offline", "--quiet", "--no-deps", "--no-build-isolation", "--editable", "."]
    if not run([*install, *project], environment):
        stop("this project could not be installed, for the reason above.")


def run_cached(command: list[Any], environment: Mapping[str, str]) -> bool:
    """Run a command of uv on uv's cache, or with the network if that fails."""
    return run([*command, "--offline"], environment, quiet=True) or run(command, environment)


def stop(problem: str) -> NoReturn:
    """Exit with 1 and a message."""
    sys.exit(f"install.py: {problem}")


def works(*command: str | Path) -> bool:
    """Run a command silently, and return whether it succeeded."""
    return run([*command], quiet=True)


def run(
    command: list[Any], environment: Mapping[str, str] | None = None, quiet: bool = False
) -> bool:
    """Run a command and return whether it succeeded."""
    output = subprocess.DEVNULL if quiet else None
    arguments = [str(argument) for argument in command]
    try:
        return subprocess.call(arguments, env=environment, stdout=output, stderr=output) == 0
    except OSError:  # no such program
        return False


if __name__ == "__main__":
    main()
