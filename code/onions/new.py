"""``onions new``: a page that keeps the rules, runs and renders as it stands, to be written over.

It is made from ``templates/page.md``, and an exercise from ``templates/exercise.md``.
"""

import re
from pathlib import Path
from string import Template

import yaml
from sphinx_external_toc.parsing import MalformedError, parse_toc_data

from onions.files import write_whole
from onions.lint import named
from onions.pages import YAML, Page, PageError, Project

TEMPLATES = Path(__file__).with_name("templates")
NAME = re.compile(r"(?:[a-z][a-z0-9_]*/)*[a-z][a-z0-9_]*")
BESIDE = "Optional"  # the part of the table of contents where a page goes unless told otherwise
NEXT = """\
Next, as in CONTRIBUTING.md:
  make live                        see it while you write it
  .venv/bin/onions check {0}
  make check test"""
MINUTES = 5  # of the template's exercise


def add_page(
    project: Project, name: str, *, after: str = "", part: str = "", exercise: bool = False
) -> tuple[Page, str]:
    """Write a new page and its entry in ``_toc.yml``, both or neither.

    It stands after the page `after`, or at the end of the `part` with this caption. Among the pages
    of the course it is one of them, elsewhere optional. Returns the page, and the name of the one
    before it. Raises PageError or OSError.
    """
    _check_name(project, name)
    before = named(project, [after])[0] if after else _last(project, part)
    contents = _with_entry(project, before.name, name)
    of_course = before.lesson and not before.lesson.get("optional")
    page = Page(name, project.book / f"{name}.md", _page(name, not of_course, exercise))
    write_whole(page.path, page.text)
    try:
        write_whole(_toc(project), contents)
    except BaseException:
        page.path.unlink()
        raise
    return page, before.name


def add_exercise(project: Project, name: str) -> str:
    """Write an exercise and its solution below a page's text; return its label.

    Raises PageError or OSError.
    """
    page = named(project, [name])[0]
    label = first = f"exercise-{_label(page.name)}"
    texts = [other.text for other in project.pages()]
    number = 1
    while any(re.search(rf":label: +{label}$", text, re.M) for text in texts):
        number += 1
        label = f"{first}-{number}"
    write_whole(page.path, f"{page.text.rstrip()}\n\n{_exercise(page.title, label)}")
    return label


def _check_name(project: Project, name: str) -> None:
    if not NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9/]+", "_", name.removesuffix(".md").lower()).strip("_/")
        hint = f", as in {better}" if NAME.fullmatch(better) else ""
        raise PageError(f"{name}: a page's name is small letters, digits and underscores{hint}")
    path = project.book / f"{name}.md"
    if path.exists():
        raise PageError(f"{path}: it is there already; --exercise adds an exercise to it")
    if name in [page.name for page in project.pages()]:
        raise PageError(f"{name}: _toc.yml has it already, without a file")
    if not path.parent.is_dir():
        raise PageError(f"{path.parent}: there is no such folder; make it first, or use another")


def _last(project: Project, part: str) -> Page:
    """Return the last page of a part; of the whole book if none is asked for and none is BESIDE."""
    text = _toc(project).read_text("utf-8")
    parts = {str(p.get("caption")): p for p in yaml.load(text, YAML).get("parts") or ()}  # noqa: S506
    if part and part not in parts:
        raise PageError(f"_toc.yml: no part is called {part}; there are {', '.join(parts)}")
    if (part or BESIDE) in parts:
        return project.page(str(parts[part or BESIDE]["chapters"][-1]["file"]).removesuffix(".md"))
    return project.pages()[-1]


def _with_entry(project: Project, before: str, name: str) -> str:
    """Return the table of contents with a page after another, in its format. Raises PageError."""
    lines = _toc(project).read_text("utf-8").splitlines()
    entry = re.compile(rf"(\s*)- file: *[\"']?{re.escape(before)}(?:\.md)?[\"']?\s*(?:#.*)?")
    found = [(at, match[1]) for at, line in enumerate(lines) if (match := entry.fullmatch(line))]
    if found:
        at, indent = found[0]
        at += 1
        while at < len(lines) and re.match(rf"{indent}\s+\S", lines[at]):  # what belongs to it
            at += 1
        text = "\n".join([*lines[:at], f"{indent}- file: {name}", *lines[at:], ""])
        pages = [page.name for page in project.pages()]
        if _names(text) and {*_names(text)} == {*pages, name}:
            return text
    raise PageError(f"_toc.yml: no place found after {before}; add - file: {name} by hand")


def _names(toc: str) -> list[str]:
    try:
        return [n.removesuffix(".md") for n in parse_toc_data(yaml.load(toc, YAML))]  # noqa: S506
    except (MalformedError, yaml.YAMLError):
        return []


def _page(name: str, optional: bool, exercise: bool) -> str:
    title, label = _title(name), _label(name)
    text = _filled(
        "page.md",
        title=title,
        label=label,
        optional="  optional: true\n" if optional else "",
        exercises=str(MINUTES if exercise else 0),
    )
    return f"{text}\n{_exercise(title, f'exercise-{label}')}" if exercise else text


def _exercise(title: str, label: str) -> str:
    solution = f"solution-{label.removeprefix('exercise-')}"
    return _filled("exercise.md", title=title, label=label, solution=solution)


def _filled(template: str, **parts: str) -> str:
    return Template((TEMPLATES / template).read_text("utf-8")).substitute(parts)


def _title(name: str) -> str:
    return name.rpartition("/")[2].replace("_", " ").capitalize()


def _label(name: str) -> str:
    return re.sub(r"[/_]", "-", name)


def _toc(project: Project) -> Path:
    return project.root / "_toc.yml"
