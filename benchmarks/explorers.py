"""Time the explorers in a real browser: frames while they follow a pointer, and forward passes.

An explorer follows a pointer smoothly if a frame takes no longer than one without a pointer, 1/60
of a second. A forward pass is timed with its messages to and from the worker, in WebAssembly and in
JavaScript. Requires an executed and rendered book, and Chromium. README.md in this folder keeps the
last numbers.

    .venv/bin/python benchmarks/explorers.py
"""

import argparse
import sys
from pathlib import Path
from statistics import median, quantiles

from measure import table
from onions.site.browser import launch_chromium
from onions.site.serve import serve_folder
from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
PAGES = {"forward": "training", "convolution": "convolution", "pooling": "pooling"}
WARM_UP = 10  # frames and passes that do not count, since the browser still compiles the code
# The seconds of each frame; in each, the pointer moves to another value, or it does not move.
FRAMES = """async ([name, count, moves]) => {
  const canvas = document.querySelector(`onion-${name} .explorer-large canvas`);
  canvas.scrollIntoView({ block: "center" });
  const box = canvas.getBoundingClientRect();
  const frame = () => new Promise(requestAnimationFrame);
  const times = [];
  let before = await frame();
  for (let i = 0; i < count; i++) {
    if (moves) {
      const share = (i * 0.381966) % 1;
      const clientX = box.left + share * box.width;
      const clientY = box.top + ((share * 7) % 1) * box.height;
      canvas.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true }));
    }
    const now = await frame();
    times.push((now - before) / 1000);
    before = now;
  }
  return times;
}"""
PASSES = """async ([modules, data, backend, count]) => {
  const { openNetwork } = await import(modules + "compute.js");
  const { load, normalised, part } = await import(modules + "shared.js");
  const { layers, images } = await load(data);
  const network = await openNetwork(layers, backend);
  const times = [];
  for (let i = 0; i < count; i++) {
    const image = normalised(part(images, i % images.shape[0]));
    const start = performance.now();
    await network.forward(image);
    times.push((performance.now() - start) / 1000);
  }
  return times;
}"""


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Example: .venv/bin/python benchmarks/explorers.py --count 50",
    )
    site = ROOT / "_build" / "html"
    parser.add_argument("--site", type=Path, default=site, help="the built site (_build/html)")
    parser.add_argument("--count", type=int, default=200, help="frames and passes that count (200)")
    options = parser.parse_args()
    if not (options.site / "training.html").exists():
        sys.exit(f"{options.site} has no pages. Run `make book`, or name a site with --site.")
    with launch_chromium() as browser, serve_folder(options.site) as address:
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        rows = [_frames(tab, address, name, page, options.count) for name, page in PAGES.items()]
        passes = _passes(tab, address, options.count)
    print(table(["explorer", "median frame", "95 % of frames within"], rows))
    print()
    print(table(["forward pass", "ms", "JavaScript / WebAssembly"], [passes]))


def _frames(tab: Page, address: str, name: str, page: str, count: int) -> list[str]:
    """Return a row: the times of frames with a pointer, as multiples of those without."""
    tab.goto(f"{address}{page}.html")
    tab.locator(f"onion-{name}").scroll_into_view_if_needed()
    tab.locator(f"onion-{name}.ready").wait_for()
    still, moving = (
        tab.evaluate(FRAMES, [name, count + WARM_UP, moves])[WARM_UP:] for moves in (False, True)
    )
    frame = median(still)
    share = quantiles(moving, n=20)[-1] / frame
    return [name, f"{median(moving) / frame:.2f}", f"{share:.2f}"]


def _passes(tab: Page, address: str, count: int) -> list[str]:
    """Return a row: the median time of a pass in WebAssembly, and the ratio of the backends."""
    modules, data = f"{address}_static/explorers/", f"{address}_exports/training/network.json"
    fast, slow = (
        median(tab.evaluate(PASSES, [modules, data, backend, count + WARM_UP])[WARM_UP:])
        for backend in ("wasm", "js")
    )
    return ["the lesson's network", f"{1000 * fast:.2f}", f"{slow / fast:.1f}"]


if __name__ == "__main__":
    main()
