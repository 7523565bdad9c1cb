"""The EPUB, the PDF and the zip of the site, for a small project and the whole book."""

import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest
from onions.book.project import Project
from playwright.sync_api import Browser
from pypdf import PdfReader
from pypdf.generic import Destination
from support.browsing import record_failures, record_messages
from support.projects import Small, make_once, onions_command, small_project, tree, variables
from support.runs import store_runs

pytestmark = pytest.mark.browser  # Chromium prints the PDF

Element = ElementTree.Element

XHTML = "{http://www.w3.org/1999/xhtml}"
OPF = "{http://www.idpf.org/2007/opf}"
DC = "{http://purl.org/dc/elements/1.1/}"
NAME = "networks-are-like-onions"
TYPES = {
    ".xhtml": "application/xhtml+xml",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ncx": "application/x-dtbncx+xml",
}
A4 = (595, 842)  # in points
FIND_PROBLEMS = """() => {
  const all = [...document.querySelectorAll("body *")];
  const ids = all.map(e => e.id).filter(id => id);
  const links = all.map(e => e.getAttribute("href") ?? "").filter(link => link.startsWith("#"));
  return [
    all.filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML),
    ids.filter((id, index) => ids.indexOf(id) != index),
    links.filter(link => !ids.includes(link.slice(1))),
  ];
}"""

ONE = """# One *word*

Here $n^2$ is a formula, {ref}`exercise-a` an exercise.

`````{exercise-start} How many
:label: exercise-a
`````
Count.
`````{exercise-end}
`````

`````{solution-start} exercise-a
:label: solution-a
`````
As many as here: 42.

```{code-cell} python
---
mystnb: {image: {alt: A line.}, figure: {name: fig-line, caption: A caption.}}
---
import matplotlib.pyplot as plt

plt.plot([1, 2]);
```
`````{solution-end}
`````

## Same

```{code-cell} python
---
tags: [hide-cell]
mystnb: {code_prompt_show: "What folds"}
---
import pandas

pandas.DataFrame({"long_" * 60: ["<x>"]})
```
"""
PAGES = {
    "index": "# First\n\nSee {doc}`one`, [there](https://example.org) and {ref}`fig-line`.\n",
    "one": ONE,
    "two": "# Two\n\n## Same\n\nText of the last chapter. {doc}`Back <index>`.\n",
}


@pytest.fixture(scope="module", params=["small", "book"])
def bundled(request: pytest.FixtureRequest, shared_folder: Path) -> Project:
    """A project with the EPUB, the PDF and the zip."""
    if request.param == "book":
        root = request.getfixturevalue("book").root
    else:
        root = shared_folder / "bundled"
    with make_once(root / "_build" / "bundle") as is_new:
        if is_new:
            make_bundle(root)
    return Project(root)


def run_bundle(root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `onions bundle` in a new process, since Playwright already runs in this one."""
    return subprocess.run(
        onions_command(root, "bundle"),
        env=variables(**environment),
        capture_output=True,
        text=True,
    )


def make_bundle(root: Path) -> None:
    if root.name == "bundled":
        small_project(root, **PAGES)
        store_runs(root)
    done = run_bundle(root)
    assert done.returncode == 0, done.stderr
    for kind in ("epub", "pdf", "zip"):
        path = root / "_build" / "bundle" / f"{NAME}.{kind}"
        assert re.search(rf"^{path} \([\d.]+ [KM]iB\)$", done.stdout, re.M), done.stdout
    assert done.stderr.splitlines() == [
        "Rendering the site.",
        "Zipping it. Its index.html opens in a browser without a server or a network.",
        "Writing the pages.",
        "Packing the EPUB.",
        "Printing the PDF.",
    ]


@pytest.fixture(scope="module")
def epub(bundled: Project) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(bundled.build / "bundle" / f"{NAME}.epub") as archive:
        yield archive


@pytest.fixture(scope="module")
def pages(epub: zipfile.ZipFile) -> dict[str, Element]:
    """The EPUB's pages, by name; a page must be XML."""
    names = [name for name in epub.namelist() if name.endswith(".xhtml")]
    return {name: ElementTree.fromstring(epub.read(name)) for name in names}


@pytest.fixture(scope="module")
def pdf(bundled: Project) -> PdfReader:
    return PdfReader(bundled.build / "bundle" / f"{NAME}.pdf")


@pytest.fixture(scope="module")
def sheet_texts(pdf: PdfReader) -> list[str]:
    """The text of each page of the PDF."""
    return [" ".join(page.extract_text().split()) for page in pdf.pages]


def package(epub: zipfile.ZipFile) -> Element:
    return ElementTree.fromstring(epub.read("content.opf"))


def text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_epub_begins_with_its_media_type(epub: zipfile.ZipFile) -> None:
    first = epub.infolist()[0]
    assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
    assert first.extra == b"" and epub.read(first) == b"application/epub+zip"
    container = ElementTree.fromstring(epub.read("META-INF/container.xml"))
    [root] = container.iter("{urn:oasis:names:tc:opendocument:xmlns:container}rootfile")
    assert root.attrib == {
        "full-path": "content.opf",
        "media-type": "application/oebps-package+xml",
    }
    assert epub.testzip() is None


def test_package_lists_every_file_once_with_its_properties(
    epub: zipfile.ZipFile, pages: dict[str, Element]
) -> None:
    items = list(package(epub).iter(f"{OPF}item"))
    own = ["mimetype", "META-INF/container.xml", "content.opf"]
    assert sorted([*own, *(unquote(item.attrib["href"]) for item in items)]) == sorted(
        epub.namelist()
    )
    assert len({item.attrib["id"] for item in items}) == len(items)
    for item in items:
        name, properties = item.attrib["href"], set(item.get("properties", "").split())
        assert item.attrib["media-type"] == TYPES[Path(name).suffix], name
        tags = {part.tag.rpartition("}")[2] for part in pages[name].iter()} if name in pages else ()
        expected = {"svg": "svg" in tags, "mathml": "math" in tags, "nav": name == "nav.xhtml"}
        expected["cover-image"] = name == "_static/cover.svg"
        assert properties == {key for key, holds in expected.items() if holds}, name


def test_package_names_the_book_and_its_licence(epub: zipfile.ZipFile) -> None:
    [metadata] = package(epub).iter(f"{OPF}metadata")
    values = {element.tag: element.text or "" for element in metadata}
    assert values[f"{DC}title"] == "Networks are like onions" and values[f"{DC}language"] == "en"
    assert values[f"{DC}creator"] == "the authors of Networks are like onions"
    assert "CC BY 4.0" in values[f"{DC}rights"] and "MIT" in values[f"{DC}rights"]
    ncx = ElementTree.fromstring(epub.read("toc.ncx"))
    uids = [e.get("content") for e in ncx.iter() if e.get("name") == "dtb:uid"]
    assert uids == [values[f"{DC}identifier"]]


def test_spine_and_contents_list_the_chapters_in_order(
    bundled: Project, epub: zipfile.ZipFile, pages: dict[str, Element]
) -> None:
    names = {i.attrib["id"]: i.attrib["href"] for i in package(epub).iter(f"{OPF}item")}
    spine = [names[ref.attrib["idref"]] for ref in package(epub).iter(f"{OPF}itemref")]
    chapters = [f"{page.name}.xhtml" for page in bundled.pages()]
    assert spine == ["epub-cover.xhtml", *chapters]
    [nav] = pages["nav.xhtml"].iter(f"{XHTML}nav")
    assert nav.attrib["{http://www.idpf.org/2007/ops}type"] == "toc"
    links = [link.attrib["href"] for link in nav.iter(f"{XHTML}a")]
    assert [link for link in links if "#" not in link] == chapters


def test_every_link_of_the_epub_resolves_and_no_file_is_external(
    epub: zipfile.ZipFile, pages: dict[str, Element]
) -> None:
    ids = {
        name: [e.attrib["id"] for e in page.iter() if "id" in e.attrib]
        for name, page in pages.items()
    }
    checked = 0
    for name, page in pages.items():
        assert len(ids[name]) == len(set(ids[name])), name
        for element in page.iter():
            for attribute in {"href", "src"} & element.attrib.keys():
                parts = urlsplit(element.attrib[attribute])
                if parts.scheme:
                    assert element.tag == f"{XHTML}a" and attribute == "href", element.attrib
                    continue
                target = normpath(join(dirname(name), unquote(parts.path))) if parts.path else name
                assert target in epub.namelist(), f"{name}: {parts.path}"
                assert not parts.fragment or unquote(parts.fragment) in ids[target], (
                    f"{name}: {parts}"
                )
                checked += 1
    assert checked > 10
    for style in (name for name in epub.namelist() if name.endswith(".css")):
        assert not re.search(r"url\(|@import", epub.read(style).decode()), style


def test_epub_has_no_interactive_elements(pages: dict[str, Element]) -> None:
    for name, page in pages.items():
        tags = {element.tag.removeprefix(XHTML) for element in page.iter()}
        assert not tags & {"script", "form", "details", "input", "style", "iframe"}, name
        assert page.attrib["lang"] == "en", name
        assert all(image.get("alt") for image in page.iter(f"{XHTML}img")), name
        if name not in ("nav.xhtml", "epub-cover.xhtml"):
            assert "stand-in" in text(page), "a page does not name the stand-in"


def test_solutions_come_last_in_each_chapter_of_the_epub(
    bundled: Project, pages: dict[str, Element]
) -> None:
    numbers = []
    for page in bundled.pages():
        sections = {e.get("id"): e for e in pages[f"{page.name}.xhtml"].iter(f"{XHTML}section")}
        boxes = list(pages[f"{page.name}.xhtml"].iter(f"{XHTML}div"))
        exercises = [box for box in boxes if "exercise" in box.get("class", "").split()]
        solutions = [box for box in boxes if "solution" in box.get("class", "").split()]
        assert len(exercises) == len(solutions)
        if not exercises:
            assert "solutions" not in sections
            continue
        assert list(sections["solutions"])[1:] == solutions
        for exercise, solution in zip(exercises, solutions, strict=True):
            [*_, link] = exercise.iter(f"{XHTML}a")
            [back, *_] = solution.iter(f"{XHTML}a")
            assert (text(link), link.get("href")) == ("Solution", f"#{solution.attrib['id']}")
            assert back.get("href") == f"#{exercise.attrib['id']}"
            number = re.match(r"Exercise (\d+)", text(exercise))
            assert number and text(back).startswith(number[0])
            numbers.append(int(number[1]))
    assert numbers == list(range(1, len(numbers) + 1)) and numbers


def test_quiz_answers_come_last_in_each_chapter_of_the_epub(
    bundled: Project, pages: dict[str, Element]
) -> None:
    for page in bundled.pages():
        chapter = pages[f"{page.name}.xhtml"]
        boxes = [box for box in chapter.iter(f"{XHTML}div") if box.get("class") == "quiz"]
        sections = {e.get("id"): e for e in chapter.iter(f"{XHTML}section")}
        if not boxes:
            assert "quiz-answers" not in sections
            continue
        title, *groups = sections["quiz-answers"]
        assert text(title) == "Answers to the questions"
        for number, (box, group) in enumerate(zip(boxes, groups, strict=True), 1):
            assert text(box).startswith(f"Question {number} ")
            [link] = box.iter(f"{XHTML}a")
            [back] = group.iter(f"{XHTML}a")
            assert (text(link), link.get("href")) == ("Answer", f"#{group.attrib['id']}")
            assert back.get("href") == f"#{box.attrib['id']}"
            assert text(group).count("✓ Right.") == 1 <= text(group).count("✗ Not quite.")


def outline(pdf: PdfReader) -> list[Destination]:
    """Return the PDF's outline entries of the first level."""
    return [entry for entry in pdf.outline if isinstance(entry, Destination)]


def test_outline_of_the_pdf_has_every_chapter(bundled: Project, pdf: PdfReader) -> None:
    titles = [re.sub(r"[*`]", "", page.title) for page in bundled.pages()]
    assert [entry.title for entry in outline(pdf)] == ["Table of Contents", *titles, "Solutions"]
    numbers = [pdf.get_destination_page_number(entry) or 0 for entry in outline(pdf)]
    assert numbers == sorted(set(numbers)), "two chapters share a page"


def test_pdf_is_tagged_a4_and_numbered(pdf: PdfReader, sheet_texts: list[str]) -> None:
    assert "/StructTreeRoot" in pdf.root_object and str(pdf.root_object["/Lang"]) == "en"
    assert pdf.metadata and pdf.metadata.title == "Networks are like onions"
    for number, page in enumerate(pdf.pages, 1):
        assert (round(page.mediabox.width), round(page.mediabox.height)) == A4
        assert sheet_texts[number - 1].split()[-1] == f"{number}"
    assert not any("Show what" in sheet for sheet in sheet_texts)  # above the logs of `fit`


def test_solutions_come_last_in_the_pdf(
    pdf: PdfReader, sheet_texts: list[str], pages: dict[str, Element]
) -> None:
    *_, last = outline(pdf)
    start = pdf.get_destination_page_number(last) or 0
    titles = [
        text(next(box.iter(f"{XHTML}p")))
        for page in pages.values()
        for box in page.iter(f"{XHTML}div")
        if "solution" in box.get("class", "").split()
    ]
    assert titles
    for title in titles:
        assert title in " ".join(sheet_texts[start:]) and title not in " ".join(sheet_texts[:start])
    for link, target in links(pdf):
        if "--solution-" in link:
            assert target >= start
    assert any("--exercise-" in link and target < start for link, target in links(pdf, start))


def links(pdf: PdfReader, start: int = 0) -> Iterator[tuple[str, int]]:
    """Yield each link's name and target page, from page `start` on; page numbers begin at 0."""
    for page in pdf.pages[start:]:
        for annotation in page.get("/Annots") or []:
            if name := annotation.get_object().get("/Dest"):
                target = pdf.get_destination_page_number(pdf.named_destinations[name])
                yield str(name), target if target is not None else -1


def test_epub_and_pdf_stay_within_their_size_limits(bundled: Project) -> None:
    assert (bundled.build / "bundle" / f"{NAME}.epub").stat().st_size < 10 * 2**20
    assert (bundled.build / "bundle" / f"{NAME}.pdf").stat().st_size < 15 * 2**20


def test_print_has_no_overflow_no_repeated_id_and_no_dead_link(
    bundled: Project, chromium: Browser
) -> None:
    """If a part were too wide, Chromium would shrink the whole book."""
    tab = chromium.new_page(viewport={"width": 642, "height": 900})  # A4 minus the margins
    tab.emulate_media(media="print")
    tab.goto((bundled.build / "offline" / "epub" / "book.xhtml").as_uri())
    too_wide, repeated_ids, dead_links = tab.evaluate(FIND_PROBLEMS)
    assert (too_wide, repeated_ids, dead_links) == ([], [], [])
    tab.close()


def test_zip_is_the_site_without_its_store_and_images_to_train_with(bundled: Project) -> None:
    site = bundled.build / "html"
    with zipfile.ZipFile(bundled.build / "bundle" / f"{NAME}.zip") as archive:
        names = archive.namelist()
        assert names == sorted(names) and archive.testzip() is None
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        files = {name: archive.read(name) for name in names}
    expected = {f"{NAME}/{name}": data for name, data in tree(site).items()}
    left_out = re.compile(rf"{NAME}/store/|.*\.bin$")
    assert files == {name: data for name, data in expected.items() if not left_out.match(name)}
    assert f"{NAME}/index.html" in files and len(files) < len(expected)


def test_unzipped_site_opens_without_a_server(
    bundled: Project, chromium: Browser, tmp_path: Path
) -> None:
    with zipfile.ZipFile(bundled.build / "bundle" / f"{NAME}.zip") as archive:
        archive.extractall(tmp_path)
    tab = chromium.new_page()
    messages = record_messages(tab)
    record_failures(tab, messages)
    tab.goto((tmp_path / NAME / "index.html").as_uri())
    _, second, *_ = bundled.pages()
    tab.locator(f'article a[href="{second.name}.html"]').first.click()
    tab.wait_for_url((tmp_path / NAME / f"{second.name}.html").as_uri())  # also waits for the load
    assert tab.locator("h1").inner_text().startswith(re.sub(r"[*`]", "", second.title))
    tab.goto((tmp_path / NAME / "search.html").as_uri())
    assert tab.locator("h1").count() == 1
    assert messages == []
    tab.close()


def test_zip_has_the_current_text(small: Small) -> None:
    """Bundling renders the site if there is none, and again after an edit."""
    root = small(index="# Title\n\nOne.\n")
    store_runs(root)
    for text in ("One.", "Two."):
        small(index=f"# Title\n\n{text}\n")
        done = run_bundle(root)
        assert done.returncode == 0, done.stderr
        with zipfile.ZipFile(root / "_build" / "bundle" / f"{NAME}.zip") as archive:
            assert f"<p>{text}</p>" in archive.read(f"{NAME}/index.html").decode()


def test_stale_page_is_refused(small: Small) -> None:
    root = small(index="# Title\n\n```{code-cell} python\n1\n```\n")
    assert "nothing executed yet" in run_bundle(root).stderr
    store_runs(root)
    small(index="# Title\n\n```{code-cell} python\n2\n```\n")
    done = run_bundle(root)
    assert done.returncode == 1 and "index.md: cell 1 changed" in done.stderr
    assert not (root / "_build" / "bundle").exists()


def test_warning_and_invalid_xhtml_are_refused(small: Small) -> None:
    cell = "from IPython.display import HTML\n\nHTML('<p>one<br>two</p>')"
    page = f"# Title\n\n```{{code-cell}} python\n{cell}\n```\n"
    root = small(index=page)
    store_runs(root)
    for text, message in {
        f"{page}\nSee {{doc}}`nowhere`.\n": "unknown document",
        page: "index.xhtml: not well-formed XHTML",
    }.items():
        small(index=text)
        done = run_bundle(root)
        assert done.returncode == 1 and message in done.stderr
        assert "Traceback" not in done.stderr


def test_missing_chromium_error_names_the_remedy(small: Small) -> None:
    root = small(index="# Title\n")
    store_runs(root)
    done = run_bundle(root, PATH="", CHROMIUM="", PLAYWRIGHT_BROWSERS_PATH="/nowhere")
    assert done.returncode == 2 and "Run `make browser`" in done.stderr
    done = run_bundle(root, CHROMIUM="/nowhere")
    assert done.returncode == 2 and "CHROMIUM=/nowhere: no such program" in done.stderr


def test_pdf_without_exercises_has_no_solutions(small: Small) -> None:
    root = small(index="# Title\n")
    store_runs(root)
    done = run_bundle(root)
    assert done.returncode == 0, done.stderr
    pdf = PdfReader(root / "_build" / "bundle" / f"{NAME}.pdf")
    assert [entry.title for entry in outline(pdf)] == ["Table of Contents", "Title"]
