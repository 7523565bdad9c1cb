"""Recorders of a tab's messages, requests, layout shifts and violations."""

from collections.abc import Iterable

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Request

MAX_SHIFT = 0.02  # for the sum of all shifts; CLS, the worst burst of shifts, is good up to 0.1

RECORD_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { hadRecentInput, value, sources } of list.getEntries()) {
    const moved = sources[0]?.node?.parentElement?.innerHTML.trim().slice(0, 100);
    if (!hadRecentInput) shifts.push([value, moved ?? "an element that was removed"]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


CONTRAST_RULES = ("color-contrast", "link-in-text-block")

RECORD_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.effectiveDirective} ${event.blockedURI.split("/", 3).join("/")}`));
"""

# Axe parses the same few colours again for each element, which takes a third of its time.
PARSE_COLOURS_ONCE = """;
(() => {
  const { Color } = axe.commons.color, { parseString } = Color.prototype, parsed = new Map();
  Color.prototype.parseString = function (text) {
    if (!parsed.has(text)) parsed.set(text, parseString.call(new Color(0, 0, 0), text));
    const { r, g, b, alpha } = parsed.get(text);
    return Object.assign(this, { r, g, b, alpha });
  };
})()"""


def axe_violations(tab: Page, part: str | None = None, rules: Iterable[str] = ()) -> list[str]:
    """Return axe's findings in a tab, or in the part with this selector: rule and elements.

    Without `rules`, check all of axe's default rules.
    """
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(Axe().axe_script + PARSE_COLOURS_ONCE)
    options = {**({"runOnly": [*rules]} if rules else {}), "resultTypes": ["violations"]}
    run = "async ([part, options]) => (await axe.run(part ?? document, options)).violations"
    found = tab.evaluate(run, [part, options])
    return [f"{rule['id']}: {[node['html'] for node in rule['nodes']]}" for rule in found]


def record_messages(tab: Page) -> list[str]:
    """Return a list that collects a tab's console messages and uncaught errors."""
    messages: list[str] = []
    tab.on("console", lambda message: messages.append(f"{message.text} {message.location['url']}"))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    return messages


def record_failures(tab: Page, messages: list[str]) -> None:
    """Add a tab's failed requests to `messages`, except those that a navigation cancels."""

    def record(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":
            messages.append(f"{request.failure} {request.url}")

    tab.on("requestfailed", record)


def record_requests(tab: Page) -> list[str]:
    """Return a list that collects the URLs of a tab's requests."""
    urls: list[str] = []
    tab.on("request", lambda request: urls.append(request.url))
    return urls
