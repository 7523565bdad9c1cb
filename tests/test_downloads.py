"""The notebooks that each page can be downloaded as."""

import nbformat
from nbformat import NotebookNode
from onions.downloads import EXECUTED, FOLDER
from onions.pages import Page, Project
from playwright.sync_api import Browser


def notebook(book: Project, folder: str, name: str) -> NotebookNode:
    found = nbformat.read(book.build / "html" / folder / f"{name}.ipynb", as_version=4)
    nbformat.validate(found)
    return found


def test_each_page_that_runs_has_both(
    book: Project, entries: dict[str, tuple[Page, NotebookNode]]
) -> None:
    for name, (page, entry) in entries.items():
        shown = [n for n, cell in enumerate(page.cells) if "build-only" not in cell.tags]
        for folder in (FOLDER, EXECUTED):
            cells = [c for c in notebook(book, folder, name).cells if c.cell_type == "code"]
            assert [c.source for c in cells] == [page.cells[n].source for n in shown]
            outputs = [[o.output_type for o in cell.outputs] for cell in cells]
            kept = [[o.output_type for o in entry.cells[n].outputs] for n in shown]
            assert outputs == (kept if folder == EXECUTED else [[] for _ in shown]), name
        assert notebook(book, FOLDER, name).cells[0].source.startswith(f"# {page.title}")


def test_a_page_offers_its_notebooks(book: Project, chromium: Browser) -> None:
    page = chromium.new_page()
    for name in ("dropout", "reference/data"):
        page.goto((book.build / "html" / f"{name}.html").as_uri())
        links = page.locator(".downloads a")
        found = {a.get_attribute("href") for a in links.all()}
        up = "../" * name.count("/")
        assert found == {f"{up}{folder}/{name}.ipynb" for folder in (FOLDER, EXECUTED)}
    page.goto((book.build / "html" / "index.html").as_uri())
    assert page.locator(".downloads").count() == 0  # nothing runs there
    page.close()


def test_the_site_holds_the_runs_that_it_was_made_from(
    book: Project, entries: dict[str, tuple[Page, NotebookNode]]
) -> None:
    expected = {f"{entry.metadata['onions']['fingerprint']}.ipynb" for _, entry in entries.values()}
    found = {path.name: path for path in (book.build / "html" / "store").iterdir()}
    assert found.keys() == expected | {"build.json"}
    for name, path in found.items():
        assert path.read_bytes() == (book.store / name).read_bytes()
