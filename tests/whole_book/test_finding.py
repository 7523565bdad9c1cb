"""How readers find a page: search, descriptions, sitemap, the 404 page; and page footers."""

import gzip
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree

import pytest
import yaml
from docutils.core import publish_doctree
from onions.book.project import Project
from onions.extension.layout.meta import description
from onions.extension.layout.not_found import RELATIVE
from playwright.sync_api import Browser, Page
from support.browsing import axe_violations, record_messages, record_requests
from support.projects import ROOT, Small, address, read_html
from support.runs import build_site

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


@pytest.fixture(params=["file", "http"])
def site(book: Project, request: pytest.FixtureRequest) -> str:
    """The URL of the site's root: as files, and on a server."""
    if request.param == "file":
        return f"{(book.build / 'html').as_uri()}/"
    return str(request.getfixturevalue("site_url"))


def search(tab: Page, site: str, query: str) -> list[str]:
    """Search for a query; return the URLs of the results, relative to the site."""
    tab.goto(f"{site}search.html?q={quote(query)}")
    tab.wait_for_selector(".search-summary:not(:empty)")
    links = tab.locator("#search-results li > a").all()
    return [link.get_attribute("href") or "" for link in links]


def without_favicon(messages: list[str]) -> list[str]:
    """Return the messages that are not about favicon.ico, which browsers request unasked."""
    return [message for message in messages if "favicon.ico" not in message]


def git(root: Path, *arguments: str) -> str:
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"]
    env = {"PATH": "/usr/bin:/bin"}  # without GIT_DIR, which a Git hook sets
    command = ["git", *author, *arguments]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, env=env)
    return done.stdout.decode().strip()


def commit(root: Path, day: str) -> str:
    git(root, "add", "book", "_toc.yml")
    env = {"GIT_COMMITTER_DATE": f"{day}T12:00:00+00:00", "PATH": "/usr/bin:/bin"}
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"]
    subprocess.run(["git", *author, "commit", "-qm", day], cwd=root, check=True, env=env)
    return git(root, "rev-parse", "HEAD")


def footer(book: Project, name: str) -> str:
    """Return the text of a page's footer."""
    html = read_html(book, name)
    element = re.search('<div class="bottom-of-page">(.*?)</footer>', html, re.S)
    assert element
    return " ".join(re.sub("<[^>]*>", "", element[1]).split())


@pytest.mark.site
def test_search_result_names_section_and_context(site: str, phone_tab: Page) -> None:
    messages, requests = record_messages(phone_tab), record_requests(phone_tab)
    results = search(phone_tab, site, "receptive field")
    assert results[0] == "reference/glossary.html#term-receptive-field"
    assert "pooling.html#gain-from-losing-detail" in results
    item = phone_tab.locator("#search-results li", has_text="Shrink it: pooling").first
    assert "depends on are its receptive field" in item.locator(".context").inner_text()
    marked = [word.lower() for word in item.locator(".context mark").all_inner_texts()]
    assert {"receptive", "field"} <= set(marked)
    assert "Sections with “receptive field”: " in phone_tab.get_by_role("status").inner_text()
    item.locator("a").click()
    phone_tab.wait_for_url("**/pooling.html#gain-from-losing-detail")
    assert phone_tab.locator("#gain-from-losing-detail").count() == 1
    own = (site, "data:", urlsplit(site)._replace(path="/favicon.ico").geturl())
    assert without_favicon(messages) == []
    assert [url for url in requests if not url.startswith(own)] == []


@pytest.mark.site
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dropuot", "dropout"),  # swapped
        ("convolutoinal", "convolutional"),
        ("rexeptive field", "receptive field"),
        ("regularistion", "regularisation"),
    ],
)
def test_search_forgives_a_typing_error(book: Project, tab: Page, typed: str, meant: str) -> None:
    site = f"{(book.build / 'html').as_uri()}/"
    expected = search(tab, site, meant)
    assert expected and search(tab, site, typed) == expected
    summary = tab.get_by_role("status").inner_text()
    assert summary.startswith(f"No section has “{typed}”. Sections with “{meant}”: ")
    assert tab.locator("#search-words").input_value() == typed
    assert search(tab, site, "cta") == []  # short words are near too many others


@pytest.mark.site
def test_search_query_is_shown_as_text(site: str, phone_tab: Page) -> None:
    messages = record_messages(phone_tab)
    attack = "<img src=x onerror=alert(1)> pooling \"'&"
    search(phone_tab, site, attack)
    assert (
        phone_tab.get_by_role("status").inner_text().startswith("No section has all of these words")
    )
    assert phone_tab.locator("article img").count() == 0
    assert phone_tab.locator("#search-words").input_value() == attack
    assert search(phone_tab, site, "qwxz") == []
    assert phone_tab.get_by_role("status").inner_text() == "No section has “qwxz”."
    phone_tab.goto(f"{site}search.html?q=%20-")
    assert phone_tab.locator("#search-results li").count() == 0 and without_favicon(messages) == []


@pytest.mark.site
def test_search_works_by_keyboard_and_finds_forms_of_a_word(site: str, phone_tab: Page) -> None:
    phone_tab.goto(f"{site}search.html")
    phone_tab.locator("#search-words").focus()
    phone_tab.keyboard.type("Pooled map")
    phone_tab.keyboard.press("Enter")
    phone_tab.wait_for_url("**/search.html?q=Pooled+map")
    phone_tab.wait_for_selector("#search-results li")
    assert phone_tab.title().startswith("Pooled map: Search")
    assert "pooling.html#keep-the-largest" in [
        link.get_attribute("href") for link in phone_tab.locator("#search-results a").all()
    ]
    button = phone_tab.locator(".search-form button")
    button.focus()
    phone_tab.keyboard.press("Tab")
    assert phone_tab.evaluate("document.activeElement.matches('#search-results li:first-child a')")


@pytest.mark.site
def test_every_section_of_the_search_exists(book: Project) -> None:
    script = (book.build / "html" / "_static" / "search-texts.js").read_text("utf-8")
    files = re.findall(r'\["([^"]+\.html)",\[', script)
    assert [file.removesuffix(".html") for file in files] == PAGES
    for part in script.split('.html",[')[1:]:
        assert '["","' in part[:6], "the page's own entry is not first"
    for name, part in zip(PAGES, script.split('.html",[')[1:], strict=True):
        for anchor in re.findall(r'\["([\w-]+)","', part):
            assert f'id="{anchor}"' in read_html(book, name), (name, anchor)


@pytest.mark.site
def test_search_is_light_and_accessible(book: Project, site_url: str, phone_tab: Page) -> None:
    requests = record_requests(phone_tab)
    search(phone_tab, site_url, "network")
    assert phone_tab.locator("#search-results li").count() > 5
    root, base = book.build / "html", urlsplit(site_url).path
    paths = {root / unquote(urlsplit(url).path).removeprefix(base) for url in requests}
    sizes = {p.name: len(gzip.compress(p.read_bytes())) for p in paths if p.is_file()}
    assert "search-texts.js" in sizes and "searchindex.js" not in sizes
    assert sum(sizes.values()) <= 120 * 1024, sizes
    assert phone_tab.evaluate("document.documentElement.scrollWidth") <= 390
    for scheme in ("light", "dark"):
        phone_tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert axe_violations(phone_tab) == []


@pytest.mark.site
def test_search_says_that_it_needs_javascript(book: Project, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address(book, "search"))
    assert tab.locator("noscript p").is_visible()
    tab.locator("article").get_by_role("link", name="glossary").click()
    assert tab.title().startswith("Glossary")
    context.close()


def test_search_skips_folded_parts_and_outputs(small: Small, phone_tab: Page) -> None:
    root = small(index=SOLVED)
    book = build_site(root)
    site = f"{(book.build / 'html').as_uri()}/"
    script = (book.build / "html" / "_static" / "search-texts.js").read_text("utf-8")
    for word in ("Seventeen", "gazillion", "unfathomable", "folded", "printed word", "Solution"):
        assert word not in script, word
    for word in ("gazillion", "unfathomable"):
        assert search(phone_tab, site, word) == []
        assert phone_tab.get_by_role("status").inner_text() == f"No section has “{word}”."
    assert search(phone_tab, site, "count layers") == ["index.html#layers"]
    assert search(phone_tab, site, "peel") == ["index.html#peel"]
    assert "with 1 < 2 & 3, one" in phone_tab.locator(".context").inner_text()
    # An edit updates its page's entry, and keeps all others.
    (root / "book" / "index.md").write_text(SOLVED.replace("one by one", "slowly"))
    small(index=SOLVED.replace("one by one", "slowly"), other="# Other\n\nTears.\n")
    build_site(root)
    assert search(phone_tab, site, "slowly") == ["index.html#peel"]
    assert search(phone_tab, site, "tears") == ["other.html"]


@pytest.mark.site
@pytest.mark.parametrize("name", [*PAGES, "search", "404"])
def test_page_has_a_description(book: Project, name: str) -> None:
    descriptions = re.findall('<meta name="description" content="([^"]+)">', read_html(book, name))
    assert len(descriptions) == 1
    assert 10 < len(descriptions[0]) <= 200 + descriptions[0].count("&") * 5
    is_hidden = '<meta name="robots" content="noindex">' in read_html(book, name)
    assert is_hidden == (name == "404")


def test_description_is_the_objectives_or_the_first_paragraph() -> None:
    doctree = publish_doctree(
        "Title\n=====\n\nOther\n-----\n\n.. note:: A note.\n\nFirst *words*.\n"
    )
    assert description(["say why", "do it"], doctree) == "After this page you can say why; do it."
    assert description([], doctree) == "First words."
    long = description(["work it out, too"] * 30, doctree)
    assert len(long) <= 200 and long.endswith("work it out …")


def test_previews_name_the_page_and_its_url(small: Small) -> None:
    root = small(index="# One & <all>\n\nThe first.\n")
    book = build_site(root)
    properties = dict(
        re.findall('<meta property="og:([a-z:_]+)" content="([^"]*)">', read_html(book, "index"))
    )
    assert properties == {
        "type": "website",
        "site_name": "Networks are like onions",
        "title": "One &amp; &lt;all&gt;",
        "description": "The first.",
        "url": "https://founders.github.io/onions/index.html",
    }
    (root / "book" / "_static").mkdir(exist_ok=True)
    (root / "book" / "_static" / "card.png").write_bytes(b"")
    small(index="# One\n\nThe first.\n")
    page = read_html(build_site(root), "index")
    card = "https://founders.github.io/onions/_static/card.png"
    assert f'<meta property="og:image" content="{card}">' in page
    assert '<meta name="twitter:card" content="summary_large_image">' in page


def test_sitemap_has_every_page_even_after_an_edit(small: Small) -> None:
    for text in ("# One\n", "# One\n\nEdited.\n"):
        root = small(index=text, other="# Other\n")
        own = "    html_baseurl: https://onions.example/book\n    html_theme: furo\n"
        config = root / "_config.yml"
        config.write_text(config.read_text().replace("    html_theme: furo\n", own))
        book = build_site(root)
        sitemap = ElementTree.fromstring((book.build / "html" / "sitemap.xml").read_bytes())
        urls = [location.text for location in sitemap.iter(f"{SITEMAP}loc")]
        base = "https://onions.example/book/"
        assert urls == [f"{base}index.html", f"{base}other.html"]
        assert f'<link rel="canonical" href="{base}other.html">' in read_html(book, "other")
        assert 'href="/book/other.html"' in read_html(book, "404")


def test_site_without_an_address_has_no_absolute_links(small: Small) -> None:
    book = build_site(small(index="# One\n"), GITHUB_REPOSITORY="", GITHUB_SHA="")
    page = read_html(book, "index")
    for part in ("canonical", "og:url", "Edit this page", "Report a problem", "Built from"):
        assert part not in page, part
    assert not (book.build / "html" / "sitemap.xml").exists()
    assert 'href="_static/book.css?v=' in read_html(book, "404")


@pytest.mark.site
def test_missing_page_shows_a_page_with_links(
    book: Project, site_url: str, phone_tab: Page
) -> None:
    failed: list[str] = []
    phone_tab.on("requestfailed", lambda request: failed.append(request.url))
    phone_tab.on("response", lambda r: failed.append(r.url) if r.status >= 400 else None)
    # For a missing page in a folder, the links of 404.html work only with the site's address.
    has_address = (book.build / "html" / "sitemap.xml").exists()
    for path in ("nowhere.html", "a/deep/place/")[: 1 + has_address]:
        response = phone_tab.goto(f"{site_url}{path}")
        assert response and response.status == 404
        assert [url for url in failed if url != phone_tab.url and "favicon" not in url] == []
        failed.clear()
        assert phone_tab.locator("h1").inner_text() == "Page not found"
        assert axe_violations(phone_tab) == []
        lessons = [page.name for page in book.pages() if page.lesson]
        assert phone_tab.locator("article li a").count() == len(lessons)
    phone_tab.locator("article").get_by_role("link", name="Shrink it: pooling").click()
    assert phone_tab.url == f"{site_url}pooling.html"
    phone_tab.goto(f"{site_url}nowhere.html")
    phone_tab.locator("#search-words").fill("dropout")
    phone_tab.keyboard.press("Enter")
    phone_tab.wait_for_selector("#search-results li")
    assert phone_tab.url == f"{site_url}search.html?q=dropout"
    assert "404" not in read_html(book, "index")


@pytest.mark.parametrize(
    ("link", "expected"),
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
def test_links_of_the_404_page_start_at_the_site_root(link: str, expected: str) -> None:
    link, expected = (text.replace("content", "data-content") for text in (link, expected))
    assert RELATIVE.sub(r"\g<1>/o/", link) == expected


@pytest.mark.site
@pytest.mark.parametrize("name", PAGES)
def test_footer_names_the_packages_of_the_run(book: Project, name: str) -> None:
    text = footer(book, name)
    runs = bool(book.page(name).cells)
    assert ("Run " in text) == runs and "About this build" in text and "CC BY 4.0" in text
    if "import keras" in book.page(name).text:
        assert re.search(r", Keras \d+\.\d+\.\d+ · ", text), text
    assert "Sphinx and @pradyunsg's Furo" in text


def test_footer_links_to_the_edit_page_and_the_issue_form(book: Project, phone_tab: Page) -> None:
    phone_tab.goto(address(book, "reference/glossary"))
    edit, report = (
        phone_tab.locator("footer").get_by_role("link", name=name).get_attribute("href") or ""
        for name in ("Edit this page", "Report a problem")
    )
    assert edit == "https://github.com/Founders/onions/edit/main/book/reference/glossary.md"
    parts = urlsplit(report)
    assert parts._replace(query="").geturl() == "https://github.com/Founders/onions/issues/new"
    fields = parse_qs(parts.query, strict_parsing=True)
    assert fields["title"] == ["Page “Glossary”: "]
    assert fields["page"] == ["https://founders.github.io/onions/reference/glossary.html"]
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE" / fields.pop("template")[0]).read_text())
    assert {"title", *(part["id"] for part in form["body"])} >= {*fields}
    assert "Edit this page" not in read_html(book, "search") + read_html(book, "404")


def test_footer_gives_the_date_of_change_and_the_commit(small: Small) -> None:
    root = small(index="# One\n", other="# Other\n", third="# Third\n")
    git(root, "init", "-q")
    (root / ".gitignore").write_text("_build\n")
    first = commit(root, "2026-01-02")
    small(index="# One\n\nMore.\n", other="# Other\n", third="# Third\n")
    second = commit(root, "2026-03-04")
    book = build_site(root, GITHUB_SHA="")
    assert "Text changed 4 March 2026 · " in footer(book, "index")
    assert "Text changed 2 January 2026 · " in footer(book, "other")
    assert f"Built from {second[:7]}" in footer(book, "other") and first != second
    assert "with changes" not in footer(book, "other")
    commit_url = f"https://github.com/Founders/onions/commit/{second}"
    assert f'<a href="{commit_url}">{second[:7]}</a>' in read_html(book, "other")
    sitemap = (book.build / "html" / "sitemap.xml").read_text()
    assert re.findall("<lastmod>(.*?)</lastmod>", sitemap) == [
        "2026-03-04",
        "2026-01-02",
        "2026-01-02",
    ]

    (root / "book" / "other.md").write_text("# Other\n\nNew.\n")
    build_site(root, GITHUB_SHA="")
    assert "Text has changes that are not committed" in footer(book, "other")
    assert f"Built from {second[:7]}, with changes" in footer(book, "other")
    third = commit(root, "2026-05-06")  # the rendered text is current, but its date is not
    untouched = read_html(book, "third")
    build_site(root, GITHUB_SHA="")
    assert "Text changed 6 May 2026 · " in footer(book, "other")
    assert f"Built from {third[:7]}" in footer(book, "other")
    assert read_html(book, "third") == untouched  # a commit alone rewrites no other page
    build_site(root, GITHUB_SHA="0" * 40)
    assert "Built from 0000000" in footer(book, "third")


def test_shallow_clone_shows_no_date_of_change(small: Small, tmp_path: Path) -> None:
    root = small(index="# One\n")
    git(root, "init", "-q")
    commit(root, "2026-01-02")
    git(root, "commit", "-q", "--allow-empty", "-m", "Empty")
    git(tmp_path, "clone", "-q", "--depth", "1", root.as_uri(), "shallow")
    shallow = tmp_path / "shallow"
    for name in ("_config.yml", "requirements.lock"):
        shutil.copy(root / name, shallow)
    text = footer(build_site(shallow, GITHUB_SHA=""), "index")
    assert "Text changed" not in text and "Built from" in text
