"""Open the explorers, and read their data and output."""

import re
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import numpy as np
from playwright.sync_api import Locator, Page, expect

from support.projects import ROOT

EXPLORERS = ROOT / "code" / "onions" / "extension" / "explorers"
RunScript = Callable[..., Any]


def open_explorer(tab: Page, site_url: str, name: str, page: str) -> Locator:
    """Open a page of the site, scroll to its first such explorer, and wait until it is ready."""
    tab.goto(f"{site_url}{page}.html")
    explorer = tab.locator(f"onion-{name}").first
    explorer.scroll_into_view_if_needed()
    expect(explorer).to_have_class("explorer ready")
    return explorer


def reserved_height(tab: Page, site_url: str, name: str, page: str) -> int:
    """Return the height that an explorer reserves on its page while it can't load."""
    tab.route("**/explorers/**", lambda route: route.abort())
    tab.goto(f"{site_url}{page}.html")
    height = int(tab.locator(f"onion-{name}").first.evaluate("element => element.offsetHeight"))
    tab.unroute_all()
    return height


def unpack(packed: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Return an exported array as float64."""
    data = b64decode(packed["base64"])
    return np.frombuffer(data, packed["dtype"]).reshape(packed["shape"]).astype("float64")


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text.replace("−", "-"))]


def decimals(status: Locator) -> list[float]:
    """Return the numbers with two decimals in a status; row and column numbers have none."""
    text = status.inner_text().replace("−", "-")
    return [float(number) for number in re.findall(r"-?\d+\.\d\d", text)]
