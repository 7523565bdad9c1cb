"""`install.py`, with an index of one package on a local server."""

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from support.projects import ROOT

import install

WHEEL = "layer-2.0-py3-none-any.whl"
# Builds the editable install without setuptools, which the index does not have.
BACKEND = """
import shutil

def build_editable(folder, settings=None, metadata=None):
    shutil.copy("project-1.0-py3-none-any.whl", folder)
    return "project-1.0-py3-none-any.whl"
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "project"
version = "1.0"
requires-python = ">=3.11,<3.14"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose lock pins one package, `layer`, which is in `tmp_path/index`."""
    install.install_uv()  # now, since the tests' index has no uv
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(ROOT / "install.py", project)
    (project / "pyproject.toml").write_text(PYPROJECT)
    (project / "backend.py").write_text(BACKEND)
    write_wheel(project / "project-1.0-py3-none-any.whl")
    page = tmp_path / "index" / "simple" / "layer" / "index.html"
    page.parent.mkdir(parents=True)
    write_wheel(page.with_name(WHEEL))
    page.write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    digest = hashlib.sha256(page.with_name(WHEEL).read_bytes()).hexdigest()
    lock = (ROOT / "requirements.lock").read_text()
    [uv] = re.findall(r"^uv==.*\\\n(?:.*\\\n)*.*\n", lock, re.MULTILINE)
    (project / "requirements.lock").write_text(f"layer==2.0 \\\n    --hash=sha256:{digest}\n{uv}")
    (project / "one.lock").write_text(f"layer==2.0 \\\n    --hash=sha256:{digest}\n")
    return project


@pytest.fixture
def index(tmp_path: Path, project: Path) -> Iterator[str]:
    with serve_index(tmp_path) as url:
        yield url


@contextmanager
def serve_index(folder: Path) -> Iterator[str]:
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder / "index"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def write_wheel(path: Path) -> None:
    name, version, *_ = path.name.split("-")
    folder = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(
            f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{folder}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{folder}/RECORD", "")


def run_install(
    project: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    # Drop this machine's variables, except those that any program needs.
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME") if name in os.environ
    }
    added = {
        "UV_CACHE_DIR": str(project / "cache"),  # empty at first
        "UV_HTTP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,  # pip then reads no configuration file
    }
    return subprocess.run(
        [sys.executable, str(project / "install.py"), "one.lock", *arguments],
        env=kept | added | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_a_lock_is_installed_from_the_index_of_pip_s_settings_and_later_from_the_cache(
    project: Path, tmp_path: Path
) -> None:
    settings = tmp_path / "pip.conf"
    with serve_index(tmp_path) as url:
        settings.write_text(f"[global]\nindex-url = {url}\n")
        done = run_install(project, PIP_CONFIG_FILE=str(settings))
        assert done.returncode == 0, done.stderr
    python = project / ".venv" / "bin" / "python"
    subprocess.run([python, "-c", "import layer, project"], check=True)
    shutil.rmtree(project / ".venv")
    done = run_install(project, PIP_CONFIG_FILE=str(settings))  # the server has stopped
    assert done.returncode == 0, done.stderr
    subprocess.run([python, "-c", "import layer, project"], check=True)


@pytest.mark.slow
def test_a_wrong_hash_is_refused(project: Path, index: str) -> None:
    lock = project / "one.lock"
    lock.write_text(re.sub("sha256:.", "sha256:x", lock.read_text()).replace(":x", ":0"))
    done = run_install(project, PIP_INDEX_URL=index)
    assert done.returncode == 1
    assert "Hash mismatch for `layer==2.0`" in done.stderr
    assert done.stderr.endswith(
        "install.py: one.lock could not be installed, for the reason above. Run make again to "
        "resume.\n"
    )


@pytest.mark.slow
def test_a_constraint_of_pip_is_obeyed(project: Path, index: str, tmp_path: Path) -> None:
    constraints = tmp_path / "constraints.txt"
    for constraint, status in (("layer<2", 1), ("layer<3\nother<1", 0)):
        constraints.write_text(constraint)
        done = run_install(project, PIP_INDEX_URL=index, PIP_CONSTRAINT=str(constraints))
        assert done.returncode == status, done.stderr
        refused = f"one.lock conflicts with {constraints}, a constraints file of pip; see above"
        assert (refused in done.stderr) is bool(status)


@pytest.mark.slow
def test_an_index_that_does_not_answer_is_named(project: Path) -> None:
    done = run_install(project, PIP_INDEX_URL="http://127.0.0.1:1/simple")
    assert done.returncode == 1
    assert "http://127.0.0.1:1/simple/layer/" in done.stderr
    assert "install.py: one.lock could not be installed, for the reason above" in done.stderr


@pytest.mark.slow
def test_a_python_that_does_not_fit_is_refused(project: Path) -> None:
    settings = project / "pyproject.toml"
    settings.write_text(PYPROJECT.replace(">=3.11,<3.14", ">=3.98,<3.100"))
    done = run_install(project)
    assert done.returncode == 1
    assert "install.py: no Python 3.98 to 3.99 is installed, and uv could not" in done.stderr
    done = run_install(project, "--python", sys.executable)
    assert done.returncode == 1
    assert f"install.py: {sys.executable} is not a Python 3.98 to 3.99. Name" in done.stderr


@pytest.mark.slow
def test_a_python_without_venv_is_told_what_to_install(project: Path, tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError")
    done = run_install(project, PYTHONPATH=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.endswith("On Debian and Ubuntu: sudo apt install python3-venv\n")


@pytest.mark.parametrize(
    ("pip", "environment", "expected"),
    [
        ({}, {}, {"UV_SYSTEM_CERTS": "true", "UV_PYTHON_PREFERENCE": "system"}),
        ({"index-url": "https://a/simple"}, {}, {"UV_DEFAULT_INDEX": "https://a/simple"}),
        (
            {"extra-index-url": "https://a\nhttps://b"},
            {},
            {"UV_INDEX": "https://a https://b", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ({"find-links": "/a /b"}, {}, {"UV_FIND_LINKS": "/a,/b"}),
        ({"cert": "/a.pem"}, {"CURL_CA_BUNDLE": "/b.pem"}, {"SSL_CERT_FILE": "/a.pem"}),
        ({}, {"REQUESTS_CA_BUNDLE": "/b.pem"}, {"SSL_CERT_FILE": "/b.pem"}),
        ({"proxy": "http://a:1", "timeout": "9"}, {}, {"ALL_PROXY": "http://a:1"}),
        ({"default-timeout": "8", "timeout": "9"}, {}, {"UV_HTTP_TIMEOUT": "9"}),
        ({"trusted-host": "a b"}, {}, {"UV_INSECURE_HOST": "a b"}),
        ({"cert": "/a.pem"}, {"SSL_CERT_FILE": "/c.pem"}, {"SSL_CERT_FILE": "/c.pem"}),
        ({"index-url": "a"}, {"UV_DEFAULT_INDEX": "b"}, {"UV_DEFAULT_INDEX": "b"}),
        ({"index-url": "a"}, {"UV_INDEX_URL": "b"}, {"UV_DEFAULT_INDEX": None}),
        ({}, {"UV_MANAGED_PYTHON": "1"}, {"UV_PYTHON_PREFERENCE": None}),
    ],
)
def test_pip_s_settings_are_translated(
    pip: dict[str, str], environment: dict[str, str], expected: dict[str, str | None]
) -> None:
    translated = install.uv_environment(pip, environment)
    assert {name: translated.get(name) for name in expected} == expected
    assert translated.items() >= environment.items()


def test_the_settings_of_pip_install_override_those_of_all_commands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text("[global]\nindex-url = a\nproxy = b\ntimeout = 1\n[install]\nproxy = c\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    monkeypatch.setenv("PIP_TIMEOUT", "2")
    read = install.read_pip_settings(install.install_uv())
    assert (read["index-url"], read["proxy"], read["timeout"]) == ("a", "c", "2")


def test_the_script_runs_on_python_3_8() -> None:
    ast.parse((ROOT / "install.py").read_text("utf-8"), feature_version=(3, 8))
