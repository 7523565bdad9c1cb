"""The course: the required lesson pages in order, and the minutes of each in class."""

from itertools import accumulate
from typing import NamedTuple

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
    # Parsing is slow, and most pages of a large book are not lessons.
    pages = (page for page in project.pages() if "\nlesson:" in page.text)
    core = [page for page in pages if page.lesson and not page.lesson.get("optional")]
    minutes = [page.lesson["teaching"] + page.lesson["exercises"] for page in core]
    ends = list(accumulate(minutes))
    return {
        page.name: CoursePosition(number, len(core), end - length, end, ends[-1])
        for number, (page, length, end) in enumerate(zip(core, minutes, ends, strict=True), 1)
    }
