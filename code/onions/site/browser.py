"""Find and start Chromium, which prints the book and opens the site in tests."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class NoBrowser(Exception):
    """Chromium is missing or does not start; the message gives the remedy."""


@contextmanager
def launch_chromium() -> Iterator["Browser"]:
    """Start Chromium and close it after the block. Raises NoBrowser if it can't be started."""
    path = find_chromium()
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=path,
                # Chromium's sandbox fails in containers, and only trusted pages are opened.
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
        except Error as error:
            raise NoBrowser(f"{path}: does not start ({error}). Run `make browser`.") from error
        yield browser
        browser.close()


def find_chromium() -> str:
    """Return the path of Chromium: $CHROMIUM, the first on the PATH, or Playwright's.

    Raises NoBrowser if Playwright or Chromium is missing.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise NoBrowser("Playwright is not installed. Run `make install browser`.") from error
    configured = os.environ.get("CHROMIUM")
    for name in [configured] if configured else NAMES:
        if path := shutil.which(name):
            return path
    if configured:
        raise NoBrowser(f"CHROMIUM={configured}: no such program. Set it to the path of Chromium.")
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not Path(path).exists():
        raise NoBrowser("Chromium is missing. Run `make browser`, or set CHROMIUM to its path.")
    return path
