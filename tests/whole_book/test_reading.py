"""Reading aids: tips, hints, the instructor view, print."""

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from onions.book.project import Project
from playwright.sync_api import Browser, Page
from pypdf import PdfReader
from support.browsing import CONTRAST_RULES, axe_violations
from support.projects import address, read_html, read_page
from support.runs import build_site

INSTRUCTOR = "?instructor"
COURSE = (
    "layer_types",
    "image_data",
    "convolution",
    "pooling",
    "training",
    "diagnosis",
    "dropout",
)


def lessons(book: Project) -> list[str]:
    return [page.name for page in book.pages() if page.lesson]


@pytest.mark.site
def test_page_shows_its_number_in_the_course(book: Project) -> None:
    course = [n for n in lessons(book) if not book.page(n).lesson.get("optional")]
    for number, name in enumerate(course, 1):
        [stage] = read_page(book, name).select(".stage")
        assert stage.text.strip() == f"Page {number} of {len(course)}"
        assert len(stage.select(".peeled")) == number
    for name in ("setup", "inspection", "reference/glossary"):
        assert read_page(book, name).select(".stage") == []


@pytest.mark.site
def test_one_button_opens_the_hint_and_solution_of_every_exercise(book: Project, tab: Page) -> None:
    numbers = []
    for name in lessons(book):
        tab.goto(address(book, name))
        exercises = tab.locator("div.exercise")
        titles = exercises.locator("> .admonition-title").all_inner_texts()
        numbers += [int(title.split()[1]) for title in titles]
        hints, solutions = exercises.locator("details.hint p"), tab.locator("details.solution p")
        assert hints.count() >= exercises.count() and solutions.count() >= exercises.count(), name
        if not exercises.count():
            continue
        button = tab.get_by_role("button", name="Open all that is folded")
        button.focus()
        tab.keyboard.press("Enter")
        assert all(part.is_visible() for part in [*hints.all(), *solutions.all()]), name
        tab.get_by_role("button", name="Close all that is folded").click()
        assert not any(part.is_visible() for part in [*hints.all(), *solutions.all()]), name
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) >= len(COURSE)


@pytest.mark.site
def test_hint_opens_without_javascript(book: Project, scriptless_tab: Page) -> None:
    scriptless_tab.goto(address(book, "dropout"))
    text = scriptless_tab.locator("details.hint p:not(.admonition-title)").first
    assert not text.is_visible()
    scriptless_tab.locator("details.hint summary").first.click()
    assert text.is_visible()
    assert not scriptless_tab.locator(".open-all").is_visible()  # the button needs JavaScript


@pytest.mark.site
@pytest.mark.parametrize("kind", [".std-term", "[href*=bibliography]"])
def test_tip_opens_on_hover_focus_and_tap(book: Project, chromium: Browser, kind: str) -> None:
    context = chromium.new_context(has_touch=True, reduced_motion="reduce")
    tab = context.new_page()
    tab.goto(address(book, "dropout"))
    page_url = tab.url
    link = tab.locator("article a", has=tab.locator(kind)) if kind[0] == "." else None
    link = (link or tab.locator(f"article a{kind}")).first
    tip = tab.locator(f"#{link.get_attribute('aria-describedby')}")
    assert not tip.is_visible()

    link.hover()
    assert tip.is_visible() and len(tip.inner_text()) > 20
    box = tip.bounding_box()
    assert box
    tab.mouse.move(box["x"] + 5, box["y"] + 5, steps=4)  # the pointer may move onto the tip
    assert tip.is_visible()
    tab.keyboard.press("Escape")
    assert not tip.is_visible()
    link.hover()
    tab.mouse.move(0, 0)
    tip.wait_for(state="hidden")

    tab.keyboard.press("Tab")
    link.focus()
    assert tip.is_visible()
    tab.keyboard.press("Tab")
    assert not tip.is_visible()

    link.tap()
    assert tip.is_visible() and tab.url == page_url
    tab.locator("h1").tap()
    assert not tip.is_visible()
    link.tap()
    link.tap()
    tab.wait_for_url("**/reference/*.html#*")
    context.close()


@pytest.mark.site
def test_tip_has_the_text_of_the_glossary(book: Project, tab: Page) -> None:
    tab.goto(address(book, "pooling"))
    tips = {}
    for link in tab.locator("article a:has(.std-term)").all():
        tip = tab.locator(f"#{link.get_attribute('aria-describedby')}")
        tips[link.get_attribute("href") or ""] = tip.text_content() or ""
    assert len(tips) >= 5
    for href, text in tips.items():
        tab.goto(f"{address(book, 'pooling').removesuffix('pooling.html')}{href}")
        definition = tab.locator(f"dt#{href.partition('#')[2]} + dd").inner_text()
        assert " ".join(text.split()) == " ".join(definition.split())


@pytest.mark.site
def test_tip_works_without_javascript_and_fits_a_phone(book: Project, chromium: Browser) -> None:
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": 390, "height": 800}
    )
    tab = context.new_page()
    tab.goto(address(book, "dropout"))
    for link in tab.locator("article a:has(.std-term):visible").all():
        link.hover()
        box = link.locator("xpath=following-sibling::*[1]").bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390
    context.close()


@pytest.mark.site
def test_the_instructor_view_is_kept_from_page_to_page(book: Project, tab: Page) -> None:
    tab.goto(address(book, "dropout"))
    note, time = tab.locator(".admonition.instructor").first, tab.get_by_text("In class:")
    assert not note.is_visible() and not time.is_visible()
    tab.get_by_role("link", name="Instructor view").focus()
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**{INSTRUCTOR}*")
    assert note.is_visible() and time.is_visible()

    tab.locator(".prev-page").click()
    tab.wait_for_url(f"**/diagnosis.html{INSTRUCTOR}*")
    assert tab.locator(".admonition.instructor").first.is_visible()
    tab.locator(".sidebar-search").fill("pooling")
    tab.keyboard.press("Enter")
    tab.locator("#search-results a").first.click()
    tab.wait_for_url(lambda url: "search.html" not in url)
    assert "instructor" in tab.url

    tab.get_by_role("link", name="Learner view").click()
    tab.wait_for_url(lambda url: "instructor" not in url)
    assert not tab.locator(".instructor-only").first.is_visible()


@pytest.mark.site
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_violation_in_elements_that_appear_later(
    book: Project, chromium: Browser, width: int
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",  # otherwise the page scrolls under the pointer
    )
    tab = context.new_page()
    tab.goto(address(book, "dropout") + INSTRUCTOR)
    assert tab.locator(".instructor").first.is_visible()
    for by in (2000, -500):  # Furo's link to the top would now cover the text
        tab.mouse.wheel(0, by)
        tab.wait_for_timeout(300)
    assert not tab.locator(".back-to-top").is_visible()
    tab.locator("article a:has(.std-term):visible").first.hover()
    assert tab.locator(".tip.open").is_visible()
    assert axe_violations(tab) == []
    tab.emulate_media(color_scheme="dark")
    assert axe_violations(tab, rules=CONTRAST_RULES) == []
    context.close()


@pytest.mark.site
def test_instructor_page_has_all_notes_without_javascript(
    book: Project, scriptless_tab: Page
) -> None:
    """Without JavaScript, the lessons hide their notes, but the instructor page shows them all."""
    notes = []
    for name in lessons(book):
        scriptless_tab.goto(address(book, name))
        assert not any(
            note.is_visible() for note in scriptless_tab.locator(".instructor-only").all()
        )
        texts = scriptless_tab.locator(".admonition.instructor p:not(.admonition-title)")
        notes += [text.split("\n")[0] for text in texts.all_text_contents()]
    scriptless_tab.goto(address(book, "reference/instructor"))
    text = scriptless_tab.locator("article").inner_text()
    assert len(notes) >= 10 and all(note in text for note in notes)


@pytest.mark.site
def test_key_points_and_exercises_are_gathered(book: Project) -> None:
    [article] = read_page(book, "reference/keypoints").select("article")
    text = article.text.replace("’", "'")
    for name in lessons(book):
        assert all(point in text for point in book.page(name).lesson["keypoints"]), name

    cards = read_page(book, "reference/exercises").select(".gathered")
    assert len(cards) >= len(COURSE)
    for number, card in enumerate(cards, 1):
        link = card.select("a")[0]
        assert link.text.startswith(f"Exercise {number}: ")
        page, _, anchor = str(link["href"]).removeprefix("../").partition(".html#")
        [exercise] = read_page(book, page).select(f"#{anchor}.exercise")
        question = card.select("p, li")[1].text.split(".")[0]
        assert link.text.split(": ")[1] in exercise.text and question in exercise.text


@pytest.mark.site
@pytest.mark.parametrize("javascript", [True, False])
def test_print_shows_every_solution_and_hint(
    book: Project, chromium: Browser, javascript: bool
) -> None:
    context = chromium.new_context(java_script_enabled=javascript)
    tab = context.new_page()
    tab.goto(address(book, "dropout"))
    pages = PdfReader(BytesIO(tab.pdf())).pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    assert "There is no single right answer." in text  # in a solution
    assert "The row is the true class, the column the answer." in text  # in a hint
    assert "Open all that is folded" not in text and "In class:" not in text
    assert not re.search(r"Epoch \d+/\d+", text)  # in the log of `fit`
    if javascript:
        assert text.index("Key points") < text.index("Solutions") < text.index("Solution to")
    context.close()


def test_odd_titles_are_kept_and_other_glossaries_get_no_tips(small: Callable[..., Path]) -> None:
    exercise = "`````{exercise} The number of {layers}, 70 %\n:label: e\n\nHow many?\n`````\n"
    links = "[One](https://example.org/glossary.html#term-layer), {ref}`term-weights`.\n"
    glossary = "```{glossary}\nlayer\n  A part.\n```\n"
    other = f"# Other\n\n(term-weights)=\n\n## Weights\n\nA heading.\n\n{glossary}"
    root = small(index=f"# T\n\n{links}\n{exercise}\n```{{all-exercises}}\n```\n", other=other)
    page = read_html(build_site(root), "index")
    assert "Exercise 1: The number of {layers}, 70 %" in page
    assert 'class="tip"' not in page
