"""The budgets of every page, measured in a real browser from a server like GitHub Pages.

The browser loads every page once at each width, with an empty cache, and scrolls through it. The
tests check its records. benchmarks/lighthouse.py measures times.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from onions.book.project import Project
from onions.site.serve import serve_folder
from PIL import Image
from playwright.sync_api import Browser
from support.browsing import MAX_SHIFT, RECORD_SHIFTS, record_messages

KIB = 1024
WITH_FIGURES = 250 * KIB  # transfer of a first load: gzipped, with headers
WITHOUT_FIGURES = 120 * KIB
EXPLORERS = 110 * KIB  # a page's explorers, fetched when a reader scrolls near them
# Each request costs a round trip on a slow connection. Besides figures, a page needs 4: HTML, CSS,
# JavaScript and the logo. The search has two more scripts.
REQUESTS = 4
SEARCH_REQUESTS = REQUESTS + 2
EXPLORER_REQUESTS = 7  # two explorers: their modules, the shared modules, and the exports
WIDTHS = (390, 1280)
FIGURES, EXPLORER = re.compile("/_images/"), re.compile("/(_exports|explorers)/")

SCROLL_THROUGH = """async () => {
  const painted = () => new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done));
    setTimeout(done, 2000); // a machine under load may stop painting
  });
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {
    scrollTo({ top: y, behavior: "instant" });
    await painted();
  }
  await painted();
  return shifts;
}"""
LOAD_THE_REST = """async () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
  for (const image of document.images) image.loading = "eager";
  const still = () => document.querySelector(".explorable .explorer:not(.ready)");
  for (let turn = 0; turn < 200 && still(); turn++) {
    still().scrollIntoView({ behavior: "instant" });
    await new Promise((done) => setTimeout(done, 50));
  }
  if (still()) console.error(`${still().localName} does not load`);
  await Promise.allSettled([...document.images].map((image) => image.decode()));
}"""
WITHOUT_SHAPE = """[...document.images]
  .filter((image) => !(image.hasAttribute("width") && image.hasAttribute("height")))
  .map((image) => image.src)"""

WRONG = """<!doctype html><html style="overflow-anchor: none"><title>Wrong</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="missing.css">
<div id="growing"></div>
<p style="height: 3000px">This text moves while a reader reads it.</p>
<details><img src="_images/noise.png"></details>
<script src="https://elsewhere.test/script.js"></script>
<script>
console.log("a message");
addEventListener("scroll", () => (growing.style.height = `${growing.offsetHeight + 100}px`));
for (let number = 0; number < 20; number++) new Image().src = `noise.png?${number}`;
missing();
</script>"""


@dataclass
class Visit:
    """The browser's records of one page at one width."""

    sizes: dict[str, int] = field(default_factory=dict)  # bytes transferred, by URL
    messages: list[str] = field(default_factory=list)  # console messages and errors
    shifts: list[tuple[float, str]] = field(default_factory=list)  # score, and what moved
    without_shape: list[str] = field(default_factory=list)  # images without width or height

    @property
    def figures(self) -> dict[str, int]:
        return {url: size for url, size in self.sizes.items() if FIGURES.search(url)}

    @property
    def explorers(self) -> dict[str, int]:
        return {url: size for url, size in self.sizes.items() if EXPLORER.search(url)}

    @property
    def rest(self) -> dict[str, int]:
        others = self.figures.keys() | self.explorers.keys()
        return {url: size for url, size in self.sizes.items() if url not in others}


Visits = dict[tuple[str, int], Visit]


def visit(browser: Browser, url: str, width: int) -> Visit:
    """Load a page with an empty cache, scroll through it, then load the folded parts."""
    waiting: dict[str, str] = {}
    context = browser.new_context(viewport={"width": width, "height": 800})
    context.add_init_script(RECORD_SHIFTS)
    tab = context.new_page()
    recorded = Visit(messages=record_messages(tab))
    network = context.new_cdp_session(tab)
    network.send("Network.enable")

    def begin(event: dict[str, Any]) -> None:
        if not event["request"]["url"].startswith("data:"):
            waiting[event["requestId"]] = event["request"]["url"]

    def end(event: dict[str, Any]) -> None:
        if url := waiting.pop(event["requestId"], None):
            recorded.sizes[url] = recorded.sizes.get(url, 0) + int(
                event.get("encodedDataLength", 0)
            )
            if "errorText" in event:
                recorded.messages.append(f"{event['errorText']} {url}")

    network.on("Network.requestWillBeSent", begin)
    network.on("Network.loadingFinished", end)
    network.on("Network.loadingFailed", end)
    tab.goto(url)
    recorded.shifts = tab.evaluate(SCROLL_THROUGH)
    tab.evaluate(LOAD_THE_REST)
    recorded.without_shape = tab.evaluate(WITHOUT_SHAPE)
    for _ in range(100):
        if not waiting:
            break
        tab.wait_for_timeout(20)
    recorded.messages += [f"still loading: {url}" for url in waiting.values()]
    context.close()
    return recorded


@pytest.fixture(scope="module")
def visits(book: Project, chromium: Browser, site_url: str) -> Visits:
    """One visit to every page of the site at every width, by page and width."""
    root = book.build / "html"
    pages = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.html"))]
    assert "search.html" in pages and len(pages) > len(book.pages())
    return {
        (page, width): visit(chromium, site_url + page, width)
        for page, width in product(pages, WIDTHS)
    }


def violations(visits: Visits, check: Callable[[Visit], object]) -> dict[tuple[str, int], object]:
    """Return the non-empty results of a check, by page and width."""
    return {page: result for page, visited in visits.items() if (result := check(visited))}


def too_heavy(visited: Visit) -> str:
    parts = {"figures": visited.figures, "explorers": visited.explorers, "the rest": visited.rest}
    figures, explorers, rest = sizes = [sum(part.values()) for part in parts.values()]
    heavy = rest > WITHOUT_FIGURES or figures + rest > WITH_FIGURES or explorers > EXPLORERS
    sizes_of_parts = (
        f"{size / KIB:.0f} KiB of {part}" for part, size in zip(parts, sizes, strict=True)
    )
    return ", ".join(sizes_of_parts) if heavy else ""


def too_many_requests(visited: Visit) -> object:
    many = len(visited.rest) > REQUESTS or len(visited.explorers) > EXPLORER_REQUESTS
    return many and [*visited.rest, *visited.explorers]


def too_much_shift(visited: Visit) -> list[tuple[float, str]]:
    return visited.shifts if sum(shift for shift, _ in visited.shifts) > MAX_SHIFT else []


def third_party_requests(visited: Visit, site_url: str) -> list[str]:
    return [url for url in visited.sizes if not url.startswith(site_url)]


@pytest.mark.site
def test_page_transfer_stays_within_budget(visits: Visits) -> None:
    assert all(sum(visited.rest.values()) > 20 * KIB for visited in visits.values()), "no sizes"
    assert violations(visits, too_heavy) == {}


@pytest.mark.site
def test_page_requests_stay_within_budget(visits: Visits) -> None:
    search = {page: visited for page, visited in visits.items() if page[0] == "search.html"}
    others = {page: visited for page, visited in visits.items() if page[0] != "search.html"}
    too_many = violations(search, lambda v: len(v.rest) > SEARCH_REQUESTS and v.rest)
    assert too_many == {}
    assert violations(others, too_many_requests) == {}
    assert {page for (page, _), visited in visits.items() if visited.explorers} >= {"pooling.html"}


@pytest.mark.site
def test_page_makes_no_third_party_requests(visits: Visits, site_url: str) -> None:
    assert violations(visits, lambda visited: third_party_requests(visited, site_url)) == {}


@pytest.mark.site
def test_page_logs_no_messages(visits: Visits) -> None:
    assert violations(visits, lambda visited: visited.messages) == {}


@pytest.mark.site
def test_page_has_no_layout_shift(visits: Visits) -> None:
    assert violations(visits, too_much_shift) == {}
    # Without width and height, an image shifts the page on a slow connection, but not locally.
    assert violations(visits, lambda visited: visited.without_shape) == {}


@pytest.mark.site
def test_every_violation_is_detected(chromium: Browser, tmp_path: Path) -> None:
    """A page that violates every budget shows that each test above can fail."""
    (tmp_path / "wrong.html").write_text(WRONG)
    (tmp_path / "_images").mkdir()
    for name in ("noise.png", "_images/noise.png"):
        Image.effect_noise((600, 600), 100).save(tmp_path / name)
    with serve_folder(tmp_path) as url:
        recorded = visit(chromium, f"{url}wrong.html", WIDTHS[0])
    assert too_heavy(Visit(sizes=recorded.figures)) and too_heavy(Visit(sizes=recorded.rest))
    assert too_heavy(Visit(sizes={"/_exports/page/weights.json": EXPLORERS + 1}))
    assert too_many_requests(recorded)
    assert too_many_requests(Visit(sizes={f"/explorers/{number}.js": 1 for number in range(8)}))
    assert third_party_requests(recorded, url) == ["https://elsewhere.test/script.js"]
    for text in ("a message", "missing is not defined", "net::ERR_", "404 (Not Found)"):
        assert any(text in message for message in recorded.messages), text
    assert too_much_shift(recorded) and recorded.without_shape == [f"{url}_images/noise.png"]
