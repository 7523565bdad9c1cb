"""``onions new``: add a page or an exercise from a template in ``templates``.

An unedited page follows the rules, runs and renders.
"""

import re
from pathlib import Path
from string import Template

import yaml
from sphinx_external_toc.parsing import MalformedError, parse_toc_data

from onions.base.files import rewrite, write_atomic
from onions.book.page import YAML_LOADER, Page, PageError
from onions.book.project import Project, select_pages

TEMPLATES = Path(__file__).with_name("templates")
NAME = re.compile(r"(?:[a-z][a-z0-9_]*/)*[a-z][a-z0-9_]*")
DEFAULT_PART = "Optional"  # the part of the table of contents for new pages
NEXT = """\
Next steps, as in CONTRIBUTING.md:
  make live                        preview the page while you write
  .venv/bin/onions check {0}
  make check test"""
MINUTES = 5  # for the template's exercise


def add_page(
    project: Project, name: str, *, after: str = "", exercise: bool = False
) -> tuple[Page, str]:
    """Write a new page and its entry in ``_toc.yml``; if either fails, write neither.

    The page follows the page `after`, by default the last page of DEFAULT_PART. It is optional
    unless the previous page belongs to the course. Returns the new page and the name of the
    previous page. Raises PageError if the page can't be added, OSError if a write fails.
    """
    _check_name(project, name)
    previous = select_pages(project, [after])[0] if after else _last_page(project)
    toc = _toc_with_entry(project, previous.name, name)
    in_course = previous.lesson and not previous.lesson.get("optional")
    page = Page(name, project.book / f"{name}.md", _page_text(name, not in_course, exercise))
    write_atomic(page.path, page.text)
    try:
        rewrite(project.toc, toc)
    except BaseException:
        page.path.unlink()
        raise
    return page, previous.name


def add_exercise(project: Project, name: str) -> str:
    """Append an exercise and its solution to a page; return the exercise's label.

    Raises PageError if a page can't be read, OSError if the write fails.
    """
    page = select_pages(project, [name])[0]
    label = base = f"exercise-{_label(page.name)}"
    texts = [page.text for page in project.pages()]
    number = 1
    while any(re.search(rf":label: +{label}$", text, re.M) for text in texts):
        number += 1
        label = f"{base}-{number}"
    rewrite(page.path, f"{page.text.rstrip()}\n\n{_exercise_text(page.title, label)}")
    return label


def _check_name(project: Project, name: str) -> None:
    if not NAME.fullmatch(name):
        valid = re.sub(r"[^a-z0-9/]+", "_", name.removesuffix(".md").lower()).strip("_/")
        hint = f", as in {valid}" if NAME.fullmatch(valid) else ""
        raise PageError(
            f"{name}: invalid page name. Use lowercase letters, digits and underscores{hint}."
        )
    path = project.book / f"{name}.md"
    if path.exists():
        raise PageError(f"{path}: the page exists already. Use --exercise to add an exercise.")
    if not path.parent.is_dir():
        raise PageError(f"{path.parent}: no such folder. Create it, or choose another.")


def _last_page(project: Project) -> Page:
    """Return the last page of DEFAULT_PART; the last page of the book if it has no such part."""
    toc = yaml.load(project.toc.read_text("utf-8"), YAML_LOADER)  # noqa: S506, a safe loader
    for part in toc.get("parts") or ():
        files = [chapter["file"] for chapter in part["chapters"] if "file" in chapter]
        if part.get("caption") == DEFAULT_PART and files:
            return project.page(str(files[-1]).removesuffix(".md"))
    return project.pages()[-1]


def _toc_with_entry(project: Project, previous: str, name: str) -> str:
    """Return the text of ``_toc.yml`` with an entry for `name` after the entry of `previous`.

    All other lines stay unchanged. Raises PageError if the entry can't be inserted.
    """
    lines = project.toc.read_text("utf-8").splitlines()
    entry = re.compile(rf"(\s*)- file: *[\"']?{re.escape(previous)}(?:\.md)?[\"']?\s*(?:#.*)?")
    matches = [(i, match[1]) for i, line in enumerate(lines) if (match := entry.fullmatch(line))]
    if matches:
        index, indent = matches[0]
        end = index + 1
        while end < len(lines) and re.match(rf"{indent}\s+\S", lines[end]):  # the entry's options
            end += 1
        text = "\n".join([*lines[:end], f"{indent}- file: {name}", *lines[end:], ""])
        pages = [page.name for page in project.pages()]
        if _page_names(text) and {*_page_names(text)} == {*pages, name}:
            return text
    raise PageError(f"_toc.yml: can't insert a page after {previous}. Add - file: {name} by hand.")


def _page_names(toc: str) -> list[str]:
    """Return the page names in the text of a ``_toc.yml``; an empty list if it is invalid."""
    try:
        return [n.removesuffix(".md") for n in parse_toc_data(yaml.load(toc, YAML_LOADER))]  # noqa: S506
    except (MalformedError, yaml.YAMLError):
        return []


def _page_text(name: str, optional: bool, exercise: bool) -> str:
    title, label = _title(name), _label(name)
    text = _fill_template(
        "page.md",
        title=title,
        label=label,
        optional="  optional: true\n" if optional else "",
        exercises=str(MINUTES if exercise else 0),
    )
    return f"{text}\n{_exercise_text(title, f'exercise-{label}')}" if exercise else text


def _exercise_text(title: str, label: str) -> str:
    solution = f"solution-{label.removeprefix('exercise-')}"
    return _fill_template("exercise.md", title=title, label=label, solution=solution)


def _fill_template(template: str, **values: str) -> str:
    return Template((TEMPLATES / template).read_text("utf-8")).substitute(values)


def _title(name: str) -> str:
    return name.rpartition("/")[2].replace("_", " ").capitalize()


def _label(name: str) -> str:
    return re.sub(r"[/_]", "-", name)
