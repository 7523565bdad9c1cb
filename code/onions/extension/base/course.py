"""The course: the lesson pages in order, and the minutes of the required ones in class."""

from itertools import accumulate
from typing import NamedTuple

from onions.book.page import Page
from onions.book.project import Project


class CoursePosition(NamedTuple):
    """A page's position in the course: page `number` of `page_count`, counted from 1.

    In class, the page takes from minute `start` to minute `end` of `total`, counted from 0.
    """

    number: int
    page_count: int
    start: int
    end: int
    total: int


def course_positions(project: Project) -> dict[str, CoursePosition]:
    """Return the course positions by page name; optional pages have none."""
    core, _ = lesson_pages(project)
    minutes = [page.lesson["teaching"] + page.lesson["exercises"] for page in core]
    ends = list(accumulate(minutes))
    return {
        page.name: CoursePosition(number, len(core), end - length, end, ends[-1])
        for number, (page, length, end) in enumerate(zip(core, minutes, ends, strict=True), 1)
    }


def lesson_pages(project: Project) -> tuple[list[Page], list[Page]]:
    """Return the required lesson pages and the optional ones, each in the book's order."""
    # Parsing is slow, and most pages of a large book are not lessons.
    pages = [page for page in project.pages() if "\nlesson:" in page.text and page.lesson]
    optional = [page for page in pages if page.lesson.get("optional")]
    return [page for page in pages if page not in optional], optional
