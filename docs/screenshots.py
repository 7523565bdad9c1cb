"""Take the pictures of this folder: two pages, on a desk and on a phone, in light and dark.

Take them of a site that shows CIFAR-10. Needs Chromium (`make browser`).

    .venv/bin/python docs/screenshots.py _build/html
"""

import argparse
from io import BytesIO
from pathlib import Path

from onions.site.browser import launch_chromium
from PIL import Image
from playwright.sync_api import Browser

DOCS = Path(__file__).parent
PAGES = {"landing": "index.html", "lesson": "pooling.html"}
HEIGHT = 960  # of a window, in CSS pixels; a picture has half as many
WIDTHS = (1280, 390)
GAP = 16


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path, help="a rendered site, as in _build/html")
    site = parser.parse_args().site.resolve()
    with launch_chromium() as browser:
        for name, page in PAGES.items():
            shots = [
                _shot(browser, (site / page).as_uri(), width, scheme)
                for scheme in ("light", "dark")
                for width in WIDTHS
            ]
            path = DOCS / f"{name}.webp"
            _side_by_side(shots).save(path, quality=80, method=6)
            print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


def _shot(browser: Browser, url: str, width: int, scheme: str) -> Image.Image:
    context = browser.new_context(viewport={"width": width, "height": HEIGHT})
    tab = context.new_page()
    tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    tab.goto(url)
    shot = Image.open(BytesIO(tab.screenshot())).convert("RGB")
    context.close()
    return shot.resize((width // 2, HEIGHT // 2), Image.Resampling.LANCZOS)


def _side_by_side(shots: list[Image.Image]) -> Image.Image:
    width = sum(shot.width + GAP for shot in shots) - GAP
    picture = Image.new("RGB", (width, HEIGHT // 2), "#888888")
    left = 0
    for shot in shots:
        picture.paste(shot, (left, 0))
        left += shot.width + GAP
    return picture


if __name__ == "__main__":
    main()
