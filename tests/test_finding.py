"""How a page is found: by the search, by search engines; and what its foot says of it."""

import gzip
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT, run_onions
from docutils.core import publish_doctree
from onions.extension.meta import description
from onions.extension.notfound import RELATIVE
from onions.pages import Project
from playwright.sync_api import Browser, BrowserContext, Page

Small = Callable[..., Path]
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
PAGES = [page.name for page in Project(ROOT).pages()]
SOLVED = """# Onions

(start)=
## Layers

```{exercise-start} How many layers
:label: ex
```
Count the layers of {math}`n` <b>onions</b>.
```{exercise-end}
```

````{solution-start} ex
:label: sol
````
Seventeen, or a gazillion.

```{code-cell} python
unfathomable = 1
```
````{solution-end}
````

```{code-cell} python
print("printed " + "word")
```

```{code-cell} python
:tags: [hide-cell]
folded = 2
```

## Peel

Peel the layers with `1 < 2 & 3`, one by one.
"""


@pytest.fixture
def tab(chromium: Browser) -> Iterator[Page]:
    context: BrowserContext = chromium.new_context(viewport={"width": 390, "height": 800})
    yield context.new_page()
    context.close()


@pytest.fixture(params=["file", "http"])
def site(book: Project, request: pytest.FixtureRequest) -> str:
    if request.param == "file":
        return f"{(book.build / 'html').as_uri()}/"
    return str(request.getfixturevalue("online"))


def html(book: Project, name: str) -> str:
    return (book.build / "html" / f"{name}.html").read_text("utf-8")


def search(tab: Page, site: str, query: str) -> list[str]:
    """Search for something; return the addresses of what was found, without that of the site."""
    tab.goto(f"{site}search.html?q={quote(query)}")
    tab.wait_for_selector(".search-summary:not(:empty)")
    links = tab.locator("#search-results li > a").all()
    return [link.get_attribute("href") or "" for link in links]


def listen(tab: Page) -> tuple[list[str], list[str]]:
    """Note what a page says and what it asks for."""
    said: list[str] = []
    asked: list[str] = []
    tab.on("console", lambda m: said.append(f"{m.text} {m.location['url']}"))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda request: asked.append(request.url))
    return said, asked


def told(said: list[str]) -> list[str]:
    """What a page says, less that a server has no icon, which no page names."""
    return [line for line in said if "favicon.ico" not in line]


def render(root: Path, **environment: str) -> Project:
    assert run_onions(root, "execute").returncode == 0
    done = run_onions(root, "render", **environment)
    assert done.returncode == 0, done.stderr
    return Project(root)


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"]
    env = {"PATH": "/usr/bin:/bin"}  # not the repository that a hook runs these tests for
    command = ["git", *who, *arguments]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, env=env)
    return done.stdout.decode().strip()


def commit(root: Path, day: str) -> str:
    git(root, "add", "book", "_toc.yml")
    env = {"GIT_COMMITTER_DATE": f"{day}T12:00:00+00:00", "PATH": "/usr/bin:/bin"}
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"]
    subprocess.run(["git", *who, "commit", "-qm", day], cwd=root, check=True, env=env)
    return git(root, "rev-parse", "HEAD")


def foot(book: Project, name: str) -> str:
    found = re.search('<div class="bottom-of-page">(.*?)</footer>', html(book, name), re.S)
    assert found
    return " ".join(re.sub("<[^>]*>", "", found[1]).split())


@pytest.mark.site
def test_the_search_says_where_something_is(site: str, tab: Page) -> None:
    said, asked = listen(tab)
    found = search(tab, site, "receptive field")
    assert found[0] == "reference/glossary.html#term-receptive-field"
    assert "pooling.html#why-lose-something-on-purpose" in found
    item = tab.locator("#search-results li", has_text="Shrink it: pooling").first
    assert "depends on are its receptive field" in item.locator(".context").inner_text()
    marked = [word.lower() for word in item.locator(".context mark").all_inner_texts()]
    assert {"receptive", "field"} <= set(marked)
    assert "Sections with “receptive field”: " in tab.get_by_role("status").inner_text()
    item.locator("a").click()
    assert tab.url.endswith("pooling.html#why-lose-something-on-purpose")
    assert tab.locator("#why-lose-something-on-purpose").count() == 1
    own = (site, "data:", urlsplit(site)._replace(path="/favicon.ico").geturl())
    assert told(said) == [] and [url for url in asked if not url.startswith(own)] == []


@pytest.mark.site
def test_what_is_searched_for_is_shown_as_text(site: str, tab: Page) -> None:
    said, _ = listen(tab)
    attack = "<img src=x onerror=alert(1)> pooling \"'&"
    search(tab, site, attack)
    assert tab.get_by_role("status").inner_text().startswith("No section has all of these words")
    assert tab.locator("article img").count() == 0
    assert tab.locator("#search-words").input_value() == attack
    assert search(tab, site, "qwxz") == []
    assert tab.get_by_role("status").inner_text() == "No section has “qwxz”."
    tab.goto(f"{site}search.html?q=%20-")
    assert tab.locator("#search-results li").count() == 0 and told(said) == []


@pytest.mark.site
def test_the_search_works_by_keyboard_and_finds_forms_of_a_word(site: str, tab: Page) -> None:
    tab.goto(f"{site}search.html")
    tab.locator("#search-words").focus()
    tab.keyboard.type("Pooled map")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/search.html?q=Pooled+map")
    tab.wait_for_selector("#search-results li")
    assert tab.title().startswith("Pooled map: Search")
    assert "pooling.html#keep-the-largest" in [
        link.get_attribute("href") for link in tab.locator("#search-results a").all()
    ]
    button = tab.locator(".search-form button")
    button.focus()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.matches('#search-results li:first-child a')")


@pytest.mark.site
def test_every_section_that_the_search_knows_is_there(book: Project) -> None:
    script = (book.build / "html" / "_static" / "search-texts.js").read_text("utf-8")
    files = re.findall(r'\["([^"]+\.html)",\[', script)
    assert [file.removesuffix(".html") for file in files] == PAGES
    for part in script.split('.html",[')[1:]:
        assert '["","' in part[:6], "the page itself comes first"
    for name, part in zip(PAGES, script.split('.html",[')[1:], strict=True):
        for anchor in re.findall(r'\["([\w-]+)","', part):
            assert f'id="{anchor}"' in html(book, name), (name, anchor)


@pytest.mark.site
def test_the_search_is_light_and_free_of_barriers(book: Project, online: str, tab: Page) -> None:
    _, asked = listen(tab)
    search(tab, online, "network")
    assert tab.locator("#search-results li").count() > 5
    root, base = book.build / "html", urlsplit(online).path
    paths = {root / unquote(urlsplit(url).path).removeprefix(base) for url in asked}
    sizes = {p.name: len(gzip.compress(p.read_bytes())) for p in paths if p.is_file()}
    assert "search-texts.js" in sizes and "searchindex.js" not in sizes
    assert sum(sizes.values()) <= 120 * 1024, sizes
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        report = Axe().run(tab)
        assert report.violations_count == 0, report.generate_report()


@pytest.mark.site
def test_without_javascript_the_search_says_so(book: Project, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto((book.build / "html" / "search.html").as_uri())
    assert tab.locator("noscript p").is_visible()
    tab.locator("article").get_by_role("link", name="glossary").click()
    assert tab.title().startswith("Glossary")
    context.close()


def test_nothing_that_folds_or_was_printed_can_be_searched(small: Small, tab: Page) -> None:
    root = small(index=SOLVED)
    book = render(root)
    site = f"{(book.build / 'html').as_uri()}/"
    script = (book.build / "html" / "_static" / "search-texts.js").read_text("utf-8")
    for word in ("Seventeen", "gazillion", "unfathomable", "folded", "printed word", "Solution"):
        assert word not in script, word
    for word in ("gazillion", "unfathomable"):
        assert search(tab, site, word) == []
        assert tab.get_by_role("status").inner_text() == f"No section has “{word}”."
    assert search(tab, site, "count layers") == ["index.html#layers"]
    assert search(tab, site, "peel") == ["index.html#peel"]
    assert "with 1 < 2 & 3, one" in tab.locator(".context").inner_text()
    # An edit reaches the search, and what it does not touch stays.
    (root / "book" / "index.md").write_text(SOLVED.replace("one by one", "slowly"))
    small(index=SOLVED.replace("one by one", "slowly"), other="# Other\n\nTears.\n")
    render(root)
    assert search(tab, site, "slowly") == ["index.html#peel"]
    assert search(tab, site, "tears") == ["other.html"]


@pytest.mark.site
@pytest.mark.parametrize("name", [*PAGES, "search", "404"])
def test_a_page_has_a_description(book: Project, name: str) -> None:
    said = re.findall('<meta name="description" content="([^"]+)">', html(book, name))
    assert len(said) == 1 and 10 < len(said[0]) <= 200 + said[0].count("&") * 5
    is_hidden = '<meta name="robots" content="noindex">' in html(book, name)
    assert is_hidden == (name == "404")


def test_a_description_is_what_a_reader_can_do_or_the_first_paragraph() -> None:
    doctree = publish_doctree(
        "Title\n=====\n\nOther\n-----\n\n.. note:: A note.\n\nFirst *words*.\n"
    )
    assert description(["say why", "do it"], doctree) == "After this page you can say why; do it."
    assert description([], doctree) == "First words."
    long = description(["work it out, too"] * 30, doctree)
    assert len(long) <= 200 and long.endswith("work it out …")


def test_previews_name_the_page_and_its_address(small: Small) -> None:
    root = small(index="# One & <all>\n\nThe first.\n")
    book = render(root)
    facts = dict(
        re.findall('<meta property="og:([a-z:_]+)" content="([^"]*)">', html(book, "index"))
    )
    assert facts == {
        "type": "website",
        "site_name": "Networks are like onions",
        "title": "One &amp; &lt;all&gt;",
        "description": "The first.",
        "url": "https://founders.github.io/onions/index.html",
    }
    (root / "book" / "_static").mkdir(exist_ok=True)
    (root / "book" / "_static" / "card.png").write_bytes(b"")
    small(index="# One\n\nThe first.\n")
    page = html(render(root), "index")
    address = "https://founders.github.io/onions/_static/card.png"
    assert f'<meta property="og:image" content="{address}">' in page
    assert '<meta name="twitter:card" content="summary_large_image">' in page


def test_a_sitemap_has_every_page_even_after_an_edit(small: Small) -> None:
    for text in ("# One\n", "# One\n\nEdited.\n"):
        root = small(index=text, other="# Other\n")
        own = "    html_baseurl: https://onions.example/book\n    html_theme: furo\n"
        config = root / "_config.yml"
        config.write_text(config.read_text().replace("    html_theme: furo\n", own))
        book = render(root)
        sitemap = ElementTree.fromstring((book.build / "html" / "sitemap.xml").read_bytes())
        found = [place.text for place in sitemap.iter(f"{SITEMAP}loc")]
        base = "https://onions.example/book/"
        assert found == [f"{base}index.html", f"{base}other.html"]
        assert f'<link rel="canonical" href="{base}other.html">' in html(book, "other")
        assert 'href="/book/other.html"' in html(book, "404")


def test_a_site_without_an_address_has_no_links_to_one(small: Small) -> None:
    book = render(small(index="# One\n"), GITHUB_REPOSITORY="", GITHUB_SHA="")
    page = html(book, "index")
    for part in ("canonical", "og:url", "Edit this page", "Report a problem", "Built from"):
        assert part not in page, part
    assert not (book.build / "html" / "sitemap.xml").exists()
    assert 'href="_static/book.css?v=' in html(book, "404")


@pytest.mark.site
def test_an_address_that_leads_nowhere_shows_a_page_with_ways_on(
    book: Project, online: str, tab: Page
) -> None:
    failed: list[str] = []
    tab.on("requestfailed", lambda request: failed.append(request.url))
    tab.on("response", lambda r: failed.append(r.url) if r.status >= 400 else None)
    has_address = (book.build / "html" / "sitemap.xml").exists()  # without, links lead beside it
    for place in ("nowhere.html", "a/deep/place/")[: 1 + has_address]:
        answer = tab.goto(f"{online}{place}")
        assert answer and answer.status == 404
        assert [url for url in failed if url != tab.url and "favicon" not in url] == []
        failed.clear()
        assert tab.locator("h1").inner_text() == "Page not found"
        report = Axe().run(tab)
        assert report.violations_count == 0, report.generate_report()
        lessons = [page.name for page in book.pages() if page.lesson]
        assert tab.locator("article li a").count() == len(lessons)
    tab.locator("article").get_by_role("link", name="Shrink it: pooling").click()
    assert tab.url == f"{online}pooling.html"
    tab.goto(f"{online}nowhere.html")
    tab.locator("#search-words").fill("dropout")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#search-results li")
    assert tab.url == f"{online}search.html?q=dropout"
    assert "404" not in html(book, "index")


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        ('href="a.html"', 'href="/o/a.html"'),
        ('src="./a.js"', 'src="/o/a.js"'),
        ('content_root="./"', 'content_root="/o/"'),
        ('href="#a"', 'href="#a"'),
        ('href="/o/a.html"', 'href="/o/a.html"'),
        ('href="https://a.org"', 'href="https://a.org"'),
        ('href="data:x"', 'href="data:x"'),
    ],
)
def test_links_from_nowhere_begin_at_the_site(link: str, wanted: str) -> None:
    assert RELATIVE.sub(r"\g<1>/o/", link.replace("content", "data-content")) == wanted.replace(
        "content", "data-content"
    )


@pytest.mark.site
@pytest.mark.parametrize("name", PAGES)
def test_the_foot_says_what_the_page_ran_on(book: Project, name: str) -> None:
    said = foot(book, name)
    runs = bool(book.page(name).cells)
    assert ("Run " in said) == runs and "About this build" in said and "CC BY 4.0" in said
    if "import keras" in book.page(name).text:
        assert re.search(r", Keras \d+\.\d+\.\d+ · ", said), said
    assert "Sphinx and @pradyunsg's Furo" in said


def test_a_page_can_be_edited_and_a_problem_reported(book: Project, tab: Page) -> None:
    tab.goto((book.build / "html" / "reference" / "glossary.html").as_uri())
    edit, report = (
        tab.locator("footer").get_by_role("link", name=name).get_attribute("href") or ""
        for name in ("Edit this page", "Report a problem")
    )
    assert edit == "https://github.com/Founders/onions/edit/main/book/reference/glossary.md"
    parts = urlsplit(report)
    assert parts._replace(query="").geturl() == "https://github.com/Founders/onions/issues/new"
    asked = parse_qs(parts.query, strict_parsing=True)
    assert asked["title"] == ["Page “Glossary”: "]
    assert asked["page"] == ["https://founders.github.io/onions/reference/glossary.html"]
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE" / asked.pop("template")[0]).read_text())
    assert {"title", *(part["id"] for part in form["body"])} >= {*asked}
    assert "Edit this page" not in html(book, "search") + html(book, "404")


def test_the_foot_says_when_a_page_changed_and_what_it_was_built_from(small: Small) -> None:
    root = small(index="# One\n", other="# Other\n", third="# Third\n")
    git(root, "init", "-q")
    (root / ".gitignore").write_text("_build\n")
    first = commit(root, "2026-01-02")
    small(index="# One\n\nMore.\n", other="# Other\n", third="# Third\n")
    second = commit(root, "2026-03-04")
    book = render(root, GITHUB_SHA="")
    assert "Text changed 4 March 2026 · " in foot(book, "index")
    assert "Text changed 2 January 2026 · " in foot(book, "other")
    assert f"Built from {second[:7]}" in foot(book, "other") and first != second
    assert "with changes" not in foot(book, "other")
    address = f"https://github.com/Founders/onions/commit/{second}"
    assert f'<a href="{address}">{second[:7]}</a>' in html(book, "other")
    sitemap = (book.build / "html" / "sitemap.xml").read_text()
    assert re.findall("<lastmod>(.*?)</lastmod>", sitemap) == [
        "2026-03-04",
        "2026-01-02",
        "2026-01-02",
    ]

    (root / "book" / "other.md").write_text("# Other\n\nNew.\n")
    render(root, GITHUB_SHA="")
    assert "Text has changes that are not committed" in foot(book, "other")
    assert f"Built from {second[:7]}, with changes" in foot(book, "other")
    third = commit(root, "2026-05-06")  # the text is the one that was rendered; its date is not
    untouched = html(book, "third")
    render(root, GITHUB_SHA="")
    assert "Text changed 6 May 2026 · " in foot(book, "other")
    assert f"Built from {third[:7]}" in foot(book, "other")
    assert html(book, "third") == untouched  # a commit alone rewrites no other page
    render(root, GITHUB_SHA="0" * 40)
    assert "Built from 0000000" in foot(book, "third")


def test_a_clone_without_history_knows_no_dates(small: Small, tmp_path: Path) -> None:
    root = small(index="# One\n")
    git(root, "init", "-q")
    commit(root, "2026-01-02")
    git(root, "commit", "-q", "--allow-empty", "-m", "Empty")
    git(tmp_path, "clone", "-q", "--depth", "1", root.as_uri(), "shallow")
    shallow = tmp_path / "shallow"
    for name in ("_config.yml", "requirements.lock"):
        shutil.copy(root / name, shallow)
    said = foot(render(shallow, GITHUB_SHA=""), "index")
    assert "Text changed" not in said and "Built from" in said
