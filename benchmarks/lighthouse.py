"""Rate every page of the site with Lighthouse and axe, and print a table.

A local server imitates GitHub Pages. Lighthouse emulates a phone on slow 4G, its default; the table
shows medians of several runs. axe checks each page in light and dark, narrow and wide, with all
folded parts open. Requires Node.js; npx fetches Lighthouse on the first run. README.md in this
folder keeps the last table.

    .venv/bin/python benchmarks/lighthouse.py --pages index dropout --runs 1
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from measure import table
from onions.book.project import Project
from onions.site import browser
from onions.site.serve import serve_folder
from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
LIGHTHOUSE = "lighthouse@12.8.2"
FLAGS = "--headless=new --no-sandbox --disable-gpu"  # as in onions.site.browser
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
DIGITS = {  # a page's measures, and the decimals to show
    "KiB": 0,
    "requests": 0,
    **dict.fromkeys(CATEGORIES, 2),
    "LCP s": 1,
    "CLS": 3,
    "axe violations": 0,
}
Measures = dict[str, float]


class LighthouseError(Exception):
    """Lighthouse could not measure a page."""


def main() -> None:
    """Measure the site and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Example: .venv/bin/python benchmarks/lighthouse.py --pages index dropout --runs 1",
    )
    site, runs = ROOT / "_build" / "html", 3
    parser.add_argument("--site", type=Path, default=site, help="the site (_build/html)")
    parser.add_argument("--pages", nargs="+", metavar="NAME", help="pages as in _toc.yml (all)")
    parser.add_argument("--runs", type=int, default=runs, help=f"Lighthouse runs per page ({runs})")
    options = parser.parse_args()
    if not (options.site / "index.html").exists():
        sys.exit(f"{options.site}: no site. Run `make book`, or name a site with --site.")
    pages = options.pages or [*(page.name for page in Project(ROOT).pages()), "search"]
    try:
        measures = measure_pages(options.site, pages, options.runs)
    except LighthouseError as error:
        sys.exit(str(error))
    rows = [
        [page, *(f"{measures[page][name]:.{digits}f}" for name, digits in DIGITS.items())]
        for page in pages
    ]
    print(table(["page", *DIGITS], rows))


def measure_pages(site: Path, pages: list[str], runs: int) -> dict[str, Measures]:
    """Return the measures of Lighthouse and axe for pages of a site, by page.

    Names are as in `DIGITS`; `elsewhere` counts third-party requests. Each measure of Lighthouse is
    the median of `runs`. Raises LighthouseError if Lighthouse can't measure a page.
    """
    measures = {}
    with serve_folder(site) as address:
        for number, page in enumerate(pages, 1):
            print(f"{site}: {page}, {number} of {len(pages)}", file=sys.stderr, flush=True)
            reports = [_lighthouse(f"{address}{page}.html") for _ in range(runs)]
            measures[page] = {
                name: median(report[name] for report in reports) for name in reports[0]
            }
        # After Lighthouse, which a second browser would slow down.
        with browser.launch_chromium() as chromium:
            for page in pages:
                measures[page]["axe violations"] = _axe(chromium, f"{address}{page}.html")
    return measures


def _lighthouse(url: str) -> Measures:
    if not shutil.which("npx"):
        raise LighthouseError("npx is missing. Install Node.js 18.16 or newer.")
    command = ["npx", "--yes", LIGHTHOUSE, url, "--quiet", "--output=json"]
    options = [f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={FLAGS}"]
    environment = {**os.environ, "CHROME_PATH": browser.find_chromium()}
    result = subprocess.run([*command, *options], env=environment, capture_output=True, text=True)
    if result.returncode:
        raise LighthouseError(
            f"{LIGHTHOUSE} failed on {url}; it requires Node.js 18.16 or newer:\n{result.stderr}"
        )
    report = json.loads(result.stdout)
    audits = report["audits"]
    urls = [request["url"] for request in audits["network-requests"]["details"]["items"]]
    requests = [urlsplit(requested) for requested in urls if not requested.startswith("data:")]
    return {
        "KiB": audits["total-byte-weight"]["numericValue"] / 1024,
        "requests": len(requests),
        "elsewhere": sum(request.netloc != urlsplit(url).netloc for request in requests),
        **{name: report["categories"][name]["score"] for name in CATEGORIES},
        "LCP s": audits["largest-contentful-paint"]["numericValue"] / 1000,
        "CLS": audits["cumulative-layout-shift"]["numericValue"],
    }


def _axe(chromium: Browser, url: str) -> int:
    """Return how many rules a page breaks, summed over light and dark, narrow and wide."""
    violations = 0
    for scheme, width in product(("light", "dark"), (390, 1280)):
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        tab = context.new_page()
        tab.goto(url)
        tab.evaluate("document.querySelectorAll('details').forEach((part) => part.open = true)")
        violations += Axe().run(tab).violations_count
        context.close()
    return violations


if __name__ == "__main__":
    main()
