"""Each page as two notebooks for a reader: as it was executed, and without outputs."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from onions.claims import KEY
from onions.pages import Page
from onions.prose import BUILD_ONLY

FOLDER = "notebooks"
EXECUTED = f"{FOLDER}/executed"


def write_downloads(page: Page, entry: NotebookNode, site: Path) -> None:
    """Write ``notebooks/<page>.ipynb`` and ``notebooks/executed/<page>.ipynb`` into the site.

    `entry` is the executed notebook. Cells that only the build needs are left out.
    """
    executed = _notebook(page, entry)
    for folder, notebook in ((EXECUTED, executed), (FOLDER, _without_outputs(executed))):
        path = site / folder / f"{page.name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(nbformat.writes(notebook) + "\n", "utf-8")


def _notebook(page: Page, entry: NotebookNode) -> NotebookNode:
    return nbformat.v4.new_notebook(
        cells=list(_cells(page, entry)),
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
    )


def _cells(page: Page, entry: NotebookNode) -> Iterator[NotebookNode]:
    executed = iter(entry.cells)
    for index, cell in enumerate(page.notebook.cells):
        cell_id = f"cell-{index}"  # the same in each build
        if cell.cell_type != "code":
            yield nbformat.v4.new_markdown_cell(cell.source, id=cell_id)
            continue
        done = next(executed)
        if BUILD_ONLY not in cell.metadata.get("tags", ()):
            outputs = deepcopy(done.outputs)
            for output in outputs:
                output.get("metadata", {}).pop(KEY, None)
            count = done.execution_count
            yield nbformat.v4.new_code_cell(
                cell.source, id=cell_id, outputs=outputs, execution_count=count
            )


def _without_outputs(notebook: NotebookNode) -> NotebookNode:
    clean = deepcopy(notebook)
    for cell in clean.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return clean
