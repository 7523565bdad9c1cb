"""The course: which pages belong to it, in which order, and when each begins in class."""

from itertools import accumulate
from typing import NamedTuple

from onions.book.project import Project


class CoursePosition(NamedTuple):
    """A page's place in the course: page `number` of `page_count`.

    In class it lasts from minute `start` to minute `end`, of `total` minutes.
    """

    number: int
    page_count: int
    start: int
    end: int
    total: int


def course_positions(project: Project) -> dict[str, CoursePosition]:
    """Return the position of each page of the course, by name; optional pages have none."""
    # Parsing a page takes time, and most pages of a large book are not lessons.
    pages = (page for page in project.pages() if "\nlesson:" in page.text)
    core = [page for page in pages if page.lesson and not page.lesson.get("optional")]
    minutes = [page.lesson["teaching"] + page.lesson["exercises"] for page in core]
    ends = list(accumulate(minutes))
    return {
        page.name: CoursePosition(number, len(core), end - length, end, ends[-1])
        for number, (page, length, end) in enumerate(zip(core, minutes, ends, strict=True), 1)
    }
