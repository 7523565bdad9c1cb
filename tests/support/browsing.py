"""What a browser records while it opens pages: messages, requests and layout shifts."""

from playwright.sync_api import Page, Request

MAX_SHIFT = 0.02  # all shifts together; for one burst of them, 0.1 counts as good

RECORD_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { hadRecentInput, value, sources } of list.getEntries()) {
    const moved = sources[0]?.node?.parentElement?.innerHTML.trim().slice(0, 100);
    if (!hadRecentInput) shifts.push([value, moved ?? "an element that was removed"]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


def record_messages(tab: Page) -> list[str]:
    """Return a list that gets every console message and uncaught error of a tab."""
    messages: list[str] = []
    tab.on("console", lambda message: messages.append(f"{message.text} {message.location['url']}"))
    tab.on("pageerror", lambda error: messages.append(str(error)))
    return messages


def record_failures(tab: Page, messages: list[str]) -> None:
    """Add every failed request of a tab to `messages`, except those it cancels when it leaves."""

    def record(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":
            messages.append(f"{request.failure} {request.url}")

    tab.on("requestfailed", record)


def record_requests(tab: Page) -> list[str]:
    """Return a list that gets the URL of every request of a tab."""
    urls: list[str] = []
    tab.on("request", lambda request: urls.append(request.url))
    return urls
