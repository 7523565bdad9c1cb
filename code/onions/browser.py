"""Find and start Chromium: it prints the book, and shows the site to the tests."""

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
    """There is no Chromium to start; the message says what to do."""


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Start Chromium, and end it. Raises NoBrowser."""
    path = find()
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=path,
                # Containers have no sandbox; what is opened here is ours.
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
        except Error as error:
            raise NoBrowser(f"{path}: does not start ({error}). Run `make browser`.") from error
        yield browser
        browser.close()


def find() -> str:
    """Return the path of a Chromium: $CHROMIUM, one on the PATH, or Playwright's own.

    Raises NoBrowser.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise NoBrowser("Playwright is not installed. Run `make install browser`.") from error
    given = os.environ.get("CHROMIUM")
    for name in [given] if given else NAMES:
        if path := shutil.which(name):
            return path
    if given:
        raise NoBrowser(f"CHROMIUM is {given}, which is no program.")
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    if not Path(path).exists():
        raise NoBrowser("no Chromium was found. Run `make browser`, or set CHROMIUM to its path.")
    return path
