"""The bundle: the book as an EPUB and a PDF, made from the store, and its site as a zip.

`onions.extension.downloads.epub` adapts the pages, and Sphinx's epub builder writes them as XHTML.
The EPUB contains these pages. For the PDF, Chromium prints them as one document, with the solutions
at the end.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit
from xml.dom.minidom import Document, Element, Node, Text, parse
from xml.parsers.expat import ExpatError
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from onions.base.imports import PACKAGE
from onions.base.locks import folder_lock
from onions.book.project import Project
from onions.images.download import Notify
from onions.site.browser import find_chromium, launch_chromium
from onions.site.render import (
    SITE_STORE,
    SiteError,
    check_fresh,
    render_locked,
    site_lock,
)
from onions.site.sphinx_build import build_book

NAME = "networks-are-like-onions"
CONTENTS, COVER = "nav.xhtml", "_static/cover.svg"
# For each element, the property that EPUB 3's manifest requires for pages with this element.
PROPERTIES = {"svg": "svg", "math": "mathml"}
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # of every file: equal sites make equal zips
FOOTER = '<p style="width: 100%; font: 9px sans-serif; text-align: center" class="pageNumber"></p>'


def make_bundle(project: Project, notify: Notify) -> list[Path]:
    """Make the EPUB, the PDF and the zip in ``_build/bundle``; return their paths in this order.

    Also renders the site. Calls `notify` with a line before each step. Raises NoBrowser if Chromium
    is missing or does not start, SiteError if a page is not well-formed or can't be built, and the
    errors of `render`.
    """
    check_fresh(project)
    find_chromium()  # fail before the slow steps
    work, target = project.build / "offline", project.build / "bundle"
    with folder_lock(work, notify):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        site_zip = work / f"{NAME}.zip"
        with site_lock(project, notify):
            notify("Rendering the site.")
            site = render_locked(project).parent
            notify("Zipping it. Its index.html opens in a browser without a server or a network.")
            _zip_site(site, site_zip)
        epub, pdf = _make_books(project, work, notify)
        target.mkdir(exist_ok=True)
        return [path.replace(target / path.name) for path in (epub, pdf, site_zip)]


def _make_books(project: Project, work: Path, notify: Notify) -> tuple[Path, Path]:
    """Make the EPUB and the PDF in the folder `work`; return their paths."""
    notify("Writing the pages.")
    runs = [state.last_run["executed"][:10] for state in check_fresh(project)]
    options = {
        "html_static_path": [str(PACKAGE / "extension" / "downloads" / "static")],
        "epub_css_files": ["bundle.css"],
        "epub_cover": (COVER, "epub-cover.html"),
        "template_bridge": "",  # omits the security policy, since no script runs
        "version": max(runs, default="never"),
    }
    if build_book(project, work, "epub", options) != 0:
        raise SiteError("the pages could not be built. Correct the problems above.")
    folder = work / "epub"
    epub, pdf = work / f"{NAME}.epub", work / f"{NAME}.pdf"
    package = _read(folder, "content.opf")
    pages = {name: _read(folder, name) for name in _page_names(package)}
    notify("Packing the EPUB.")
    _pack_epub(folder, package, pages, epub)
    notify("Printing the PDF.")
    _print_pdf(_join_pages(pages), folder / "book.xhtml", pdf)
    return epub, pdf


def _read(folder: Path, name: str) -> Document:
    """Parse a file of the EPUB. Raises SiteError if it is not well-formed."""
    try:
        return parse(str(folder / name))  # noqa: S318, our own pages
    except ExpatError as error:
        raise SiteError(
            f"{folder / name}: not well-formed XHTML ({error}). Correct the page's HTML."
        ) from error


def _page_names(package: Document) -> list[str]:
    """Return the pages' names in reading order: title page, contents, chapters."""
    items = package.getElementsByTagName("item")
    names = {item.getAttribute("id"): unquote(item.getAttribute("href")) for item in items}
    first, *others = package.getElementsByTagName("itemref")
    chapters = [names[item.getAttribute("idref")] for item in others]
    return [names[first.getAttribute("idref")], CONTENTS, *chapters]


def _pack_epub(folder: Path, package: Document, pages: dict[str, Document], target: Path) -> None:
    """Zip the pages and the files that they link to, with a manifest of exactly these files."""
    [manifest] = package.getElementsByTagName("manifest")
    items = {unquote(i.getAttribute("href")): i for i in manifest.getElementsByTagName("item")}
    linked = {path for name, page in pages.items() for *_, path, _ in _links(page, name)}
    for name in items.keys() - pages.keys() - linked - {"toc.ncx"}:
        manifest.removeChild(items.pop(name))  # used only by the site's style sheets
    for name, page in pages.items():
        properties = [word for tag, word in PROPERTIES.items() if page.getElementsByTagName(tag)]
        if properties:
            items[name].setAttribute("properties", " ".join(properties))
    items[COVER].setAttribute("properties", "cover-image")
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        # EPUB requires this file to be first and uncompressed.
        archive.writestr("mimetype", "application/epub+zip", ZIP_STORED)
        archive.write(folder / "META-INF" / "container.xml", "META-INF/container.xml")
        archive.writestr("content.opf", package.toxml())
        for name in items:
            archive.write(folder / name, name)


def _links(page: Document, name: str) -> Iterator[tuple[Element, str, str, str]]:
    """Yield a page's links within the book: element, attribute, target path and target id."""
    for element in page.getElementsByTagName("*"):
        for attribute in ("href", "src"):
            parts = urlsplit(element.getAttribute(attribute))
            if element.hasAttribute(attribute) and not parts.scheme:
                path = normpath(join(dirname(name), unquote(parts.path))) if parts.path else name
                yield element, attribute, path, unquote(parts.fragment)


def _join_pages(pages: dict[str, Document]) -> Document:
    """Move all pages into the first, with the solutions as the last chapter, and return it."""
    book = next(iter(pages.values()))  # all pages have the same head
    chapters = []
    for name, page in pages.items():
        _make_ids_unique(page, name, pages)
        [body] = page.getElementsByTagName("body")
        parts = [node for node in body.childNodes if isinstance(node, Element)]
        chapters.append(_element(book, "section", *parts, **{"class": "chapter", "id": _id(name)}))
    [body] = book.getElementsByTagName("body")
    for chapter in [*chapters, *_move_solutions(book, chapters)]:
        body.appendChild(chapter)
    return book


def _make_ids_unique(page: Document, name: str, pages: dict[str, Document]) -> None:
    """Prefix a page's ids with its name, and adapt its links to the prefixed ids."""
    for element, attribute, path, fragment in _links(page, name):
        element.setAttribute(attribute, f"#{_id(path, fragment)}" if path in pages else path)
    for element in page.getElementsByTagName("*"):
        if element.hasAttribute("id"):
            element.setAttribute("id", _id(name, element.getAttribute("id")))


def _id(page: str, fragment: str = "") -> str:
    return f"{page.removesuffix('.xhtml').replace('/', '-')}{fragment and '--'}{fragment}"


def _move_solutions(book: Document, chapters: list[Element]) -> Iterator[Element]:
    """Move the solutions out of the chapters; yield a chapter of them if there are any."""
    parts = []
    for chapter in chapters:
        for part in chapter.getElementsByTagName("section"):
            if part.getAttribute("class") == "solutions":
                [heading] = part.getElementsByTagName("h2")
                title = book.createTextNode(_text(chapter.getElementsByTagName("h1")[0]))
                part.replaceChild(_element(book, "h2", title), heading)
                parts.append(part)
    if parts:
        heading = _element(book, "h1", book.createTextNode("Solutions"))
        entry = _element(book, "a", book.createTextNode("Solutions"), href="#solutions")
        [_, contents, *_] = chapters
        contents.getElementsByTagName("ol")[0].appendChild(_element(book, "li", entry))
        yield _element(book, "section", heading, *parts, **{"class": "chapter", "id": "solutions"})


def _element(book: Document, name: str, *children: Element | Text, **attributes: str) -> Element:
    element = book.createElement(name)
    for attribute, value in attributes.items():
        element.setAttribute(attribute, value)
    for child in children:
        element.appendChild(child)
    return element


def _text(node: Node) -> str:
    return "".join(n.data if isinstance(n, Text) else _text(n) for n in node.childNodes)


def _print_pdf(book: Document, page: Path, target: Path) -> None:
    """Write the document to the file `page`, and print it to `target`."""
    page.write_text(book.toxml(), "utf-8")
    with launch_chromium() as browser:
        tab = browser.new_page(java_script_enabled=False)
        tab.set_default_timeout(0)  # no timeout on slow machines
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


def _zip_site(site: Path, target: Path) -> None:
    """Zip the site in a folder named after the book.

    Its store and the images for training in a browser stay out: without a server, no explorer runs.
    """
    files = (path.relative_to(site) for path in site.rglob("*") if path.is_file())
    kept = (path for path in files if path.parts[0] != SITE_STORE and path.suffix != ".bin")
    with ZipFile(target, "w") as archive:
        for path in sorted(kept):
            member = ZipInfo(f"{NAME}/{path.as_posix()}", ZIP_TIME)
            archive.writestr(member, (site / path).read_bytes(), ZIP_DEFLATED)
