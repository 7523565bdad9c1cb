"""Time the explorers in a real browser: frames while they follow a pointer, passes, and trainings.

An explorer follows a pointer smoothly if a frame takes no longer than one without a pointer, 1/60
of a second. A forward pass is timed with its messages to and from the worker, in WebAssembly and in
JavaScript. A training keeps the page responsive if no task of the page's thread takes longer than
50 ms. Requires an executed and rendered book, and Chromium. README.md in this folder keeps the
last numbers.

    .venv/bin/python benchmarks/explorers.py
"""

import argparse
import os
import sys
from pathlib import Path
from statistics import median, quantiles

from measure import memory, table
from onions.site.browser import launch_chromium
from onions.site.serve import serve_folder
from playwright.sync_api import Browser, Page, Route

ROOT = Path(__file__).parents[1]
PAGES = {"forward": "training", "convolution": "convolution", "pooling": "pooling"}
PAGE_PROCESS = "--type=renderer"  # of Chromium's processes
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

# The seconds of ten epochs of 5000 images, with 1000 validation images, from the times of images in
# a trial. The best of several trials counts, since other processes slow a trial down.
TRIALS = """async ([modules, backend, count]) => {
  const { NETWORKS, toKeras } = await import(modules + "keras.js");
  const { startWorker } = await import(modules + "compute.js");
  const ask = startWorker(new URL(modules + "trainer.js"));
  const seconds = {};
  for (const [name, layers] of Object.entries(NETWORKS)) {
    const request = { task: "trial", layers: toKeras(layers), shape: [32, 32, 3], backend };
    for (let i = 0; i < count; i++) {
      const { learn, evaluate } = await ask(request);
      seconds[name] = Math.min(seconds[name] ?? Infinity, 50000 * learn + 10000 * evaluate);
    }
  }
  return seconds;
}"""
# Collects the milliseconds of tasks longer than 50 ms.
LONG_TASKS = """() => {
  window.longTasks = [];
  const note = (list) => window.longTasks.push(...list.getEntries().map((task) => task.duration));
  new PerformanceObserver(note).observe({ type: "longtask" });
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
    parser.add_argument("--epochs", type=int, default=10, help="epochs of the training (10)")
    options = parser.parse_args()
    if not (options.site / "training.html").exists():
        sys.exit(f"{options.site} has no pages. Run `make book`, or name a site with --site.")
    with launch_chromium() as browser, serve_folder(options.site) as address:
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        rows = [_frames(tab, address, name, page, options.count) for name, page in PAGES.items()]
        passes = _passes(tab, address, options.count)
        trials = _trials(tab, address)
        tab.close()
        trainings = [_training(browser, address, options.epochs, workers) for workers in (1, 2)]
    print(table(["explorer", "median frame", "95 % of frames within"], rows))
    print()
    print(table(["forward pass", "ms", "JavaScript / WebAssembly"], [passes]))
    print()
    print(table(["ten epochs", "s, WebAssembly", "s, JavaScript", "ratio"], trials))
    print()
    print(table(["training", "s", "tasks above 50 ms", "longest, ms", "MiB more"], trainings))


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


def _trials(tab: Page, address: str) -> list[list[str]]:
    """Return a row for each of the lesson's networks."""
    tab.goto(f"{address}training.html")
    modules = f"{address}_static/explorers/"
    fast, slow = (
        tab.evaluate(TRIALS, [modules, *options]) for options in (("wasm", 10), ("js", 3))
    )
    return [
        [name, f"{fast[name]:.0f}", f"{slow[name]:.0f}", f"{slow[name] / fast[name]:.1f}"]
        for name in fast
    ]


def _training(browser: Browser, address: str, epochs: int, workers: int) -> list[str]:
    """Return a row: a training on all images as a reader sees it, which loads them first."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    cores = str(2 * workers)  # as many as the device seems to have

    def pretend(route: Route) -> None:
        response = route.fetch()
        script = response.text().replace("navigator.hardwareConcurrency", cores)
        route.fulfill(response=response, body=script)

    tab.route("**/trainer.js*", pretend)
    tab.goto(f"{address}training.html")
    tab.evaluate(LONG_TASKS)
    explorer = tab.locator("onion-train").first
    explorer.scroll_into_view_if_needed()
    explorer.locator(".train-estimate", has_text="takes about").wait_for()
    tab.evaluate("window.longTasks.length = 0")  # of loading the page
    before = largest = memory(os.getpid(), PAGE_PROCESS)
    explorer.get_by_label("Epochs").fill(str(epochs))
    explorer.get_by_role("button", name="Train").click()
    finished = explorer.get_by_text("Finished in")
    while not finished.count():
        tab.wait_for_timeout(200)
        largest = max(largest, memory(os.getpid(), PAGE_PROCESS))
    seconds = explorer.locator("table:has(caption) tbody td").last.inner_text()
    tasks = tab.evaluate("window.longTasks")
    tab.close()
    longest = f"{max(tasks):.0f}" if tasks else "under 50"
    more = f"{largest - before:.0f}"
    name = f"{epochs} epochs of 5000 + 5000 images, {workers} worker{'s' if workers > 1 else ''}"
    return [name, seconds, str(len(tasks)), longest, more]


if __name__ == "__main__":
    main()
