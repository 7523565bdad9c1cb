"""Lighthouse and axe on every page: our site, beside stock Jupyter Book's site of the same pages.

Both are served as GitHub Pages would. Lighthouse emulates a phone on slow 4G, as it does unless
told otherwise; medians of several runs count. axe looks at each page in light and dark, narrow and
wide, with everything open that folds. Lighthouse needs Node.js; npx fetches it on the first run.
Prints a table, in each cell ours and stock's; README.md in this folder keeps the last one.

    .venv/bin/python benchmarks/lighthouse.py --pages index dropout --runs 1
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import stock
from axe_playwright_python.sync_playwright import Axe
from measure import table
from onions import browser
from onions.pages import Project
from onions.serve import served
from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
LIGHTHOUSE = "lighthouse@12.8.2"
FLAGS = "--headless=new --no-sandbox --disable-gpu"  # the site is ours, as in onions.browser
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
COLUMNS = {  # what is measured of a page, and how many digits of it say something
    "KiB": 0,
    "requests": 0,
    **dict.fromkeys(CATEGORIES, 2),
    "LCP s": 1,
    "CLS": 3,
    "axe violations": 0,
}
Measures = dict[str, float]


def main() -> None:
    """Measure both sites and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Example: .venv/bin/python benchmarks/lighthouse.py --pages index dropout --runs 1",
    )
    site, runs = ROOT / "_build" / "html", 3
    parser.add_argument("--site", type=Path, default=site, help="our site (_build/html)")
    parser.add_argument("--pages", nargs="+", metavar="NAME", help="pages as in _toc.yml (all)")
    parser.add_argument("--runs", type=int, default=runs, help=f"Lighthouse runs of each ({runs})")
    options = parser.parse_args()
    if not shutil.which("npx"):
        sys.exit("npx is not found, which runs Lighthouse. Install Node.js 18.16 or newer.")
    if not (options.site / "index.html").exists():
        sys.exit(f"{options.site}: there is no site. Run `make book`, or name one with --site.")
    pages = options.pages or [*(page.name for page in Project(ROOT).pages()), "search"]
    with tempfile.TemporaryDirectory() as folder:
        ours = measure(options.site, pages, options.runs)
        others = measure(stock.build(Path(folder) / "stock"), pages, options.runs)
    rows = [[page, *_cells(ours[page], others[page])] for page in pages]
    print(table(["page", *COLUMNS], rows))


def _cells(ours: Measures, others: Measures) -> Iterator[str]:
    for name, digits in COLUMNS.items():
        yield f"{ours[name]:.{digits}f}, {others[name]:.{digits}f}"


def measure(site: Path, pages: list[str], runs: int) -> dict[str, Measures]:
    """Return what Lighthouse and axe say of the pages of a site."""
    found = {}
    with served(site) as address:
        for number, page in enumerate(pages, 1):
            print(f"{site}: {page}, {number} of {len(pages)}", file=sys.stderr, flush=True)
            took = [_lighthouse(f"{address}{page}.html") for _ in range(runs)]
            found[page] = {name: median(run[name] for run in took) for name in took[0]}
        # Once Lighthouse is done: a second browser beside it would cost it time.
        with browser.chromium() as chromium:
            for page in pages:
                found[page]["axe violations"] = _axe(chromium, f"{address}{page}.html")
    return found


def _lighthouse(url: str) -> Measures:
    command = ["npx", "--yes", LIGHTHOUSE, url, "--quiet", "--output=json"]
    options = [f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={FLAGS}"]
    environment = {**os.environ, "CHROME_PATH": browser.find()}
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{LIGHTHOUSE} failed on {url}; it needs Node.js 18.16 or newer:\n{done.stderr}")
    report = json.loads(done.stdout)
    audits = report["audits"]
    asked = [request["url"] for request in audits["network-requests"]["details"]["items"]]
    asked = [one for one in asked if not one.startswith("data:")]
    return {
        "KiB": audits["total-byte-weight"]["numericValue"] / 1024,
        "requests": len(asked),
        "elsewhere": sum(urlsplit(one).netloc != urlsplit(url).netloc for one in asked),
        **{name: report["categories"][name]["score"] for name in CATEGORIES},
        "LCP s": audits["largest-contentful-paint"]["numericValue"] / 1000,
        "CLS": audits["cumulative-layout-shift"]["numericValue"],
    }


def _axe(chromium: Browser, url: str) -> int:
    """Return how many rules a page breaks, summed over light and dark, narrow and wide."""
    broken = 0
    for scheme, width in product(("light", "dark"), (390, 1280)):
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        tab = context.new_page()
        tab.goto(url)
        tab.evaluate("document.querySelectorAll('details').forEach((part) => part.open = true)")
        broken += Axe().run(tab).violations_count
        context.close()
    return broken


if __name__ == "__main__":
    main()
