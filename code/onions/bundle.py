"""The bundle: the book as an EPUB and as a PDF, made from the store, and its site as a zip.

Sphinx's epub builder writes the pages as XHTML, with what `onions.extension.offline` changes. The
EPUB is these pages; the PDF is the same pages as one, with the solutions last, printed by Chromium.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit
from xml.dom.minidom import Document, Element, Node, Text, parse
from xml.parsers.expat import ExpatError
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from onions.browser import chromium, find
from onions.pages import Project
from onions.site import STORE, SiteError, check_fresh, render, sphinx

NAME = "networks-are-like-onions"
CONTENTS, COVER = "nav.xhtml", "_static/cover.svg"
PROPERTIES = {"svg": "svg", "math": "mathml"}  # what an EPUB must say of a page with such elements
THEN = (1980, 1, 1, 0, 0, 0)  # for every file of the zip, so that the same site makes the same zip
FOOTER = '<p style="width: 100%; font: 9px sans-serif; text-align: center" class="pageNumber"></p>'


def bundle(project: Project, say: Callable[[str], None]) -> list[Path]:
    """Make the three files in ``_build/bundle`` and return their paths.

    Renders the site, too. Raises SiteError where a page is stale, is not well-formed, or Sphinx
    warns; and NoBrowser.
    """
    runs = [state.facts["executed"][:10] for state in check_fresh(project)]
    find()  # before everything that takes long
    say("Rendering the site.")
    site = render(project).parent
    work = project.build / "offline"
    shutil.rmtree(work, ignore_errors=True)
    say("Writing the pages.")
    options = {
        "html_static_path": [str(Path(__file__).parent / "extension" / "static")],
        "epub_css_files": ["bundle.css"],
        "epub_cover": (COVER, "epub-cover.html"),
        "template_bridge": "",  # no policy, since nothing could run
        "version": max(runs, default="never"),
    }
    if sphinx(project, work, "epub", options) != 0:
        raise SiteError("the pages could not be written (see above).")
    folder, made = work / "epub", [work / f"{NAME}.{kind}" for kind in ("epub", "pdf", "zip")]
    package = _read(folder, "content.opf")
    pages = {name: _read(folder, name) for name in _order(package)}
    say("Packing the EPUB.")
    _pack(folder, package, pages, made[0])
    say("Printing the PDF.")
    _print(_join(pages), folder / "book.xhtml", made[1])
    say("Zipping the site; its index.html opens in a browser, without a server or a network.")
    _zip(site, made[2])
    target = project.build / "bundle"
    target.mkdir(exist_ok=True)
    return [path.replace(target / path.name) for path in made]


def _read(folder: Path, name: str) -> Document:
    try:
        return parse(str(folder / name))  # noqa: S318, our own pages
    except ExpatError as error:
        raise SiteError(f"{folder / name}: not XHTML, which an EPUB needs: {error}") from error


def _order(package: Document) -> list[str]:
    """Return the pages' names in reading order: the title page, the contents, the chapters."""
    items = package.getElementsByTagName("item")
    names = {item.getAttribute("id"): unquote(item.getAttribute("href")) for item in items}
    first, *others = package.getElementsByTagName("itemref")
    chapters = [names[item.getAttribute("idref")] for item in others]
    return [names[first.getAttribute("idref")], CONTENTS, *chapters]


def _pack(folder: Path, package: Document, pages: dict[str, Document], target: Path) -> None:
    """Zip the pages with what they show, and say of each in the package what it contains."""
    [manifest] = package.getElementsByTagName("manifest")
    items = {unquote(i.getAttribute("href")): i for i in manifest.getElementsByTagName("item")}
    linked = {path for name, page in pages.items() for *_, path, _ in _links(page, name)}
    for name in items.keys() - pages.keys() - linked - {"toc.ncx"}:
        manifest.removeChild(items.pop(name))  # what comes with the style sheets of a site
    for name, page in pages.items():
        words = [word for tag, word in PROPERTIES.items() if page.getElementsByTagName(tag)]
        if words:
            items[name].setAttribute("properties", " ".join(words))
    items[COVER].setAttribute("properties", "cover-image")
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", ZIP_STORED)  # first, to be recognised
        archive.write(folder / "META-INF" / "container.xml", "META-INF/container.xml")
        archive.writestr("content.opf", package.toxml())
        for name in items:
            archive.write(folder / name, name)


def _links(page: Document, name: str) -> Iterator[tuple[Element, str, str, str]]:
    """Yield each link of a page within the book: its element and attribute, where it leads, and
    to which id there.
    """
    for element in page.getElementsByTagName("*"):
        for attribute in ("href", "src"):
            parts = urlsplit(element.getAttribute(attribute))
            if element.hasAttribute(attribute) and not parts.scheme:
                path = normpath(join(dirname(name), unquote(parts.path))) if parts.path else name
                yield element, attribute, path, unquote(parts.fragment)


def _join(pages: dict[str, Document]) -> Document:
    """Return all pages as one, and the solutions as its last chapter. The pages are used up."""
    book = next(iter(pages.values()))  # its head serves all
    chapters = []
    for name, page in pages.items():
        _point_within(page, name, pages)
        [body] = page.getElementsByTagName("body")
        parts = [node for node in body.childNodes if isinstance(node, Element)]
        chapters.append(_element(book, "section", *parts, **{"class": "chapter", "id": _id(name)}))
    [body] = book.getElementsByTagName("body")
    for chapter in [*chapters, *_solutions(book, chapters)]:
        body.appendChild(chapter)
    return book


def _point_within(page: Document, name: str, pages: dict[str, Document]) -> None:
    """Make the page's ids its own, and its links lead into the one document."""
    for element, attribute, path, fragment in _links(page, name):
        element.setAttribute(attribute, f"#{_id(path, fragment)}" if path in pages else path)
    for element in page.getElementsByTagName("*"):
        if element.hasAttribute("id"):
            element.setAttribute("id", _id(name, element.getAttribute("id")))


def _id(page: str, fragment: str = "") -> str:
    return f"{page.removesuffix('.xhtml').replace('/', '-')}{fragment and '--'}{fragment}"


def _solutions(book: Document, chapters: list[Element]) -> Iterator[Element]:
    """Take the solutions out of the chapters and yield them as a chapter, if there are any."""
    parts = []
    for chapter in chapters:
        for part in chapter.getElementsByTagName("section"):
            if part.getAttribute("class") == "solutions":
                [heading] = part.getElementsByTagName("h2")
                title = book.createTextNode(_text(chapter.getElementsByTagName("h1")[0]))
                part.replaceChild(_element(book, "h2", title), heading)
                parts.append(part)
    if parts:
        head = _element(book, "h1", book.createTextNode("Solutions"))
        entry = _element(book, "a", book.createTextNode("Solutions"), href="#solutions")
        [_, contents, *_] = chapters
        contents.getElementsByTagName("ol")[0].appendChild(_element(book, "li", entry))
        yield _element(book, "section", head, *parts, **{"class": "chapter", "id": "solutions"})


def _element(book: Document, name: str, *children: Element | Text, **attributes: str) -> Element:
    element = book.createElement(name)
    for attribute, value in attributes.items():
        element.setAttribute(attribute, value)
    for child in children:
        element.appendChild(child)
    return element


def _text(node: Node) -> str:
    return "".join(n.data if isinstance(n, Text) else _text(n) for n in node.childNodes)


def _print(book: Document, page: Path, target: Path) -> None:
    page.write_text(book.toxml(), "utf-8")
    with chromium() as browser:
        tab = browser.new_page(java_script_enabled=False)
        tab.set_default_timeout(0)  # a slow machine is no error
        tab.goto(page.as_uri())
        tab.pdf(
            path=target,
            prefer_css_page_size=True,
            display_header_footer=True,
            header_template="<p></p>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
        )


def _zip(site: Path, target: Path) -> None:
    """Zip the site without its store, in a folder of the book's name."""
    files = (path.relative_to(site) for path in site.rglob("*") if path.is_file())
    with ZipFile(target, "w") as archive:
        for path in sorted(path for path in files if path.parts[0] != STORE):
            member = ZipInfo(f"{NAME}/{path.as_posix()}", THEN)
            archive.writestr(member, (site / path).read_bytes(), ZIP_DEFLATED)
