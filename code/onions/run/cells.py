"""Run one page's cells in a separate kernel, isolated from the user's kernel settings."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from subprocess import Popen
from typing import IO, Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from onions.base.imports import PACKAGE
from onions.base.locks import folder_lock
from onions.book.page import KERNEL_NAME, Page
from onions.run.pool import KernelRegistry
from onions.store import recipe
from onions.store.build import Build

CELL_LIMIT = 1800  # seconds for one cell
# Run as a cell, since a failing cell stops the page. If an extension in IPython's configuration
# failed, IPython would only warn.
PROLOGUE = "%load_ext onions.kernel"
EPILOGUE = "import json, onions.kernel; print(json.dumps(onions.kernel.run_facts()))"

USE_FEWER_JOBS = "Run fewer pages at once: `onions execute --jobs 1`."

OnCell = Callable[[int], None]


class PageFailed(Exception):
    """A page can't be stored; the message gives the place, the cause and the remedy."""


def run_cells(
    page: Page,
    notebook: NotebookNode,
    build: Build,
    log: IO[bytes],
    on_cell: OnCell,
    environment: dict[str, str],
    kernels: KernelRegistry,
) -> dict[str, Any]:
    """Run all cells in one kernel, in an empty folder; return `onions.kernel.run_facts`.

    The kernel's process writes to `log`. `on_cell` is called with the index (from 0) of each cell
    before it runs. `environment` adds variables to those that every kernel gets. The kernel is
    registered in `kernels` while it runs. Raises PageFailed, which names the cell, if a cell fails.
    """
    # This folder also holds the kernel's sockets, whose paths may have at most 107 bytes.
    temporary = None if len(tempfile.gettempdir()) < 60 else "/tmp"  # noqa: S108
    with (
        _event_loop(),
        tempfile.TemporaryDirectory(
            prefix="onions-", dir=temporary, ignore_cleanup_errors=True
        ) as folder,
    ):
        client = NotebookClient(
            notebook,
            km=_kernel_manager(folder),
            timeout=CELL_LIMIT,
            extra_arguments=recipe.ARGUMENTS,
            # Kill the kernel: all outputs have arrived, and a clean exit of TensorFlow takes 2 s.
            shutdown_kernel="immediate",
        )
        workplace = Path(folder, "page")
        workplace.mkdir()
        variables = _environment(build, folder) | environment
        with _kernel(
            client, kernels, cwd=str(workplace), env=variables, stdout=log, stderr=log
        ) as process:
            _run_hidden(client, PROLOGUE)
            for index, cell in enumerate(notebook.cells):
                on_cell(index)
                try:
                    client.execute_cell(cell, index)
                except DeadKernelError as error:
                    raise PageFailed(_death(page, index, process, log.name)) from error
                except CellTimeoutError as error:
                    raise PageFailed(_too_long(page, index)) from error
                except CellExecutionError as error:
                    raise PageFailed(_crash(page, index, cell, error)) from error
            return dict(json.loads(_run_hidden(client, EPILOGUE)))


@contextmanager
def _event_loop() -> Iterator[None]:
    """Close the event loop that nbclient leaves open in each thread."""
    try:
        yield
    finally:
        ensure_event_loop().close()


@contextmanager
def _kernel(
    client: NotebookClient, kernels: KernelRegistry, **options: Any
) -> Iterator[Popen[bytes]]:
    """Start a kernel, yield its process when it is ready, and shut it down after the block.

    The kernel is registered in `kernels` while its process exists.
    """
    client.start_new_kernel(**options)
    manager: Any = client.km
    process: Popen[bytes] = manager.provisioner.process  # leads its own process group
    kernels.add(process.pid)
    try:
        with client.setup_kernel(cleanup_kc=True):
            yield process
    finally:
        kernels.remove(process.pid)


def _kernel_manager(folder: str) -> AsyncKernelManager:
    """Return a manager of this Python environment's kernel; ignore all other kernel specs."""
    config = Config()
    config.KernelManager.transport = "ipc"
    config.KernelManager.ip = f"{folder}/kernel"  # the sockets, outside the page's working folder
    specs = KernelSpecManager(kernel_dirs=[])
    return AsyncKernelManager(kernel_name=KERNEL_NAME, kernel_spec_manager=specs, config=config)


def _environment(build: Build, folder: str) -> dict[str, str]:
    """Return all variables of a kernel's environment, except those for GPUs.

    Settings and caches of libraries are in `folder`, which is empty.
    """
    return {
        **_paths(),
        **recipe.VARIABLES,
        "HOME": folder,
        "IPYTHONDIR": f"{folder}/ipython",
        "KERAS_HOME": f"{folder}/keras",
        "MPLCONFIGDIR": str(_matplotlib_folder()),
        "ONIONS_PROFILE": build.profile,
        "ONIONS_SEED_OFFSET": str(build.seed_offset),
        "ONIONS_IMAGES": str(build.images),
        "ONIONS_SOURCE": json.dumps(asdict(build.source)),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        "PYTHONPATH": str(PACKAGE.parent),
    }


def _paths() -> dict[str, str]:
    """Return the variables that a kernel inherits: paths, which change no output."""
    compiled = Path.home() / ".nv" / "ComputeCache"  # NVIDIA's cache of compiled code
    names = ("CUDA_CACHE_PATH", "LD_LIBRARY_PATH", "TMPDIR")
    inherited = {name: os.environ[name] for name in names if name in os.environ}
    return {"CUDA_CACHE_PATH": str(compiled), **inherited}


@cache
def _matplotlib_folder() -> Path:
    """Return matplotlib's folder for caches, with the cache of fonts.

    A missing cache makes matplotlib search the machine for fonts, and say so on the page.
    """
    folder = PACKAGE.parents[1] / "_build" / f"matplotlib-{version('matplotlib')}"
    with folder_lock(folder):
        if not any(folder.glob("fontlist-*.json")):
            variables = {**_paths(), "HOME": str(folder), "MPLCONFIGDIR": str(folder)}
            command = [sys.executable, "-c", "import matplotlib.font_manager"]
            subprocess.run(command, env=variables, check=True, capture_output=True)
    return folder


def _run_hidden(client: NotebookClient, source: str) -> str:
    """Run a line that is not on the page, and return its printed text.

    The line does not change the execution counts of the page's cells.
    """
    cell = nbformat.v4.new_code_cell(source)
    page_notebook = client.nb
    client.nb = nbformat.v4.new_notebook(cells=[cell])
    try:
        client.execute_cell(cell, 0, store_history=False)
    except CellExecutionError as error:
        raise PageFailed(f"onions.kernel failed: {error.ename}: {error.evalue}") from error
    finally:
        client.nb = page_notebook
    return "".join(output.get("text", "") for output in cell.outputs)


def _crash(page: Page, index: int, cell: NotebookNode, error: CellExecutionError) -> str:
    traceback = [line for output in cell.outputs for line in output.get("traceback", ())]
    line = _line_in_cell("\n".join(traceback), cell.execution_count)
    source = page.cells[index].source.splitlines()[line - 1].strip()
    lines = [_place(page, index, line), f"  {source}", f"{error.ename}: {error.evalue}"]
    if error.ename in ("MemoryError", "ResourceExhaustedError"):
        lines.append(USE_FEWER_JOBS)
    return "\n".join(lines)


def _death(page: Page, index: int, process: Popen[bytes], log: str) -> str:
    code = process.poll()
    if code == -signal.SIGKILL:
        how = f"was killed, probably because memory ran out.\n{USE_FEWER_JOBS}"
    elif code is not None and code < 0:
        how = f"died with {signal.Signals(-code).name}."
    else:
        how = "exited unexpectedly."
    return f"{_place(page, index)}: the kernel {how}\nRead its log: {log}"


def _too_long(page: Page, index: int) -> str:
    return (
        f"{_place(page, index)}: the cell ran for more than {CELL_LIMIT} s, the limit for a cell.\n"
        "Reduce its work, or split it."
    )


def _place(page: Page, index: int, line: int = 1) -> str:
    """Return the place of a cell's line (from 1): the cell, the file and the line in the file."""
    cell = page.cells[index]
    return f"cell {index + 1} of {len(page.cells)}, {page.path}:{cell.line + line - 1}"


def _line_in_cell(traceback: str, count: int | None) -> int:
    """Return the cell's line (from 1) that IPython's traceback names, or 1 if there is none."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", traceback)
    match = re.search(rf"Cell In\[{count}\], line (\d+)", plain)
    return int(match[1]) if match else 1
