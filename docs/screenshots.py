"""Take the picture of README.md: two pages, one on a desktop in light mode, one on a phone in dark.

The site must show CIFAR-10. Needs Chromium (`make browser`).

    .venv/bin/python docs/screenshots.py _build/html
"""

import argparse
from io import BytesIO
from pathlib import Path

from onions.site.browser import launch_chromium
from PIL import Image
from playwright.sync_api import Browser

PICTURE = Path(__file__).with_name("book.webp")
HEIGHT = 960  # of the windows, in CSS pixels
GAP = 32  # between the screenshots, in pixels


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path, help="a rendered site, such as _build/html")
    site = parser.parse_args().site.resolve()
    with launch_chromium() as browser:
        desktop = _take(browser, (site / "index.html").as_uri(), 1280, dark=False)
        phone = _take(browser, (site / "pooling.html").as_uri(), 390, dark=True)
    picture = Image.new("RGB", (desktop.width + GAP + phone.width, HEIGHT), "#888888")
    picture.paste(desktop, (0, 0))
    picture.paste(phone, (desktop.width + GAP, 0))
    picture.save(PICTURE, quality=80, method=6)
    print(f"{PICTURE}: {PICTURE.stat().st_size / 1024:.0f} KiB")


def _take(browser: Browser, url: str, width: int, *, dark: bool) -> Image.Image:
    context = browser.new_context(viewport={"width": width, "height": HEIGHT})
    tab = context.new_page()
    tab.emulate_media(color_scheme="dark" if dark else "light")
    tab.goto(url)
    shot = Image.open(BytesIO(tab.screenshot())).convert("RGB")
    context.close()
    return shot


if __name__ == "__main__":
    main()
