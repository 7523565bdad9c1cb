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
    """Chromium is missing or does not start; the message says what to do."""


@contextmanager
def launch_chromium() -> Iterator["Browser"]:
    """Start Chromium, and close it when the block ends. Raises NoBrowser."""
    path = find_chromium()
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=path,
                # Containers have no sandbox; only our own pages are opened here.
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
        except Error as error:
            raise NoBrowser(f"{path}: does not start ({error}). Run `make browser`.") from error
        yield browser
        browser.close()


def find_chromium() -> str:
    """Return the path of a Chromium: $CHROMIUM, one on the PATH, or Playwright's own.

    Raises NoBrowser.
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
        raise NoBrowser(f"CHROMIUM is {configured}, which is not a program.")
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not Path(path).exists():
        raise NoBrowser("no Chromium was found. Run `make browser`, or set CHROMIUM to its path.")
    return path
