"""What a page may cost its reader, measured in a real browser from a server like GitHub Pages.

Every page is loaded once at each width, with an empty cache, and scrolled through; the tests then
ask what the browser saw. Times are not held here: benchmarks/lighthouse.py measures them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from onions.pages import Project
from onions.serve import served
from PIL import Image
from playwright.sync_api import Browser

KIB = 1024
WITH_FIGURES = 250 * KIB  # what a first load transfers: gzipped, headers included
WITHOUT_FIGURES = 120 * KIB
EXPLORERS = 110 * KIB  # what those of a page fetch once a reader is near: after its first load
# Each costs a phone on a slow line a turn. A page has 4, and its figures: itself, its styles, its
# scripts, the mark. The search has two more scripts.
REQUESTS = 4
SEARCH_REQUESTS = REQUESTS + 2
EXPLORER_REQUESTS = 7  # of two explorers: their modules, what these share, and what they show
SHIFT = 0.02  # all shifts together; for one burst of them, 0.1 counts as good
WIDTHS = (390, 1280)
FIGURES, EXPLORER = re.compile("/_images/"), re.compile("/(_exports|explorers)/")

NOTE_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { hadRecentInput, value, sources } of list.getEntries()) {
    const moved = sources[0]?.node?.parentElement?.innerHTML.trim().slice(0, 100);
    if (!hadRecentInput) shifts.push([value, moved ?? "what is gone by now"]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""
SCROLL_THROUGH = """async () => {
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
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
  if (still()) console.error(`${still().localName} does not come`);
  await Promise.allSettled([...document.images].map((image) => image.decode()));
}"""
WITHOUT_SHAPE = """[...document.images]
  .filter((image) => !(image.hasAttribute("width") && image.hasAttribute("height")))
  .map((image) => image.src)"""

WRONG = """<!doctype html><html style="overflow-anchor: none"><title>Wrong</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="missing.css">
<div id="growing"></div>
<p style="height: 3000px">What stands below moves while one reads.</p>
<details><img src="_images/noise.png"></details>
<script src="https://elsewhere.test/script.js"></script>
<script>
console.log("a word");
addEventListener("scroll", () => (growing.style.height = `${growing.offsetHeight + 100}px`));
for (let number = 0; number < 20; number++) new Image().src = `noise.png?${number}`;
missing();
</script>"""


@dataclass
class Visit:
    """What the browser saw of one page at one width."""

    sizes: dict[str, int] = field(default_factory=dict)  # bytes transferred, by address
    said: list[str] = field(default_factory=list)  # on the console, by errors
    shifts: list[tuple[float, str]] = field(default_factory=list)  # how far, and what moved
    without_shape: list[str] = field(default_factory=list)  # images that say no width and height

    @property
    def figures(self) -> dict[str, int]:
        return {url: size for url, size in self.sizes.items() if FIGURES.search(url)}

    @property
    def explorers(self) -> dict[str, int]:
        return {url: size for url, size in self.sizes.items() if EXPLORER.search(url)}

    @property
    def rest(self) -> dict[str, int]:
        besides = self.figures.keys() | self.explorers.keys()
        return {url: size for url, size in self.sizes.items() if url not in besides}


Visits = dict[tuple[str, int], Visit]


def visit(browser: Browser, url: str, width: int) -> Visit:
    """Load a page with an empty cache, scroll through it, then load what is folded."""
    seen, waiting = Visit(), dict[str, str]()
    context = browser.new_context(viewport={"width": width, "height": 800})
    context.add_init_script(NOTE_SHIFTS)
    tab = context.new_page()
    tab.on("console", lambda message: seen.said.append(f"{message.text} {message.location['url']}"))
    tab.on("pageerror", lambda error: seen.said.append(str(error)))
    network = context.new_cdp_session(tab)
    network.send("Network.enable")

    def begin(event: dict[str, Any]) -> None:
        if not event["request"]["url"].startswith("data:"):
            waiting[event["requestId"]] = event["request"]["url"]

    def end(event: dict[str, Any]) -> None:
        if url := waiting.pop(event["requestId"], None):
            seen.sizes[url] = seen.sizes.get(url, 0) + int(event.get("encodedDataLength", 0))
            if "errorText" in event:
                seen.said.append(f"{event['errorText']} {url}")

    network.on("Network.requestWillBeSent", begin)
    network.on("Network.loadingFinished", end)
    network.on("Network.loadingFailed", end)
    tab.goto(url)
    seen.shifts = tab.evaluate(SCROLL_THROUGH)
    tab.evaluate(LOAD_THE_REST)
    seen.without_shape = tab.evaluate(WITHOUT_SHAPE)
    for _ in range(100):
        if not waiting:
            break
        tab.wait_for_timeout(20)
    seen.said += [f"still loading: {url}" for url in waiting.values()]
    context.close()
    return seen


@pytest.fixture(scope="module")
def visits(book: Project, chromium: Browser, online: str) -> Visits:
    """One visit to every page at every width: those of the book, and what is made besides."""
    root = book.build / "html"
    pages = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.html"))]
    assert "search.html" in pages and len(pages) > len(book.pages())
    return {
        (page, width): visit(chromium, online + page, width)
        for page, width in product(pages, WIDTHS)
    }


def found(visits: Visits, look: Callable[[Visit], object]) -> dict[tuple[str, int], object]:
    """What a look at each visit finds, by page and width."""
    return {page: it for page, seen in visits.items() if (it := look(seen))}


def too_heavy(seen: Visit) -> str:
    parts = {"figures": seen.figures, "explorers": seen.explorers, "the rest": seen.rest}
    figures, explorers, rest = sizes = [sum(part.values()) for part in parts.values()]
    heavy = rest > WITHOUT_FIGURES or figures + rest > WITH_FIGURES or explorers > EXPLORERS
    said = (f"{size / KIB:.0f} KiB of {part}" for part, size in zip(parts, sizes, strict=True))
    return ", ".join(said) if heavy else ""


def asks_for_too_much(seen: Visit) -> object:
    much = len(seen.rest) > REQUESTS or len(seen.explorers) > EXPLORER_REQUESTS
    return much and [*seen.rest, *seen.explorers]


def moved(seen: Visit) -> list[tuple[float, str]]:
    return seen.shifts if sum(shift for shift, _ in seen.shifts) > SHIFT else []


def elsewhere(seen: Visit, address: str) -> list[str]:
    return [url for url in seen.sizes if not url.startswith(address)]


@pytest.mark.site
def test_a_page_is_light(visits: Visits) -> None:
    assert all(sum(seen.rest.values()) > 20 * KIB for seen in visits.values()), "not counted"
    assert found(visits, too_heavy) == {}


@pytest.mark.site
def test_a_page_asks_for_little(visits: Visits) -> None:
    search = {page: seen for page, seen in visits.items() if page[0] == "search.html"}
    others = {page: seen for page, seen in visits.items() if page[0] != "search.html"}
    assert found(search, lambda seen: len(seen.rest) > SEARCH_REQUESTS and seen.rest) == {}
    assert found(others, asks_for_too_much) == {}
    assert {page for (page, _), seen in visits.items() if seen.explorers} >= {"pooling.html"}


@pytest.mark.site
def test_a_page_asks_nobody_else(visits: Visits, online: str) -> None:
    assert found(visits, lambda seen: elsewhere(seen, online)) == {}


@pytest.mark.site
def test_a_page_opens_without_a_word(visits: Visits) -> None:
    assert found(visits, lambda seen: seen.said) == {}


@pytest.mark.site
def test_nothing_moves_on_a_page(visits: Visits) -> None:
    assert found(visits, moved) == {}
    # A figure that arrives on a slow line, where this machine sees no shift.
    assert found(visits, lambda seen: seen.without_shape) == {}


@pytest.mark.site
def test_whatever_a_page_does_wrong_is_seen(chromium: Browser, tmp_path: Path) -> None:
    """Each test above can fail: this page does everything that they forbid."""
    (tmp_path / "wrong.html").write_text(WRONG)
    (tmp_path / "_images").mkdir()
    for name in ("noise.png", "_images/noise.png"):
        Image.effect_noise((600, 600), 100).save(tmp_path / name)
    with served(tmp_path) as address:
        seen = visit(chromium, f"{address}wrong.html", WIDTHS[0])
    assert too_heavy(Visit(sizes=seen.figures)) and too_heavy(Visit(sizes=seen.rest))
    assert too_heavy(Visit(sizes={"/_exports/page/weights.json": EXPLORERS + 1}))
    assert asks_for_too_much(seen)
    assert asks_for_too_much(Visit(sizes={f"/explorers/{number}.js": 1 for number in range(8)}))
    assert elsewhere(seen, address) == ["https://elsewhere.test/script.js"]
    for word in ("a word", "missing is not defined", "net::ERR_", "404 (Not Found)"):
        assert any(word in said for said in seen.said), word
    assert moved(seen) and seen.without_shape == [f"{address}_images/noise.png"]
