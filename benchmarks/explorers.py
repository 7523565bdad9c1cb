"""Time a forward pass of the network on the page *inspection*, in a real browser.

That page's explorer runs the network whenever a reader moves a grey square over an image, so a pass
must fit into a frame of the screen, 16 ms. Requires an executed and rendered book, and Chromium.
README.md in this folder keeps the last numbers.

    .venv/bin/python benchmarks/explorers.py
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from measure import table
from onions.site.browser import launch_chromium
from onions.site.serve import serve_folder

ROOT = Path(__file__).parents[1]
WARM_UP = 10  # passes that do not count, since the browser still compiles the code
TIMES = """async ([modules, data, runs]) => {
  const { forward } = await import(modules + "prediction.js");
  const { load, normalised, part } = await import(modules + "shared.js");
  const { layers, images } = await load(data);
  return Array.from({ length: runs }, (_, run) => {
    const image = normalised(part(images, run % images.shape[0]));
    const start = performance.now();
    forward(layers, image);
    return performance.now() - start;
  });
}"""


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Example: .venv/bin/python benchmarks/explorers.py --runs 50",
    )
    site = ROOT / "_build" / "html"
    parser.add_argument("--site", type=Path, default=site, help="the built site (_build/html)")
    parser.add_argument("--runs", type=int, default=50, help="forward passes that count (50)")
    options = parser.parse_args()
    data = "_exports/inspection/prediction.json"
    if not (options.site / data).exists():
        sys.exit(f"{options.site / data} is missing. Run `make book`, or name a site with --site.")
    with launch_chromium() as browser, serve_folder(options.site) as address:
        tab = browser.new_page()
        tab.goto(f"{address}404.html")
        arguments = [f"{address}_static/explorers/", f"{address}{data}", options.runs + WARM_UP]
        times = tab.evaluate(TIMES, arguments)[WARM_UP:]
    heads = ["explorer", "median ms", "slowest ms", "passes"]
    row = ["prediction", f"{median(times):.1f}", f"{max(times):.1f}", str(options.runs)]
    print(table(heads, [row]))


if __name__ == "__main__":
    main()
