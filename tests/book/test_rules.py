import pytest
from onions.book.project import Project
from onions.book.prose import study_minutes
from onions.book.rules import apply_rules
from support.lessons import CLAIMING_PAGE, FRONT_MATTER, LESSON_BODY, QUIZ, add_glossary
from support.pages import BUILD_ONLY_TAGS, EXPORT_TAGS, cell
from support.projects import Small


@pytest.mark.parametrize("call", ["default_rng(1)", "Random('a')", "random.random()", "rand(3)"])
def test_a_seeded_generator_repeats(small: Small, call: str) -> None:
    assert apply_rules(Project(small(index=f"# Title\n\n{cell(call)}")).page("index")) == []


def test_a_page_that_keeps_the_rules_has_no_findings(small: Small) -> None:
    assert apply_rules(Project(small(index=CLAIMING_PAGE)).page("index")) == []


@pytest.mark.parametrize(
    ("text", "line", "rule", "message"),
    [
        (cell("x = 1\nimport numpy likes np"), 5, "python", "invalid syntax"),
        (cell("!pip install keras"), 4, "python", "invalid syntax"),
        (cell("import asyncio\nawait asyncio.sleep(1)"), 5, "python", "'await' outside function"),
        (cell("x = 1\nreturn x"), 5, "python", "'return' outside function"),
        (cell("x = 1\nnp.random.default_rng()"), 5, "repeats", "np.random.default_rng() draws"),
        (cell("uuid.uuid4()"), 4, "repeats", "uuid.uuid4() draws"),
        (cell("import onions.claims"), 4, "own-code", "visible cell imports onions"),
        (cell("x = 1", ":tags: [build-only]\n"), 5, "own-code", "without the tag remove-cell"),
        (
            cell("from onions.exports import export", BUILD_ONLY_TAGS),
            5, "exports", "without the tag export",
        ),
        (cell("x = 1", EXPORT_TAGS), 5, "exports", "imports nothing from onions.exports"),
        (
            cell("from onions.exports import export\nmeasure('x', 1)", EXPORT_TAGS),
            5, "exports", "meas",
        ),
        (cell("x = 1\n" * 21) + 2 * cell("y = 1"), 4, "short-cells", "cell has 21 lines"),
        (cell("x = 1\n" * 7), 4, "short-cells", "more than 6 lines"),
        (cell("x = 1\ny = '" + "a" * 90 + "'"), 5, "short-cells", "characters"),
        (
            cell('claim("It shrinks.", True)', BUILD_ONLY_TAGS),
            5, "claims", "does not contain “It shrinks.”",
        ),
        (
            "It runs.\n"
            + cell('claim("It runs.", True)', BUILD_ONLY_TAGS.replace("]", ", skip-execution]")),
            6, "claims", "is tagged skip-execution",
        ),
        (
            "`````{exercise-start} Count\n:label: exercise-a\n`````\nHow many?\n"
            "`````{exercise-end}\n`````",
            3, "solutions", "exercise-a has no solution",
        ),
        (
            ":::{quiz} one\nHow many {term}`kernels <kernel>`?\n\nOne.\n: `n == 1` Yes.\n:::\n",
            4, "quiz-links", "a link in a quiz",
        ),
        (cell("import matplotlib.pyplot as plt\nplt.plot([1])"), 4, "alt-text", "without alt text"),
        ('<img src="https://a.org/b.png">', 3, "loads", "blocks <img> with https://a.org/b.png"),
        ("<iframe\nsrc='//a.org/b'></iframe>", 3, "loads", "blocks <iframe> with //a.org/b"),
        ('<button onclick="f()">', 3, "loads", "the script in onclick of <button>"),
        ('<a href="javascript:f()">', 3, "loads", "the script in href of <a>"),
        ("A\n<object data='b.swf'>", 4, "loads", "blocks <object> with b.swf"),
        ('<video src="a.mp4">', 3, "loads", "<video> with a.mp4: no such file in"),
        ('<video src="_static/a.mp4">', 3, "loads", "no such file in"),
        ("![A b](https://a.org/b.png)", 3, "loads", "blocks the picture https://a.org/b.png"),
        (":::{figure} http://a.org/b.png\n:::", 3, "loads", "the picture http://a.org/b.png"),
        ("![A b](<a b.png>)", 3, "files", "the name of a b.png contains other characters"),
        ("![A b](a%20b.png)", 3, "files", "the name of a b.png contains other characters"),
        ("```{image} bä.png\n```", 3, "files", "the name of bä.png contains other characters"),
        ("![A b](a.png)", 3, "files", "a.png: no such file"),
        ("{download}`A <a.csv>`, {download}`_static/onion.svg`", 3, "files", "a.csv: no such file"),
        ("[A b](<a b.csv>)", 3, "files", "the name of a b.csv contains other characters"),
        ("![](_static/onion.svg)", 3, "alt-text", "without alt text"),
        ("There are 307,300 of them.", 3, "numbers", "“307,300” is typed by hand"),
        ("It reaches 53.1 % now.", 3, "numbers", "“53.1 %” is typed by hand"),
        ("First line.\nThis is simply so.", 3, "words", "“simply”"),
        ("A page that cannot lie.", 3, "words", "“cannot lie”: say what is done"),
        ("We flip them by chance.", 3, "words", "“by chance”: write “at random”"),
        ("The result stands on the page.", 3, "words", "“stands on”: write “is”"),
        ("The images lie in no order.", 3, "words", "“in no order”: write “shuffled”"),
        ("It is 35% of them.", 3, "percent", "“5%” without a space"),
        ("So {glue:text}`share:.0%` of them.", 3, "percent", "`share:.0%`” without a space"),
        (cell("a = b\na, c = images / 255, 1"), 5, "float32", "images / 255 without float32"),
        (cell("images /= 255.0"), 4, "float32", "images / 255 without float32"),
    ],
)  # fmt: skip
def test_a_finding_has_a_line_a_rule_and_a_message(
    small: Small, text: str, line: int, rule: str, message: str
) -> None:
    root = small(index=f"# Title\n\n{text}\n")
    (root / "book" / "a b.csv").touch()
    findings = apply_rules(Project(root).page("index"))
    assert [(f.line, f.rule) for f in findings] == [(line, rule)]
    assert message in findings[0].message


def study_time(small: Small, text: str, front_matter: str = FRONT_MATTER) -> int:
    return study_minutes(Project(small(index=f"{front_matter}# T\n\n{text}\n")).page("index"))


EXERCISE = (
    "`````{exercise-start} Long\n:label: e\n`````\n" + "word " * 500 + "\n"
    "`````{exercise-end}\n`````\n\n"
)
SOLUTION = (
    "`````{solution-start} e\n:label: s\n`````\n"
    + cell("y = 1\n" * 30)
    + "`````{solution-end}\n`````\n\n"
)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("word " * 10 * 130, 10),
        ("`word` is in code. " * 130, 4),
        (cell("a = 1\n\nb = 2\n" * 15), 3),
        (cell("a = 1\n" * 50, ":tags: [hide-output]\n"), 5),
        (QUIZ.format("a") * 4, 4),
        (":::{explorer} pooling\n" + "word " * 500 + "\n:::\n", 2),
    ],
)
def test_a_page_takes_the_time_of_its_parts(small: Small, text: str, minutes: int) -> None:
    assert study_time(small, text) == minutes


@pytest.mark.parametrize(
    "text",
    [
        cell("z = 1\n" * 50, ":tags: [hide-cell]\n"),
        cell("z = 1\n" * 50, "---\ntags: [remove-input, build-only]\n---\n"),
        ":::{instructor} 5\n" + "word " * 500 + "\n:::\n",
        "::::{dropdown} More\n" + "word " * 500 + "\n::::\n",
        "% " + "word " * 500,
        "```text\n" + "word " * 500 + "\n```\n",
    ],
)
def test_parts_that_most_readers_skip_take_no_time(small: Small, text: str) -> None:
    assert study_time(small, f"{text}\n\n" + "word " * 260) == 2


def test_exercises_take_their_practice_or_as_long_as_in_class(small: Small) -> None:
    text = EXERCISE + SOLUTION + "word " * 260
    lesson = FRONT_MATTER.replace("exercises: 0", "exercises: 7")
    assert study_time(small, text, lesson) == 9
    assert study_time(small, text, lesson.replace("s: 7", "s: 7, practice: 20")) == 22


@pytest.mark.parametrize(("minutes", "found"), [(1, False), (2, True)])
def test_notes_fit_into_the_minutes_in_class(small: Small, minutes: int, found: bool) -> None:
    note = f":::{{instructor}} {minutes}\nAsk.\n:::\n"
    page = Project(small(index=f"{FRONT_MATTER}# T\n\n{note}{LESSON_BODY}")).page("index")
    messages = [finding.message for finding in apply_rules(page)]
    assert messages == (["the notes take 2 minutes; the page has 1 in class"] if found else [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "A pooling layer.",
            "link the first “pooling layer”: {term}`pooling layer`",
        ),
        ("Two pooling layers.", "{term}`pooling layers <pooling layer>`"),
        ("ReLU. Then {term}`ReLU`.", "link the first “ReLU”"),
        ("{term}`ReLU` and {term}`ReLU`.", "“ReLU” is linked again"),
        ("{term}`Max pooling <max pooling>` is done by a pooling layer.", "“pooling layer”"),
        ("{term}`ReLU`\n\n## Max pooling\n\nMax pooling.", "“Max pooling”"),
        ("{term}`ReLU`, then ReLU.", ""),
        ("`ReLU` in code, {doc}`ReLU <index>`, relu-like.", ""),
        ("# ReLU\n\n{term}`ReLU`s.", ""),
        ("A pooling\nlayer.", "link the first “pooling layer”"),
        ("{term}`pooling\nlayer` and a pooling layer.", ""),
        ("[More](https://example.org/ReLU), $ReLU(x)$, <!-- ReLU -->\n\n% ReLU", ""),
        ("````{note}\n```python\nx\n```\n````\n\nReLU here.", "link the first “ReLU”"),
        ("`````{solution-start} e\n`````\nReLU\n`````{solution-end}\n`````\n\nReLU.", "“ReLU”"),
        (":::{instructor} 1\nReLU\n:::\n\nReLU.", "“ReLU”"),
        (QUIZ.format("first") + "{term}`ReLU`.", ""),
        ("Matrices.", "{term}`Matrices <matrix>`"),
    ],
)
def test_a_term_is_linked_at_its_first_use(small: Small, text: str, message: str) -> None:
    root = small(index=f"{FRONT_MATTER}# T\n\n{text}{LESSON_BODY}\n")
    add_glossary(root)
    messages = [f.message for f in apply_rules(Project(root).page("index"))]
    assert bool(messages) == bool(message) and message in "".join(messages[:1])


def test_a_finding_about_a_term_has_the_line_of_the_term(small: Small) -> None:
    root = small(
        index=f"{FRONT_MATTER}# T\n\nSome `a\nb` code.\nThen a line.\nReLU.{LESSON_BODY}\n"
    )
    add_glossary(root)
    findings = apply_rules(Project(root).page("index"))
    lines = (root / "book" / "index.md").read_text().splitlines()
    assert [lines[f.line - 1] for f in findings] == ["ReLU."]


def test_a_lesson_needs_three_quizzes_with_unique_names(small: Small) -> None:
    two_quizzes = LESSON_BODY.replace(QUIZ.format("three"), "")
    project = Project(
        small(index=f"{FRONT_MATTER}# T{LESSON_BODY}", other=f"{FRONT_MATTER}# T{two_quizzes}")
    )
    messages = [f.message for f in apply_rules(project.page("other")) if f.rule == "quizzes"]
    assert messages == ["the page has 2 of at least 3 quizzes"]
    duplicates = [(f.line, f.message) for f in apply_rules(project.page("index"))]
    lines = (project.book / "index.md").read_text().splitlines()
    assert [lines[line - 1] for line, _ in duplicates] == [":::{quiz} one", ":::{quiz} two"]
    assert duplicates[0][1] == "other.md also has a quiz named one"


def test_a_claim_is_found_in_the_text_despite_a_linked_term(small: Small) -> None:
    page = CLAIMING_PAGE.replace("It grows.\n", "It {term}`grows <growth>`.\n")
    assert apply_rules(Project(small(index=page)).page("index")) == []


@pytest.mark.parametrize(
    "text",
    [
        "{glue:text}`parameters:,d` of them.",
        "About 3.25 % of them {cite}`barz2020`.",
        cell("x = 123_456\ny = '1,234'"),
        "See `307,300` in the summary.",
        "The adjustment is unjust.",
        "Better than chance. A bookstand stands. She gives it out.",
        "It is 35 % of `a%b` and {glue:text}`share:.0f` %; {cite}`a9`; `9%`, `5%`.",
        cell("a = images.astype('float32') / 255\nprint((images / 255).nbytes, images[:9] / 255)"),
        cell("a = images / 255", BUILD_ONLY_TAGS),
    ],
)
def test_text_that_keeps_the_rules_has_no_findings(small: Small, text: str) -> None:
    assert apply_rules(Project(small(index=f"# Title\n\n{text}\n")).page("index")) == []


@pytest.mark.parametrize(
    "text",
    [
        '<video src="_static/onion.svg#t=1" poster="data:image/png;base64,iVBO"></video>',
        '<a href="https://a.org">A link</a>, [another](https://a.org) and <https://a.org>.',
        'An `<iframe src="https://a.org">` in code, 1 < 2 and `![A](https://a.org/b.png)`.',
        "![A](_static/onion.svg), [b](/_static/onion.svg), {download}`_static/onion.svg`.",
    ],
)
def test_the_sites_files_and_links_may_be_used(small: Small, text: str) -> None:
    assert apply_rules(Project(small(index=f"# T\n\n{text}\n")).page("index")) == []


def test_code_examples_are_not_checked_as_markup(small: Small) -> None:
    example = "``{quiz}`` ``![](a.png)``\n\n````markdown\n:::{quiz} one\n![](a.png)\n:::\n````\n"
    assert apply_rules(Project(small(index=f"# T\n\n{example}")).page("index")) == []


def test_files_of_editors_beside_the_pages_are_not_read(small: Small) -> None:
    root = small(index=CLAIMING_PAGE + QUIZ.format("one"))
    for name in (".#index.md", "._index.md", ".ipynb_checkpoints/index-checkpoint.md", "draft.md"):
        (root / "book" / name).parent.mkdir(exist_ok=True)
        (root / "book" / name).write_bytes(f":::{{quiz}} one\n{name} \xe9\n:::\n".encode("latin-1"))
    (root / "book" / ".#other.md").symlink_to("someone@nowhere.1234")
    assert apply_rules(Project(root).page("index")) == []


@pytest.mark.parametrize("keeps", [True, False])
def test_a_page_that_lost_its_lesson_is_found(small: Small, keeps: bool) -> None:
    root = small(index="# Start\n", one=FRONT_MATTER + "# One\n", two="# Two\n", three="# 3\n")
    if keeps:
        (root / "book/two.md").write_text(FRONT_MATTER + "# Two\n")
    toc = "format: jb-book\nroot: index\nparts:\n" + "".join(
        f"  - caption: {caption}\n    chapters: [{files}]\n"
        for caption, files in (("Lesson", "{file: one}, {file: two}"), ("Other", "{file: three}"))
    )
    (root / "_toc.yml").write_text(toc)
    found = {
        page.name: finding.message
        for page in Project(root).pages()
        for finding in apply_rules(page)
        if finding.rule == "lesson"
    }
    message = "no lesson in the front matter, unlike one in the same part"
    assert found == ({} if keeps else {"two": message})


def test_front_matter_that_jupytext_would_delete_is_found(small: Small) -> None:
    jupytext = "---\njupytext: {text_representation: {extension: .md, format_name: myst}}\n"
    page = Project(small(index=FRONT_MATTER.replace("---\n", jupytext, 1) + "# T\n")).page("index")
    messages = [f.message for f in apply_rules(page) if f.rule == "lesson"]
    assert messages == ["Jupytext would delete the front matter's lesson"]
