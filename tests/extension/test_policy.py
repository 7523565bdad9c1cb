"""The Content-Security-Policy of every page, in a real browser, from a server and as a file."""

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from onions.book.project import Project
from onions.extension.layout.policy import policy, with_policy
from playwright.sync_api import Browser, BrowserContext, Page, Route
from support.browsing import RECORD_VIOLATIONS, record_failures, record_messages

META = re.compile(r'\n *<meta http-equiv="Content-Security-Policy" content="([^"]*)">')
ELSEWHERE = "https://elsewhere.test"
INJECTED = {
    "script-src-elem inline": "<script>document.title = 'script';</script>",
    "script-src-attr inline": "<img src=x onerror=\"document.title += ' handler';\">",
    f"script-src-elem {ELSEWHERE}": f"<script src='{ELSEWHERE}/js'></script>",
    f"style-src-elem {ELSEWHERE}": f"<link rel='stylesheet' href='{ELSEWHERE}/css'>",
    f"img-src {ELSEWHERE}": f"<img src='{ELSEWHERE}/img'>",
    f"frame-src {ELSEWHERE}": f"<iframe src='{ELSEWHERE}/frame'></iframe>",
    f"base-uri {ELSEWHERE}": f"<base href='{ELSEWHERE}'>",
}
BLOCKED_SCRIPTS = {
    "script-src eval": "setTimeout(() => eval('document.title = 1'))",
    f"connect-src {ELSEWHERE}": f"fetch('{ELSEWHERE}').catch(() => 'blocked')",
    f"form-action {ELSEWHERE}": f"""(() => {{
        const form = document.createElement("form");
        form.action = "{ELSEWHERE}";
        document.body.append(form);
        form.submit();
    }})()""",
}
UNTIL_BLOCKED = """new Promise((done) => {
  document.addEventListener("securitypolicyviolation", done, {once: true});
  setTimeout(done, 5000);
  SCRIPT;
}).then(() => null)"""


@pytest.fixture(params=["http", "file"])
def site(book: Project, request: pytest.FixtureRequest) -> str:
    """The URL of the site's folder: on a server, and as a file."""
    if request.param == "file":
        return (book.build / "html").as_uri()
    return str(request.getfixturevalue("site_url")).rstrip("/")


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    context = chromium.new_context()
    context.add_init_script(RECORD_VIOLATIONS)
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Page:
    return context.new_page()


def pages(book: Project) -> dict[str, str]:
    """Return the text of every HTML file of the site, by its path in the site."""
    root = book.build / "html"
    return {
        path.relative_to(root).as_posix(): path.read_text("utf-8")
        for path in sorted(root.rglob("*.html"))
    }


def block_requests(tab: Page) -> list[str]:
    """Block all requests to ELSEWHERE; return a list to which their URLs are added."""
    urls: list[str] = []

    def block(route: Route) -> None:
        urls.append(route.request.url)
        route.abort()

    tab.route(f"{ELSEWHERE}/**", block)
    return urls


def violations(tab: Page) -> list[str]:
    return list(tab.evaluate("violations"))


def test_page_has_one_policy_preceded_only_by_its_charset(book: Project) -> None:
    texts = pages(book)
    assert len(texts) > len(book.pages())
    for path, text in texts.items():
        before, rules, _ = META.split(text)  # exactly one
        assert re.fullmatch(
            r'<!doctype html>\n<html [^>]*>\s*<head>\s*<meta charset="utf-8">', before
        ), path
        assert "unsafe-eval" not in rules and rules.count("unsafe-inline") == 1, path
        assert "style-src 'self' 'unsafe-inline';" in rules, path
        assert rules.startswith("default-src 'none'; script-src 'self' 'sha256-"), path
        assert "connect-src 'self';" in rules, path


def test_page_has_no_inline_event_handlers(book: Project) -> None:
    for path, text in pages(book).items():
        tags = re.findall(r"<[a-z][^<>]*>", text)
        assert [tag for tag in tags if re.search(r"\son[a-z]+\s*=|javascript:", tag)] == [], path


def test_policy_allows_an_inline_script_by_its_hash() -> None:
    own = "\n  if (1 < 2 && 'é') { say('<b>'); }\n"
    data = '<script type="application/json">{"a": 1}</script>'
    page = (
        f"<head><meta charset='utf-8'></head>{data}<script>{own}</script><script src='a'></script>"
    )
    rules = policy(f"{page}<script type='module'>{own}</script>")
    assert f"'sha256-{b64encode(sha256(own.encode()).digest()).decode()}'" in rules
    assert rules.count("sha256") == 1
    assert META.findall(with_policy(page)) == [rules] and META.sub("", with_policy(page)) == page
    assert with_policy("<head><script></script></head>").startswith("<head>\n    <meta http-equiv")
    assert with_policy("<OpenSearchDescription/>") == "<OpenSearchDescription/>"


def test_no_page_violates_its_policy_as_a_file(book: Project, tab: Page) -> None:
    """tests/whole_book/test_visits.py checks the pages on a server."""
    messages = record_messages(tab)
    record_failures(tab, messages)
    for path in pages(book).keys() - {"404.html"}:  # its links work only at the site's URL
        tab.goto(f"{(book.build / 'html').as_uri()}/{path}")
        tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        tab.evaluate("[...document.images].forEach(i => i.loading = 'eager')")
        tab.evaluate("Promise.all([...document.images].map(i => i.decode()))")
        assert violations(tab) == [], path
        assert messages == [], path


def test_scripts_work_under_the_policy(site: str, tab: Page) -> None:
    tab.goto(f"{site}/training.html")
    tab.locator(".theme-toggle-content button").click()
    theme = tab.evaluate("document.body.dataset.theme")
    assert theme in ("light", "dark")
    tab.reload()
    assert tab.evaluate("document.body.dataset.theme") == theme  # set by Furo's inline script

    tab.locator("button.copybtn:visible").first.click()
    tab.wait_for_selector("button.copybtn.success")

    form = tab.locator(".normal form").first
    form.locator("input").first.fill("0.4")
    form.locator("input").first.press("Enter")
    assert "“Validation accuracy" in form.locator("output").inner_text()
    assert violations(tab) == []


def test_search_works_under_the_policy(site: str, tab: Page) -> None:
    tab.goto(f"{site}/training.html")
    tab.locator("input[name=q]").fill("dropout")
    tab.locator("input[name=q]").press("Enter")
    tab.wait_for_url("**/search.html?q=dropout*")
    tab.wait_for_selector("#search-results li a[href^='dropout.html']")
    tab.wait_for_selector("#search-results li p.context mark")
    assert violations(tab) == []


def test_injected_markup_is_blocked(book: Project, site: str, tab: Page, tmp_path: Path) -> None:
    requests = block_requests(tab)
    text = pages(book)["setup.html"].replace("</article>", "".join(INJECTED.values()))

    def open_copy(page: str) -> None:
        copy = tmp_path / "copy.html"
        copy.write_text(page, "utf-8")
        if site.startswith("http"):
            tab.route(f"{site}/copy.html", lambda route: route.fulfill(path=copy))
            tab.goto(f"{site}/copy.html")
        else:
            tab.goto(copy.as_uri())

    open_copy(text)
    assert set(violations(tab)) == set(INJECTED) and requests == []
    assert tab.title().startswith("Set up") and "elsewhere" not in tab.evaluate("document.baseURI")
    open_copy(META.sub("", text))  # without the policy, every injection works
    assert violations(tab) == [] and tab.title() == "script handler"
    assert {f"{ELSEWHERE}/{name}" for name in ("js", "css", "img", "frame")} <= {*requests}
    assert tab.evaluate("document.baseURI") == f"{ELSEWHERE}/"


@pytest.mark.parametrize("page", ["setup", "search"])
def test_page_sends_no_data_elsewhere_and_evaluates_no_text(
    site: str, tab: Page, page: str
) -> None:
    requests = block_requests(tab)
    tab.goto(f"{site}/{page}.html")
    for script in BLOCKED_SCRIPTS.values():
        tab.evaluate(UNTIL_BLOCKED.replace("SCRIPT", script))
    assert violations(tab) == list(BLOCKED_SCRIPTS) and requests == []
