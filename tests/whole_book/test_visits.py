"""One visit to every page at every width, in a real browser, from a server like GitHub Pages.

A visit loads a page with an empty cache, scrolls through it, opens what is folded, and records
everything that the tests check: bytes, requests, messages, layout shifts, images, width, policy and
accessibility. benchmarks/lighthouse.py measures times.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from onions.book.project import Project
from onions.site.serve import SiteHandler, serve_folder
from PIL import Image
from playwright.sync_api import Browser, Page
from support.browsing import (
    CONTRAST_RULES,
    MAX_SHIFT,
    RECORD_SHIFTS,
    RECORD_VIOLATIONS,
    axe_violations,
    record_messages,
)
from support.projects import ROOT

KIB = 1024
WITH_FIGURES = 250 * KIB  # transfer of a first load: gzipped, with headers
WITHOUT_FIGURES = 120 * KIB
EXPLORERS = 160 * KIB  # a page's explorers, fetched when a reader scrolls near them
# Each request costs a round trip on a slow connection. Besides figures, a page needs 4: HTML, CSS,
# JavaScript and the logo. The search has two more scripts.
REQUESTS = 4
SEARCH_REQUESTS = REQUESTS + 2
EXPLORER_REQUESTS = 21  # explorers: their modules, the shared modules, and the exports
# Workers' modules end in another record; each and what it loads are 12 or 18 KiB.
WORKER = re.compile(r"/(worker|trainer)\.js")
WIDTHS = (390, 1280)
FIGURES, EXPLORER = re.compile("/_images/"), re.compile("/(_exports|explorers)/")
PAGES = [page.name for page in Project(ROOT).pages()] + ["search", "404"]
PLOTS = {  # figures outside explorers; all other pages have none
    "index": 1,
    "layer_types": 2,
    "image_data": 2,
    "convolution": 6,
    "pooling": 3,
    "training": 5,
    "diagnosis": 2,
    "dropout": 7,
    "inspection": 3,
    "improving": 5,
    "time_series": 3,
    "reference/data": 1,
    "reference/making": 2,
}

PAINTED = """const painted = () => new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done));
    setTimeout(done, 2000); // a machine under load may stop painting
  });"""
UNTIL_PAINTED = f"""async () => {{
  {PAINTED}
  await painted();
  await painted();
  return shifts;
}}"""
SCROLL_THROUGH = f"""async () => {{
  {PAINTED}
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {{
    scrollTo({{ top: y, behavior: "instant" }});
    await painted();
  }}
  await painted();
  return shifts;
}}"""
LOAD_THE_REST = """async () => {
  // Not those of explorers, some of which may be there already: space is reserved for closed ones.
  for (const part of document.querySelectorAll("details:not(.explorer-panel *)")) part.open = true;
  for (const image of document.images) image.loading = "eager";
  const still = () => document.querySelector(".explorable .explorer:not(.ready, [data-small])");
  for (let turn = 0; turn < 1200 && still(); turn++) {
    still().scrollIntoView({ behavior: "instant" });
    await new Promise((done) => setTimeout(done, 50));
  }
  if (still()) console.error(`${still().localName} does not load`);
  await Promise.allSettled([...document.images].map((image) => image.decode()));
}"""
LOOK = """() => {
  const images = [...document.images];
  const urls = (wrong) => images.filter(wrong).map((image) => image.src);
  const boxes = [...document.querySelectorAll("figure:not(.explorer *) img")]
    .map((image) => image.getBoundingClientRect());
  const reserve = (e) => parseFloat(getComputedStyle(e).getPropertyValue("--reserve")); // in rem
  return {
    without_shape: urls((i) => !(i.hasAttribute("width") && i.hasAttribute("height"))),
    broken: urls((i) => !i.complete || !i.naturalWidth),
    without_alt: urls((i) => !i.alt && i.closest("article")),
    too_wide: Math.max(document.documentElement.scrollWidth - innerWidth, 0),
    headings: document.querySelectorAll("h1").length,
    plots: boxes.length,
    small_plots: boxes.filter((b) => b.width <= 250 || b.height <= 120).map((b) => b.toJSON()),
    off_reserve: [...document.querySelectorAll(".explorer.ready")]
      .map((e) => [e.localName, e.offsetHeight / 16, reserve(e)])
      .filter(([name, height, reserved]) => !(Math.abs(height - reserved) <= 3)),
    figure_numbers: [...document.querySelectorAll("figcaption .caption-number")]
      .filter((number) => number.checkVisibility())
      .map((number) => number.textContent.trim())
      .filter((text, i) => text !== `Fig. ${i + 1}`),
    cut_off: [...document.querySelectorAll(".summary pre")]
      .filter((pre) => pre.scrollWidth > pre.clientWidth).length,
    small_icons: [...document.querySelectorAll(".mobile-header :is(button, label)")]
      .map((icon) => icon.getBoundingClientRect())
      .filter((box) => box.width && Math.min(box.width, box.height) < 24).length,
    violations,
  };
}"""

WRONG = """<!doctype html><html lang="en" style="overflow-anchor: none"><title>Wrong</title>
<meta http-equiv="Content-Security-Policy" content="frame-src 'none'">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="missing.css">
<style>@media (prefers-color-scheme: dark) { body { color: #333; background: #222; } }</style>
<h1>Wrong</h1><h1>Wrong again</h1>
<div id="growing"></div>
<p style="height: 3000px; width: 2000px">This text moves while a reader reads it.</p>
<details><img src="_images/noise.png"></details>
<article><img src="missing.png" alt="" width="9" height="9"></article>
<figure><img src="_images/noise.png" alt="Noise" width="60" height="60"></figure>
<onion-test class="explorer ready" style="display: block; height: 99px; --reserve: 1rem">
</onion-test>
<div class="mobile-header"><button style="width: 20px">Go</button></div>
<figcaption><span class="caption-number">Fig. 2</span></figcaption>
<div class="summary" style="width: 9px"><pre style="overflow: auto" tabindex="0">A row.</pre></div>
<script src="https://elsewhere.test/script.js"></script>
<iframe src="https://elsewhere.test" title="A frame"></iframe>
<script>
console.log("a message");
addEventListener("scroll", () => (growing.style.height = `${growing.offsetHeight + 100}px`));
for (let number = 0; number < 20; number++) new Image().src = `noise.png?${number}`;
missing();
</script>"""


@dataclass
class Visit:
    """The browser's records of one page at one width."""

    site: str = ""  # the site's URL, which ends in a slash
    sizes: dict[str, int] = field(default_factory=dict)  # bytes transferred, by URL
    messages: list[str] = field(default_factory=list)  # console messages and errors
    shifts: list[tuple[float, str]] = field(default_factory=list)  # score, and what moved
    seen: dict[str, Any] = field(default_factory=dict)  # what LOOK returns
    axe: list[str] = field(default_factory=list)  # violations of any rule, light
    contrast: list[str] = field(default_factory=list)  # violations of the rules on contrast, dark

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


def visit(browser: Browser, site: str, page: str, width: int) -> Visit:
    """Load a page with an empty cache, scroll through it, then load the folded parts."""
    context = browser.new_context(viewport={"width": width, "height": 800})
    context.add_init_script(RECORD_SHIFTS + RECORD_VIOLATIONS)
    tab = context.new_page()
    recorded = Visit(site, messages=record_messages(tab))
    waiting = record_sizes(tab, recorded)
    tab.goto(f"{site}{page}.html")
    recorded.shifts = tab.evaluate(SCROLL_THROUGH)
    tab.evaluate(LOAD_THE_REST)
    for _ in range(100):
        if not waiting:
            break
        tab.wait_for_timeout(20)
    recorded.messages += [f"still loading: {url}" for url in waiting.values()]
    recorded.seen = tab.evaluate(LOOK)
    recorded.axe = axe_violations(tab)
    tab.emulate_media(color_scheme="dark")
    recorded.contrast = axe_violations(tab, rules=CONTRAST_RULES)
    context.close()
    return recorded


def record_sizes(tab: Page, recorded: Visit) -> dict[str, str]:
    """Record the bytes of a tab's requests; return the URLs of those that wait for an answer."""
    waiting: dict[str, str] = {}
    network = tab.context.new_cdp_session(tab)
    network.send("Network.enable")

    def begin(event: dict[str, Any]) -> None:
        url = event["request"]["url"]
        if not url.startswith("data:") and not WORKER.search(url):
            waiting[event["requestId"]] = url

    def end(event: dict[str, Any]) -> None:
        if url := waiting.pop(event["requestId"], None):
            size = int(event.get("encodedDataLength", 0))
            recorded.sizes[url] = recorded.sizes.get(url, 0) + size
            if "errorText" in event:
                recorded.messages.append(f"{event['errorText']} {url}")

    network.on("Network.requestWillBeSent", begin)
    network.on("Network.loadingFinished", end)
    network.on("Network.loadingFailed", end)
    return waiting


def too_heavy(visited: Visit) -> str:
    parts = {"figures": visited.figures, "explorers": visited.explorers, "the rest": visited.rest}
    figures, explorers, rest = sizes = [sum(part.values()) for part in parts.values()]
    heavy = rest > WITHOUT_FIGURES or figures + rest > WITH_FIGURES or explorers > EXPLORERS
    sizes_of_parts = (
        f"{size / KIB:.0f} KiB of {part}" for part, size in zip(parts, sizes, strict=True)
    )
    return ", ".join(sizes_of_parts) if heavy else ""


def too_many_requests(visited: Visit) -> list[str]:
    limit = SEARCH_REQUESTS if any("/search.html" in url for url in visited.rest) else REQUESTS
    many = len(visited.rest) > limit or len(visited.explorers) > EXPLORER_REQUESTS
    return [*visited.rest, *visited.explorers] if many else []


def too_much_shift(visited: Visit) -> list[tuple[float, str]]:
    return visited.shifts if total(visited.shifts) > MAX_SHIFT else []


def total(shifts: list[tuple[float, str]]) -> float:
    return sum(shift for shift, _ in shifts)


def third_party_requests(visited: Visit) -> list[str]:
    return [url for url in visited.sizes if not url.startswith(visited.site)]


def seen(name: str) -> Callable[[Visit], object]:
    """Return a check of something that LOOK returns."""
    return lambda visited: visited.seen[name]


CHECKS: dict[str, Callable[[Visit], object]] = {
    "over the budget for bytes": too_heavy,
    "over the budget for requests": too_many_requests,
    "third-party requests": third_party_requests,
    "console messages": lambda visited: visited.messages,
    "layout shifts": too_much_shift,
    # Without width and height, an image shifts the page on a slow connection, but not locally.
    "images without width or height": seen("without_shape"),
    "broken images": seen("broken"),
    "images without alt text": seen("without_alt"),
    "pixels that are wider than the window": seen("too_wide"),
    "not one first-level heading": lambda visited: visited.seen["headings"] != 1,
    "plots too small to read": seen("small_plots"),
    "explorers whose height site.css does not reserve": seen("off_reserve"),
    "gaps in the numbers of figures": seen("figure_numbers"),
    "summaries that are cut off": seen("cut_off"),
    "icons too small to hit": seen("small_icons"),
    "violations of the policy": seen("violations"),
    "axe violations": lambda visited: visited.axe,
    "contrast violations in dark": lambda visited: visited.contrast,
}


def problems(visited: Visit) -> dict[str, object]:
    """Return the checks that find something, each with what it finds."""
    return {name: found for name, check in CHECKS.items() if (found := check(visited))}


@pytest.mark.site
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_problem(chromium: Browser, site_url: str, page: str, width: int) -> None:
    visited = visit(chromium, site_url, page, width)
    assert problems(visited) == {}
    assert sum(visited.rest.values()) > 20 * KIB, "no sizes"
    assert visited.seen["plots"] == PLOTS.get(page, 0)
    on_request = ":button:" in text_of(page)
    assert bool(visited.explorers) == ("{explorer}" in text_of(page) and not on_request)


def text_of(page: str) -> str:
    path = ROOT / "book" / f"{page}.md"
    return path.read_text("utf-8") if path.exists() else ""


@pytest.mark.site
def test_every_html_file_of_the_site_is_visited(book: Project) -> None:
    root = book.build / "html"
    files = [path.relative_to(root).as_posix() for path in root.rglob("*.html")]
    assert sorted(files) == sorted(f"{page}.html" for page in PAGES)


@pytest.mark.site
def test_every_problem_is_found(chromium: Browser, tmp_path: Path) -> None:
    """A page with every problem shows that each check can fail."""
    (tmp_path / "wrong.html").write_text(WRONG)
    (tmp_path / "_images").mkdir()
    for name in ("noise.png", "_images/noise.png"):
        Image.effect_noise((600, 600), 100).save(tmp_path / name)
    with serve_folder(tmp_path) as url:
        recorded = visit(chromium, url, "wrong", WIDTHS[0])
    assert problems(recorded).keys() == CHECKS.keys()
    assert too_heavy(Visit(sizes=recorded.figures)) and too_heavy(Visit(sizes=recorded.rest))
    assert too_heavy(Visit(sizes={"/_exports/page/weights.json": EXPLORERS + 1}))
    modules = [f"/explorers/{number}.js" for number in range(EXPLORER_REQUESTS + 1)]
    assert too_many_requests(Visit(sizes=dict.fromkeys(modules, 1)))
    assert not too_many_requests(Visit(sizes=dict.fromkeys(modules[1:], 1)))
    assert third_party_requests(recorded) == ["https://elsewhere.test/script.js"]
    assert CHECKS["not one first-level heading"](Visit(seen={"headings": 0}))
    for text in ("a message", "missing is not defined", "net::ERR_", "404 (Not Found)"):
        assert any(text in message for message in recorded.messages), text
    assert recorded.seen["without_shape"] == [f"{url}_images/noise.png"]
    assert recorded.seen["without_alt"] == recorded.seen["broken"] == [f"{url}missing.png"]
    assert recorded.seen["violations"] == ["frame-src https://elsewhere.test"]


class PausingHandler(SiteHandler):
    """Sends a page up to the first row of its first table, then waits for `go`."""

    go: Event

    def send_body(self, status: Any, body: bytes, suffix: str = ".html", **headers: str) -> None:
        if suffix != ".html":
            super().send_body(status, body, suffix, **headers)
            return
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        end_of_row = body.index(b"</tr>", body.index(b"<td"))
        self.wfile.write(body[:end_of_row])
        self.go.wait(30)
        self.wfile.write(body[end_of_row:])


@pytest.mark.site
def test_a_table_hardly_moves_while_its_rows_arrive(book: Project, chromium: Browser) -> None:
    root = book.build / "html"
    pages = [page for page in PAGES if "<td" in (root / f"{page}.html").read_text("utf-8")]
    assert len(pages) >= 8
    moved = {}
    for page in pages:
        PausingHandler.go = Event()
        with serve_folder(root, handler=PausingHandler) as url:
            tab = chromium.new_page(viewport={"width": WIDTHS[1], "height": 800})
            tab.add_init_script(RECORD_SHIFTS)
            tab.goto(f"{url}{page}.html", wait_until="commit")
            tab.locator("td").first.evaluate("cell => cell.closest('table').scrollIntoView()")
            before = len(tab.evaluate(UNTIL_PAINTED))
            PausingHandler.go.set()
            tab.wait_for_load_state()
            moved[page] = tab.evaluate(UNTIL_PAINTED)[before:]
            tab.close()
    assert {page: moves for page, moves in moved.items() if total(moves) > MAX_SHIFT} == {}
