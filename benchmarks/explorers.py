"""How long the trained network of the page *inspection* takes for one picture, in a real browser.

It runs at every move of the grey square, so it has to follow a pointer: 16 ms are one frame of a
screen. Needs an executed and rendered book, and Chromium; README.md in this folder keeps the last
numbers.

    .venv/bin/python benchmarks/explorers.py
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from measure import table
from onions.browser import chromium
from onions.serve import served

ROOT = Path(__file__).parents[1]
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
    """Measure and print a table row."""
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
    with chromium() as browser, served(options.site) as place:
        tab = browser.new_page()
        tab.goto(f"{place}404.html")
        given = [f"{place}_static/explorers/", f"{place}{data}", options.runs + 10]
        times = tab.evaluate(TIMES, given)[10:]  # the first ones are compiled on the way
    heads = ["explorer", "median ms", "slowest ms", "passes"]
    row = ["prediction", f"{median(times):.1f}", f"{max(times):.1f}", str(options.runs)]
    print(table(heads, [row]))


if __name__ == "__main__":
    main()
