"""Quizzes: keys checked against runs; questions in a browser, in print and in notebooks."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from onions.book.project import Project
from onions.book.prose import QUIZ
from onions.book.reference import ReferenceRuns
from onions.claims import Value
from onions.extension.teaching.quiz_keys import QuizKeyError, check_choices, check_numbers, evaluate
from playwright.sync_api import Browser, Locator, Page, expect
from support.browsing import MAX_SHIFT, RECORD_SHIFTS
from support.projects import ROOT, address, run_onions, small_project
from support.runs import store_runs

REVIEW = "reference/review"
MEASURES: dict[str, Value] = {"four": 4, "share": 0.25, "animal": "cat"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("100 * four + 100", 500),
        ("-four // 3 % 5", 3),
        ("share / 2", 0.125),
        ("0 < share <= four", True),
        ('animal == "cat" and not four > 5', True),
        ("four != 4 or share >= 0.5", False),
    ],
)
def test_evaluate_returns_the_value_of_an_expression(expression: str, value: object) -> None:
    assert evaluate(expression, MEASURES) == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("five == 5", "five is not a measure of this page. Its measures are: four, share, animal"),
        ("four ==", "`four ==` is not a valid expression"),
        ("1 == 1", "`1 == 1` uses no measure. Compute it from the run's measures."),
        ("True", "uses no measure"),
        ("four / 0", "can't be computed: division by zero"),
        ("four + animal", "can't be computed: unsupported operand"),
        ("__import__('os').system('true')", "is not allowed in a key"),
        ("(four).real", "is not allowed in a key"),
        ("four ** 4", "is not allowed in a key"),
        ("[four for four in animal]", "is not allowed in a key"),
        ("four in animal", "is not allowed in a key"),
    ],
)
def test_evaluate_rejects_an_invalid_key(expression: str, message: str) -> None:
    with pytest.raises(QuizKeyError, match=re.escape(message)):
        evaluate(expression, MEASURES)


ANSWERS = ["Few", "Some", "Many"]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (["four < 4", "four > 4", "share > 1"], "no answer is right in this run, where four = 4, "),
        (["four == 4", "four > 3", "four > 5"], "“Few” and “Some” are right in this run"),
        (
            ["four < 4", "four > 5", "four == 4"],
            "“Many”, not the first answer, is right in this run, where four = 4. Put that answer",
        ),
        (["four", "four > 5", "four > 6"], "`four` is 4, not true or false. Write a comparison."),
    ],
)
def test_only_the_first_answer_may_be_right(conditions: list[str], message: str) -> None:
    with pytest.raises(QuizKeyError, match=re.escape(message)):
        check_choices(ANSWERS, conditions, MEASURES, checked=True)


def test_shortened_run_may_contradict_the_key() -> None:
    check_choices(ANSWERS[:2], ["four > 4", "four == 4"], MEASURES, checked=False)
    with pytest.raises(QuizKeyError, match="five is not a measure"):
        check_choices(ANSWERS[:2], ["five > 4", "four == 4"], MEASURES, checked=False)
    assert check_numbers(["four", "2 + 2 * four / 4"], 0, MEASURES, checked=False) == [4, 4]


def test_numbers_must_differ_by_more_than_the_tolerance() -> None:
    assert check_numbers(["four", "four + 2.1"], 1, MEASURES, checked=True) == [4, 6.1]
    with pytest.raises(QuizKeyError, match="`four - 2` is 2, too close to another answer"):
        check_numbers(["four", "four - 2"], 1, MEASURES, checked=True)
    with pytest.raises(QuizKeyError, match="`animal` is cat, not a number"):
        check_numbers(["animal"], 0, MEASURES, checked=True)


BOOK = Project(ROOT)
BLOCK = re.compile(r"^:::\{quiz\} (\S+)\n(.*?)^:::$", re.M | re.S)


@pytest.mark.parametrize("name", [p.name for p in BOOK.pages() if p.lesson.get("reference")])
def test_first_answer_is_right_in_every_reference_run(name: str) -> None:
    """No other answer is right, so no seed can fail the build."""
    checked = 0
    for block in BLOCK.finditer(BOOK.page(name).text):
        conditions = re.findall(r"^: `(.+?)`", block[2], re.M)
        if ":tolerance:" in block[2]:
            continue
        for runs in ReferenceRuns(BOOK).all_runs(name):
            for place in runs.places():
                measures = {name: runs.results["measures"][name][place] for name in runs.measures()}
                check_choices(conditions, conditions, measures, checked=True)
                checked += 1
    assert checked


CODE = """```{code-cell} python
four = 4
```

```{code-cell} python
:tags: [remove-cell, build-only]
from onions.claims import measure

measure("four", four)
```

"""
CHOICE = """:::{quiz} legs
How many legs has a *cat*?

Four
: `four == 4` One at each corner.

Two
: `four == 2` You saw it **from the side**.
:::
"""
NUMBER = """:::{quiz} twice
:tolerance: 0.5

How many legs have 250 cats?

`250 * four`
: Four for each.

`250 + 0 * four`
: You counted the cats. `four` is the number of their legs.
:::
"""
SMALL = f"# Legs\n\nLook.\n\n{CODE}{CHOICE}\n{NUMBER}"


@pytest.fixture(scope="module")
def legs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An executed project whose only page has two quizzes."""
    root = small_project(tmp_path_factory.mktemp("legs"), index=SMALL)
    store_runs(root)
    return root


BROKEN = [
    ("four == 4", "four == 3", "no answer is right in this run, where four = 4"),
    ("four == 4", "five == 4", "five is not a measure of this page"),
    (" One at each corner.", "", "“Four” has no reason"),
    ("`four == 2` You", "You", "“Two” has no condition"),
    ("\n\nFour\n: `four == 4` One at each corner.", "", "malformed content. Write the question as"),
    ("You saw", "{doc}`index` You saw", "a quiz can't contain links"),
    ("`250 * four`", "Thousand", "“Thousand” must be an expression in backticks"),
    ("0.5", "some", "the tolerance some is not a number"),
    ("0.5", "-1", "the tolerance must be 0 or more"),
]


def test_error_names_page_line_and_quiz(legs: Path) -> None:
    text = f"# Legs\n\n{CODE}"
    for number, (before, after, _) in enumerate(BROKEN):
        good = CHOICE if before in CHOICE else NUMBER
        assert before in good
        quiz = re.sub("quiz} .*", f"quiz}} number-{number}", good)
        text += quiz.replace(before, after) + "\n"
    (legs / "book" / "index.md").write_text(text)
    done = run_onions(legs, "render")
    assert done.returncode == 1
    output = " ".join(done.stderr.split())
    for number, (_, _, message) in enumerate(BROKEN):
        line = text.splitlines().index(f":::{{quiz}} number-{number}") + 1
        prefix = rf"index\.md:{line}: \S+ quiz number-{number}: "
        assert re.search(prefix + re.escape(message), output)


def test_a_key_about_a_training_that_was_cut_short_is_not_checked(tmp_path: Path) -> None:
    """The smoke profile cuts trainings short; a claim in the text says that the page has one."""
    wrong = SMALL.replace("four == 4", "four == 3")
    for text, returncode in ((wrong, 1), (f"{wrong}\n{{claim}}`four < 2 * four` Eight.\n", 0)):
        root = small_project(tmp_path / str(returncode), index=text)
        store_runs(root, "--profile", "smoke")
        assert run_onions(root, "render").returncode == returncode


def test_notebooks_have_the_questions_and_with_solutions_the_answers(legs: Path) -> None:
    (legs / "book" / "index.md").write_text(SMALL)
    done = run_onions(legs, "render")
    assert done.returncode == 0, done.stderr
    site = legs / "_build" / "html" / "notebooks"
    to_work_in, solved = (
        "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"])
        for path in (site / "index.ipynb", site / "solutions" / "index.ipynb")
    )
    for text in (to_work_in, solved):
        assert "**Question 1.** How many legs has a *cat*?\n\n- " in text
        assert re.search(r"- [ab]\) Four\n", text) and "**Question 2.** How many" in text
    assert "One at each corner" not in to_work_in
    answers = solved.partition("**Answers to the questions**")[2]
    assert re.search(r"- [ab]\) ✗ Not quite. You saw it \*\*from the side\*\*\.", answers)
    assert "- 1,000: ✓ Right. Four for each.\n- 250: ✗ Not quite. You counted" in answers


OpenQuiz = Callable[[str, str], Locator]


@pytest.fixture
def open_quiz(book: Project, tab: Page) -> OpenQuiz:
    """A function that opens a page and returns one of its quizzes."""

    def run(page: str, name: str) -> Locator:
        tab.goto(address(book, page))
        return tab.locator(f"#quiz-{name}")

    return run


FOUR_TIMES, TWICE = "It becomes four times as large.", "It becomes twice as large."


@pytest.mark.site
def test_feedback_follows_the_chosen_answer(open_quiz: OpenQuiz) -> None:
    quiz = open_quiz("layer_types", "dense-growth")
    status = quiz.get_by_role("status")
    expect(status).to_have_text("Choose an answer.")
    quiz.get_by_label(TWICE).click()
    expect(status).to_contain_text("✗ Not quite. That would be so if only the width")
    quiz.get_by_label(FOUR_TIMES).click()
    expect(status).to_contain_text("✓ Right. Each neuron has a weight")
    assert "Not quite" not in status.inner_text()


@pytest.mark.site
def test_quizzes_work_by_keyboard(open_quiz: OpenQuiz, tab: Page) -> None:
    quiz = open_quiz("layer_types", "dense-growth")
    tab.locator("#quiz-values-of-a-picture").get_by_role("textbox").focus()
    tab.keyboard.type("3,072")
    tab.keyboard.press("Enter")
    first = tab.locator("#quiz-values-of-a-picture")
    expect(first.get_by_role("status")).to_contain_text("✓ Right.")
    quiz.get_by_role("radio").first.focus()
    tab.keyboard.press("Space")
    choices = quiz.get_by_role("radio")
    expect(choices.nth(0)).to_be_checked()
    tab.keyboard.press("ArrowDown")
    expect(choices.nth(1)).to_be_checked()
    feedback = quiz.get_by_role("status").inner_text()
    assert feedback.startswith(("✓ Right.", "✗ Not quite."))
    tab.keyboard.press("Tab")
    focused = tab.evaluate("document.activeElement.closest('form')?.id")
    assert focused != "quiz-dense-growth"


FEEDBACK = {
    ("layer_types", "values-of-a-picture"): [
        ("3072", "✓ Right. Each pixel"),
        (" 3,072 ", "✓ Right. Each pixel"),
        ("3 072", "✓ Right. Each pixel"),
        ("3'072.0", "✓ Right. Each pixel"),
        ("1,024", "✗ Not quite. You counted the pixels."),
        ("3071", "✗ Not quite. Work it out once more."),
        ("-3072", "✗ Not quite. Work it out once more."),
        ("many", "Enter a number, such as"),
    ],
    ("image_data", "divided-twice"): [  # with a tolerance
        ("0.0039", "✓ Right."),
        ("0,0040", "✓ Right."),
        ("0.0045", "✗ Not quite. Work it out"),
        ("1", "after one run"),
    ],
}


@pytest.mark.site
@pytest.mark.parametrize(("page", "name"), FEEDBACK)
def test_typed_number_gets_feedback(open_quiz: OpenQuiz, page: str, name: str) -> None:
    quiz = open_quiz(page, name)
    for typed, message in FEEDBACK[page, name]:
        for text, feedback in (("", "Enter a number, such as"), (typed, message)):
            quiz.get_by_label("Your number").fill(text)
            quiz.get_by_role("button", name="Check").click()
            expect(quiz.get_by_role("status")).to_contain_text(feedback)


@pytest.mark.site
def test_answers_survive_a_reload_in_the_space_of_the_hint(open_quiz: OpenQuiz, tab: Page) -> None:
    """The reason, which would move the text below, is a click away."""
    quiz = open_quiz("layer_types", "dense-growth")
    untouched = quiz.bounding_box()
    quiz.get_by_label(TWICE).click()
    number = tab.locator("#quiz-values-of-a-picture")
    number.get_by_label("Your number").fill("1,024")
    number.get_by_role("button").click()
    expect(number.get_by_role("status")).to_contain_text("You counted the pixels.")
    tab.reload()
    expect(quiz.get_by_label(TWICE)).to_be_checked()
    expect(quiz.get_by_role("status")).to_have_text("✗ Not quite. Why?")
    restored = quiz.bounding_box()
    assert untouched and restored and untouched["height"] == restored["height"]
    expect(number.get_by_label("Your number")).to_have_value("1,024")
    number.get_by_role("link", name="Why?").click()
    expect(tab.locator("#why-values-of-a-picture")).to_contain_text("You counted the pixels.")
    expect(tab.locator("#why-values-of-a-picture")).to_be_visible()


@pytest.mark.site
@pytest.mark.parametrize("storage", ["null", "refused", "nonsense", "a number"])
def test_quiz_works_without_usable_local_storage(
    tab: Page, open_quiz: OpenQuiz, storage: str
) -> None:
    refuse = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no'); }})"
    stored = {"null": "null", "nonsense": "{{{", "a number": "5"}.get(storage)
    tab.add_init_script(
        f"localStorage.setItem('onions-quizzes', {json.dumps(stored)})" if stored else refuse
    )
    quiz = open_quiz("layer_types", "dense-growth")
    quiz.get_by_label(FOUR_TIMES).click()
    expect(quiz.get_by_role("status")).to_contain_text("✓ Right.")


@pytest.mark.site
def test_review_has_every_question_and_its_own_progress(book: Project, tab: Page) -> None:
    names = [m[1] for page in book.pages() for m in QUIZ.finditer(page.text)]
    lesson = address(book, "layer_types")
    tab.goto(lesson)
    tab.locator("#quiz-dense-growth").get_by_label(FOUR_TIMES).click()
    tab.goto(address(book, REVIEW))
    quizzes = tab.locator("form.quiz")
    ids = quizzes.evaluate_all("forms => forms.map((form) => form.id)")
    assert sorted(ids) == sorted(f"quiz-{name}" for name in names) and len(names) >= 24
    assert ids != [f"quiz-{name}" for name in names], "not shuffled"
    progress = tab.locator(".quiz-progress output")
    expect(progress).to_have_text(f"0 of {len(names)} right so far.")
    dense = tab.locator("#quiz-dense-growth")
    dense.get_by_label(TWICE).click()
    expect(progress).to_have_text(f"0 of {len(names)} right so far.")
    dense.get_by_label(FOUR_TIMES).click()
    expect(progress).to_have_text(f"1 of {len(names)} right so far.")
    tab.reload()
    expect(progress).to_have_text(f"1 of {len(names)} right so far.")
    link = tab.locator(".gathered", has=dense).get_by_role("link", name="Peel a network")
    assert link.get_attribute("href") == "../layer_types.html"
    tab.get_by_role("button", name="Start again").click()
    expect(progress).to_have_text(f"0 of {len(names)} right so far.")
    expect(dense.get_by_label(FOUR_TIMES)).not_to_be_checked()
    expect(dense.get_by_role("status")).to_have_text("Choose an answer.")
    tab.reload()
    expect(progress).to_have_text(f"0 of {len(names)} right so far.")
    tab.goto(lesson)
    expect(tab.locator("#quiz-dense-growth").get_by_label(FOUR_TIMES)).to_be_checked()


@pytest.mark.site
@pytest.mark.parametrize("name", ["layer_types", REVIEW])
def test_without_javascript_questions_are_lists_and_answers_come_last(
    book: Project, chromium: Browser, name: str
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address(book, name))
    quiz = page.locator("#quiz-dense-growth")
    assert quiz.get_by_text(FOUR_TIMES).is_visible()
    for control in ("input", "button", "output"):
        assert not any(part.is_visible() for part in page.locator(f".quiz {control}").all())
    assert not page.locator(".quiz-progress").is_visible() or name != REVIEW
    reason = page.locator("#why-dense-growth").get_by_text("twice the width make four times")
    assert not reason.is_visible()
    quiz.get_by_role("link", name="Answer").click()
    expect(reason).to_be_visible()
    context.close()


@pytest.mark.site
def test_print_shows_the_answers_and_no_controls(open_quiz: OpenQuiz, tab: Page) -> None:
    quiz = open_quiz("layer_types", "dense-growth")
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(quiz.get_by_text(FOUR_TIMES)).to_be_visible()
    expect(tab.locator("#why-dense-growth li").first).to_be_visible()
    assert not any(part.is_visible() for part in tab.locator(".quiz :is(input, output)").all())


@pytest.mark.site
def test_search_finds_questions_but_not_their_reasons(book: Project) -> None:
    texts = (book.build / "html" / "_static" / "search-texts.js").read_text("utf-8")
    assert "What happens to the number of weights of a dense layer" in texts
    assert "The height doubles as well" not in texts


@pytest.mark.site
@pytest.mark.parametrize("width", [390, 1280])
def test_restored_answers_cause_no_layout_shift(
    book: Project, chromium: Browser, width: int
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    tab = context.new_page()
    tab.goto(address(book, REVIEW))
    tab.evaluate(
        """localStorage.setItem("onions-quizzes", JSON.stringify(Object.fromEntries(
        [...document.querySelectorAll("form.quiz")].map(({dataset}) => [dataset.quiz, "a"]))))"""
    )
    tab.add_init_script(RECORD_SHIFTS)
    tab.reload()
    expect(tab.locator("form.quiz[data-state=right]").first).to_be_attached()
    assert sum(value for value, _ in tab.evaluate("shifts")) <= MAX_SHIFT
    context.close()
