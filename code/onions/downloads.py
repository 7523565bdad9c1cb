"""A page to take along: a notebook to work in, one with solutions, and a script.

None of them needs anything of ours: they use the packages that the page imports, and say which.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from onions.claims import KEY

FOLDER = "notebooks"
SOLUTIONS = f"{FOLDER}/solutions"
OLDEST = (3, 11)  # of Python; the packages' versions need it
CHECK = """\
# Is everything here? These are the versions that made the outputs on the page.
import os
import sys
from importlib import metadata, util

versions = {versions}
missing = []
for name, version in versions.items():
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        # Keras runs on any of these, and some are installed under another name.
        backend = os.environ.get("KERAS_BACKEND") or name
        if name not in ("tensorflow", "jax", "torch") or not util.find_spec(backend):
            missing.append(name + "==" + version)
    else:
        if found != version:
            print("Note:", name, found, "is installed. The page ran with", version)
if sys.version_info < {oldest}:
    raise RuntimeError("This needs Python {oldest[0]}.{oldest[1]} or newer.")
if missing:
    raise RuntimeError("Packages are missing. Run: pip install " + " ".join(missing))"""


class Part(NamedTuple):
    """A part of a page: Markdown text, or a code cell as it ran; and whether a solution holds it.

    A text may be empty; it counts only where `code` is None.
    """

    text: str
    code: NotebookNode | None = None
    solution: bool = False


def write_downloads(
    name: str, head: str, parts: list[Part], versions: dict[str, str], site: Path
) -> None:
    """Write a page's three files into the site: ``notebooks/<name>.ipynb``, which leaves the
    solutions to the reader and has no outputs, ``notebooks/solutions/<name>.ipynb``, which has
    both, and ``notebooks/<name>.py``.

    Each begins with `head`, Markdown with the title, and a check of Python and of the packages in
    `versions`, by the name that pip knows.
    """
    whole = [Part(head), Part("", nbformat.v4.new_code_cell(_check(versions))), *parts]
    for path, text in {
        f"{FOLDER}/{name}.ipynb": _notebook(_to_work_in(whole)),
        f"{SOLUTIONS}/{name}.ipynb": _notebook(whole),
        f"{FOLDER}/{name}.py": _script(whole),
    }.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text, "utf-8")


def _check(versions: dict[str, str]) -> str:
    lines = "".join(f'    "{name}": "{versions[name]}",\n' for name in sorted(versions))
    return CHECK.format(versions=f"{{\n{lines}}}", oldest=OLDEST)


def _to_work_in(parts: list[Part]) -> Iterator[Part]:
    """Yield the parts without outputs; of a solution, an empty cell for each that holds code."""
    for part in parts:
        if part.code:
            source = "" if part.solution else part.code.source
            yield part._replace(code=nbformat.v4.new_code_cell(source))
        elif not part.solution:
            yield part


def _notebook(parts: Iterator[Part] | list[Part]) -> str:
    notebook = nbformat.v4.new_notebook(
        cells=[_cell(part, f"cell-{number}") for number, part in enumerate(parts)],
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
    )
    return str(nbformat.writes(notebook)) + "\n"


def _cell(part: Part, cell_id: str) -> NotebookNode:
    """Return the part as a cell, whose id is the same in each build."""
    if not part.code:
        return nbformat.v4.new_markdown_cell(part.text, id=cell_id)
    outputs = [NotebookNode(output) for output in part.code.outputs]
    for output in outputs:
        if KEY in output.get("metadata", {}):  # what only the build reads
            output["metadata"] = {k: v for k, v in output.metadata.items() if k != KEY}
    count = part.code.execution_count
    return nbformat.v4.new_code_cell(
        part.code.source, id=cell_id, outputs=outputs, execution_count=count
    )


def _script(parts: list[Part]) -> str:
    """Return a script in the percent format, whose cells VS Code, Spyder and PyCharm know."""
    cells = []
    for part in parts:
        if part.code:
            cells.append(f"# %%\n{part.code.source}\n")
        else:
            lines = (f"# {line}".rstrip() for line in part.text.splitlines())
            cells.append("\n".join(("# %% [markdown]", *lines, "")))
    return "\n".join(cells)
