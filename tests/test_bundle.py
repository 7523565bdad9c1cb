"""The book as an EPUB, as a PDF and as a zip of its site: a small one, and the whole."""

import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest
from conftest import note_failures, run_onions, small_project, tree
from onions.pages import Project
from playwright.sync_api import Browser
from pypdf import PdfReader
from pypdf.generic import Destination

Small = Callable[..., Path]
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
LOOK = """() => {
  const all = [...document.querySelectorAll("body *")];
  const ids = all.map(e => e.id).filter(id => id);
  const links = all.map(e => e.getAttribute("href") ?? "").filter(link => link.startsWith("#"));
  return [
    all.filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML),
    ids.filter((id, place) => ids.indexOf(id) != place),
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
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A book with all three files."""
    if request.param == "book":
        root = request.getfixturevalue("book").root
    else:
        root = small_project(tmp_path_factory.mktemp("book"), **PAGES)
        assert run_onions(root, "execute").returncode == 0
    done = run_onions(root, "bundle")
    assert done.returncode == 0, done.stderr
    for kind in ("epub", "pdf", "zip"):
        path = root / "_build" / "bundle" / f"{NAME}.{kind}"
        assert re.search(rf"^{path} \([\d.]+ [KM]iB\)$", done.stdout, re.M), done.stdout
    assert done.stderr.splitlines() == [
        "Rendering the site.",
        "Writing the pages.",
        "Packing the EPUB.",
        "Printing the PDF.",
        "Zipping the site; its index.html opens in a browser, without a server or a network.",
    ]
    return Project(root)


@pytest.fixture(scope="module")
def epub(made: Project) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(made.build / "bundle" / f"{NAME}.epub") as archive:
        yield archive


@pytest.fixture(scope="module")
def pages(epub: zipfile.ZipFile) -> dict[str, Element]:
    """The EPUB's pages, by name; each is XML or this fails."""
    names = [name for name in epub.namelist() if name.endswith(".xhtml")]
    return {name: ElementTree.fromstring(epub.read(name)) for name in names}


@pytest.fixture(scope="module")
def pdf(made: Project) -> PdfReader:
    return PdfReader(made.build / "bundle" / f"{NAME}.pdf")


@pytest.fixture(scope="module")
def texts(pdf: PdfReader) -> list[str]:
    """What stands on each sheet of the PDF."""
    return [" ".join(page.extract_text().split()) for page in pdf.pages]


def package(epub: zipfile.ZipFile) -> Element:
    return ElementTree.fromstring(epub.read("content.opf"))


def text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_the_epub_is_recognised_as_one(epub: zipfile.ZipFile) -> None:
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


def test_the_package_lists_every_file_once_and_says_what_it_is(
    epub: zipfile.ZipFile, pages: dict[str, Element]
) -> None:
    items = list(package(epub).iter(f"{OPF}item"))
    own = ["mimetype", "META-INF/container.xml", "content.opf"]
    assert sorted([*own, *(unquote(item.attrib["href"]) for item in items)]) == sorted(
        epub.namelist()
    )
    assert len({item.attrib["id"] for item in items}) == len(items)
    for item in items:
        name, said = item.attrib["href"], set(item.get("properties", "").split())
        assert item.attrib["media-type"] == TYPES[Path(name).suffix], name
        tags = {part.tag.rpartition("}")[2] for part in pages[name].iter()} if name in pages else ()
        words = {"svg": "svg" in tags, "mathml": "math" in tags, "nav": name == "nav.xhtml"}
        words["cover-image"] = name == "_static/cover.svg"
        assert said == {word for word, holds in words.items() if holds}, name


def test_the_package_names_the_book_and_its_licence(epub: zipfile.ZipFile) -> None:
    [metadata] = package(epub).iter(f"{OPF}metadata")
    said = {element.tag: element.text or "" for element in metadata}
    assert said[f"{DC}title"] == "Networks are like onions" and said[f"{DC}language"] == "en"
    assert said[f"{DC}creator"] == "the authors of Networks are like onions"
    assert "CC BY 4.0" in said[f"{DC}rights"] and "MIT" in said[f"{DC}rights"]
    ncx = ElementTree.fromstring(epub.read("toc.ncx"))
    uids = [e.get("content") for e in ncx.iter() if e.get("name") == "dtb:uid"]
    assert uids == [said[f"{DC}identifier"]]


def test_chapters_stand_in_order_in_the_spine_and_in_the_contents(
    made: Project, epub: zipfile.ZipFile, pages: dict[str, Element]
) -> None:
    names = {i.attrib["id"]: i.attrib["href"] for i in package(epub).iter(f"{OPF}item")}
    spine = [names[ref.attrib["idref"]] for ref in package(epub).iter(f"{OPF}itemref")]
    chapters = [f"{page.name}.xhtml" for page in made.pages()]
    assert spine == ["epub-cover.xhtml", *chapters]
    [nav] = pages["nav.xhtml"].iter(f"{XHTML}nav")
    assert nav.attrib["{http://www.idpf.org/2007/ops}type"] == "toc"
    links = [link.attrib["href"] for link in nav.iter(f"{XHTML}a")]
    assert [link for link in links if "#" not in link] == chapters


def test_every_link_of_the_epub_resolves_and_nothing_is_loaded_from_elsewhere(
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


def test_nothing_in_the_epub_runs_folds_or_asks(pages: dict[str, Element]) -> None:
    for name, page in pages.items():
        tags = {element.tag.removeprefix(XHTML) for element in page.iter()}
        assert not tags & {"script", "form", "details", "input", "style", "iframe"}, name
        assert page.attrib["lang"] == "en", name
        assert all(image.get("alt") for image in page.iter(f"{XHTML}img")), name
        if name not in ("nav.xhtml", "epub-cover.xhtml"):
            assert "stand-in" in text(page), "every page says that its pictures are drawn"


def test_solutions_end_their_chapter_in_the_epub(made: Project, pages: dict[str, Element]) -> None:
    numbers = []
    for page in made.pages():
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


def test_answers_end_their_chapter_in_the_epub(made: Project, pages: dict[str, Element]) -> None:
    for page in made.pages():
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
    """The PDF's entries of the first level."""
    return [entry for entry in pdf.outline if isinstance(entry, Destination)]


def test_the_outline_of_the_pdf_has_every_chapter(made: Project, pdf: PdfReader) -> None:
    titles = [re.sub(r"[*`]", "", page.title) for page in made.pages()]
    assert [entry.title for entry in outline(pdf)] == ["Table of Contents", *titles, "Solutions"]
    numbers = [pdf.get_destination_page_number(entry) or 0 for entry in outline(pdf)]
    assert numbers == sorted(set(numbers)), "each chapter begins a page"


def test_the_pdf_is_tagged_a4_and_numbered(pdf: PdfReader, texts: list[str]) -> None:
    assert "/StructTreeRoot" in pdf.root_object and str(pdf.root_object["/Lang"]) == "en"
    assert pdf.metadata and pdf.metadata.title == "Networks are like onions"
    for number, page in enumerate(pdf.pages, 1):
        assert (round(page.mediabox.width), round(page.mediabox.height)) == A4
        assert texts[number - 1].split()[-1] == f"{number}"


def test_solutions_end_the_pdf(pdf: PdfReader, texts: list[str], pages: dict[str, Element]) -> None:
    *_, last = outline(pdf)
    start = pdf.get_destination_page_number(last) or 0
    found = [
        text(next(box.iter(f"{XHTML}p")))
        for page in pages.values()
        for box in page.iter(f"{XHTML}div")
        if "solution" in box.get("class", "").split()
    ]
    assert found
    for title in found:
        assert title in " ".join(texts[start:]) and title not in " ".join(texts[:start])
    for link, place in links(pdf):
        if "--solution-" in link:
            assert place >= start
    assert any("--exercise-" in link and place < start for link, place in links(pdf, start))


def links(pdf: PdfReader, start: int = 0) -> Iterator[tuple[str, int]]:
    """Yield the name and the page to which each link of the pages from `start` on leads."""
    for page in pdf.pages[start:]:
        for annotation in page.get("/Annots") or []:
            if name := annotation.get_object().get("/Dest"):
                place = pdf.get_destination_page_number(pdf.named_destinations[name])
                yield str(name), place if place is not None else -1


def test_the_files_are_small_enough_to_take_along(made: Project) -> None:
    assert (made.build / "bundle" / f"{NAME}.epub").stat().st_size < 10 * 2**20
    assert (made.build / "bundle" / f"{NAME}.pdf").stat().st_size < 15 * 2**20


def test_nothing_runs_off_the_paper_and_links_lead_somewhere(
    made: Project, chromium: Browser
) -> None:
    """Chromium would shrink the whole book until its widest part fits."""
    tab = chromium.new_page(viewport={"width": 642, "height": 900})  # A4 less the margins
    tab.emulate_media(media="print")
    tab.goto((made.build / "offline" / "epub" / "book.xhtml").as_uri())
    wide, twice, dead = tab.evaluate(LOOK)
    assert (wide, twice, dead) == ([], [], [])
    tab.close()


def test_the_zip_is_the_site_without_its_store(made: Project) -> None:
    site = made.build / "html"
    with zipfile.ZipFile(made.build / "bundle" / f"{NAME}.zip") as archive:
        names = archive.namelist()
        assert names == sorted(names) and archive.testzip() is None
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        files = {name: archive.read(name) for name in names}
    wanted = {f"{NAME}/{name}": data for name, data in tree(site).items()}
    assert files == {k: v for k, v in wanted.items() if not k.startswith(f"{NAME}/store/")}
    assert f"{NAME}/index.html" in files and len(files) < len(wanted)


def test_the_unzipped_site_opens_without_a_server(
    made: Project, chromium: Browser, tmp_path: Path
) -> None:
    with zipfile.ZipFile(made.build / "bundle" / f"{NAME}.zip") as archive:
        archive.extractall(tmp_path)
    tab = chromium.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    note_failures(tab, said)
    tab.goto((tmp_path / NAME / "index.html").as_uri())
    _, second, *_ = made.pages()
    tab.locator(f'article a[href="{second.name}.html"]').first.click()
    tab.wait_for_url((tmp_path / NAME / f"{second.name}.html").as_uri())  # and until it is loaded
    assert tab.locator("h1").inner_text().startswith(re.sub(r"[*`]", "", second.title))
    tab.goto((tmp_path / NAME / "search.html").as_uri())
    assert tab.locator("h1").count() == 1
    assert said == []
    tab.close()


def test_the_zip_is_of_the_book_as_it_stands(small: Small) -> None:
    """Without a render before, and after an edit of the prose."""
    root = small(index="# Title\n\nOne.\n")
    assert run_onions(root, "execute").returncode == 0
    for text in ("One.", "Two."):
        small(index=f"# Title\n\n{text}\n")
        done = run_onions(root, "bundle")
        assert done.returncode == 0, done.stderr
        with zipfile.ZipFile(root / "_build" / "bundle" / f"{NAME}.zip") as archive:
            assert f"<p>{text}</p>" in archive.read(f"{NAME}/index.html").decode()


def test_a_stale_page_is_refused(small: Small) -> None:
    root = small(index="# Title\n\n```{code-cell} python\n1\n```\n")
    assert "nothing is executed yet" in run_onions(root, "bundle").stderr
    assert run_onions(root, "execute").returncode == 0
    small(index="# Title\n\n```{code-cell} python\n2\n```\n")
    done = run_onions(root, "bundle")
    assert done.returncode == 1 and "index.md: cell 1 changed" in done.stderr
    assert not (root / "_build" / "bundle").exists()


def test_a_warning_and_a_page_that_is_no_xhtml_are_refused(small: Small) -> None:
    cell = "from IPython.display import HTML\n\nHTML('<p>one<br>two</p>')"
    page = f"# Title\n\n```{{code-cell}} python\n{cell}\n```\n"
    root = small(index=page)
    assert run_onions(root, "execute").returncode == 0
    for text, said in {
        f"{page}\nSee {{doc}}`nowhere`.\n": "unknown document",
        page: "index.xhtml: not XHTML",
    }.items():
        small(index=text)
        done = run_onions(root, "bundle")
        assert done.returncode == 1 and said in done.stderr
        assert "Traceback" not in done.stderr


def test_without_chromium_the_remedy_is_named(small: Small) -> None:
    root = small(index="# Title\n")
    assert run_onions(root, "execute").returncode == 0
    done = run_onions(root, "bundle", PATH="", CHROMIUM="", PLAYWRIGHT_BROWSERS_PATH="/nowhere")
    assert done.returncode == 2 and "Run `make browser`" in done.stderr
    done = run_onions(root, "bundle", CHROMIUM="/nowhere")
    assert done.returncode == 2 and "CHROMIUM is /nowhere" in done.stderr


def test_a_book_without_code_or_exercises(small: Small) -> None:
    root = small(index="# Title\n")
    assert run_onions(root, "execute").returncode == 0
    done = run_onions(root, "bundle")
    assert done.returncode == 0, done.stderr
    pdf = PdfReader(root / "_build" / "bundle" / f"{NAME}.pdf")
    assert [entry.title for entry in outline(pdf)] == ["Table of Contents", "Title"]
