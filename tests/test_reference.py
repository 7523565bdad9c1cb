"""The reference runs: how they are made, what must agree with them, and what pages show of them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, run_onions
from onions.pages import PageError, Project
from onions.reference import SLACK, Band, Reference, Spread
from onions.rules import Finding, check
from playwright.sync_api import Browser

Small = Callable[..., Path]

PAGE = """---
lesson: {teaching: 1, exercises: 0, questions: [], objectives: [], keypoints: [], reference: true}
---
# A page

```{code-cell} python
:tags: [remove-cell, build-only]
import os
from types import SimpleNamespace
from onions.claims import claim, measure, trained
offset = int(os.environ["ONIONS_SEED_OFFSET"])
measure("score", 0.5 + offset / 100)
measure("limit", 0.525)
measure("word", "same")
claim("It holds.", True)
claim("It is small.", offset < 3, offset=offset)
curve = [0.1, 0.2 + offset / 100]
record = SimpleNamespace(history={"accuracy": curve, "val_accuracy": curve}, seconds=1.0)
trained("a network", SimpleNamespace(count_params=lambda: 5), record)
```

It holds.
It is small.
"""
SHOWN = """
The score is below the limit {held}`score < limit`.

```{reference-curves} a network
:metrics: val_accuracy
The curve.
```

```{is-my-result-normal}
index score: The score & more
```

```{is-my-result-normal}
```
"""


@pytest.fixture
def made(small: Small) -> Project:
    """A project of one page, with its reference runs from four seeds."""
    root = small(index=PAGE, other="# Not asked for\n\n```{code-cell} python\n1\n```\n")
    done = run_onions(root, "reference", "--seeds", "4")
    assert done.returncode == 0, done.stderr
    return Project(root)


def runs(project: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(Reference(project).path.read_text("utf-8"))
    return found


def test_every_value_is_there_once_for_each_seed(made: Project) -> None:
    (one,) = runs(made)
    assert (one["data"], one["backend"], one["seeds"]) == ("sketches", "tensorflow", 4)
    assert one["device"] and one["date"] and one["versions"]["wrapt"] and one["versions"]["python"]
    page = one["pages"]["index"]
    assert list(one["pages"]) == ["index"]
    assert page["measures"]["score"] == [0.51, 0.52, 0.53, 0.54]
    assert page["measures"]["word"] == ["same"] * 4
    assert page["claims"] == {"It holds.": [True] * 4, "It is small.": [True, True, False, False]}
    assert page["curves"]["a network"]["val_accuracy"] == {
        "low": [0.1, 0.21], "median": [0.1, 0.225], "high": [0.1, 0.24],
    }  # fmt: skip


def test_runs_are_kept_and_the_book_s_own_state_is_left_alone(made: Project) -> None:
    again = run_onions(made.root, "reference", "--seeds", "4")
    assert again.returncode == 0 and "cell" not in again.stdout
    assert not (made.store / "build.json").exists()
    assert "nothing is executed yet" in run_onions(made.root, "status").stderr


def test_shards_make_the_runs_together(small: Small) -> None:
    project = Project(small(index=PAGE))
    first = run_onions(project.root, "reference", "--seeds", "2", "--shard", "1/2")
    assert first.returncode == 0 and "1 runs are missing" in first.stdout
    assert not Reference(project).path.exists()
    second = run_onions(project.root, "reference", "--seeds", "2", "--shard", "2/2")
    assert second.returncode == 0 and "Written" in second.stdout
    assert runs(project)[0]["pages"]["index"]["measures"]["score"] == [0.51, 0.52]


def test_a_set_replaces_its_predecessor_and_no_other(made: Project) -> None:
    other = {**runs(made)[0], "device": "another machine"}
    Reference(made).path.write_text(json.dumps([other, {**runs(made)[0], "date": "1999-01-01"}]))
    assert run_onions(made.root, "reference", "--seeds", "4").returncode == 0
    devices = {one["device"]: one["date"] for one in runs(made)}
    assert len(devices) == len(runs(made)) == 2 and "1999-01-01" not in devices.values()
    assert len(Reference(made).values("sketches", "index", "score")) == 8


def test_a_damaged_file_is_named(made: Project) -> None:
    Reference(made).path.write_text("[")
    with pytest.raises(PageError, match=r"reference_runs\.json: damaged .*`onions reference`"):
        _ = Reference(made).sets


def test_a_claim_must_hold_in_every_run(made: Project) -> None:
    def broken() -> list[Finding]:
        return [found for found in check(made.page("index")) if found.rule == "reference"]

    page = made.page("index")
    (found,) = broken()
    assert "“It is small.” holds in 2 of 4 runs with sketches" in found.message
    assert page.text.splitlines()[found.line - 1].startswith('claim("It is small."')
    page.path.write_text(page.text.replace("It holds.", "It holds well."))
    messages = [found.message for found in broken()]
    assert any("“It holds well.” not claimed in the runs" in message for message in messages)
    Reference(made).path.unlink()
    assert "no reference runs" in broken()[0].message


def test_what_counts_as_normal() -> None:
    spread = Spread([1.0, 1.5, 2.0])
    assert spread.middle == 1.5
    assert [spread.normal(v) for v in (0.4, 0.6, 1.7, 2.4, 2.6)] == [False, True, True, True, False]
    assert Spread([3.1416, 3.1416]).normal(3.14159) and not Spread([3.1416]).normal(3.15)
    script = ROOT / "code" / "onions" / "extension" / "scripts" / "normal.js"
    assert f"SLACK = {SLACK};" in script.read_text()


def test_a_band_goes_as_far_as_all_its_runs() -> None:
    assert Band.over([[1, 5, 9], [2, 4], [3, 6]]) == Band([1, 4], [2, 5], [3, 6])


def test_doctor_names_surprises_and_their_likely_cause(made: Project) -> None:
    page = made.page("index")
    page.path.write_text(page.text.replace("score", "score").replace("offset < 3", "True"))
    assert run_onions(made.root, "execute").returncode == 0
    done = run_onions(made.root, "doctor", "--strict")
    assert done.returncode == 1
    assert done.stdout == (
        "index: its code changed since the reference runs. Run `onions reference`.\n"
    )
    page.path.write_text(page.text)
    assert run_onions(made.root, "execute").returncode == 0
    done = run_onions(made.root, "doctor", "--strict")
    assert done.returncode == 0 and "agrees" in done.stdout
    text = Reference(made).path.read_text().replace("0.5", "0.7").replace('"AMD', '"Not AMD')
    facts = runs(made)[0]
    Reference(made).path.write_text(text.replace(facts["versions"]["wrapt"], "0.1"))
    for strict in ([], ["--strict"]):
        done = run_onions(made.root, "doctor", *strict)
        assert done.returncode == len(strict)
        assert f"wrapt {facts['versions']['wrapt']}, not 0.1" in done.stdout
        assert "score = 0.5, in 4 reference runs 0.71 to 0.74" in done.stdout
        assert "word" not in done.stdout
    for words, surprise in (('"other", "other"', True), ('"other", "third"', False)):
        changed = text.replace('"same", "same", "same", "same"', words)
        Reference(made).path.write_text(changed)
        said = "word = same, in all reference runs other" in run_onions(made.root, "doctor").stdout
        assert said is surprise
    Reference(made).path.unlink()
    assert "no reference runs" in run_onions(made.root, "doctor").stdout


def render(project: Project, text: str) -> "tuple[int, str, str]":
    page = project.book / "index.md"
    page.write_text(text)
    assert run_onions(project.root, "execute").returncode == 0
    done = run_onions(project.root, "render")
    path = project.build / "html" / "index.html"
    return done.returncode, done.stderr, path.read_text("utf-8") if path.exists() else ""


def test_a_page_shows_how_often_a_comparison_held(made: Project) -> None:
    status, errors, html = render(made, PAGE + SHOWN)
    assert status == 0, errors
    assert "The score is below the limit in 2 of 4 runs." in html
    Reference(made).path.write_text(Reference(made).path.read_text().replace("0.53", "0.522"))
    assert run_onions(made.root, "render").returncode == 0  # new runs reach the page
    assert "limit in 3 of 4 runs." in (made.build / "html" / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("{held}`score < nothing`", "no reference run with sketches measured both sides of: score"),
        ("{held}`score`", "no reference run with sketches measured both sides of: score"),
        ("```{reference-curves} a cat\n```", "this page trains no network named a cat"),
        (
            "```{reference-curves} a network\n:metrics: loss\n```",
            "no reference run has the curve loss of a network",
        ),
        (
            "```{is-my-result-normal}\nindex word: Word\n```",
            "no reference run measured word on index as a number",
        ),
    ],
)
def test_what_the_runs_can_t_say_fails_the_build(made: Project, part: str, message: str) -> None:
    status, errors, _ = render(made, f"{PAGE}\n{part}\n")
    assert status == 1 and message in errors and "index.md:" in errors


def test_the_curve_is_described_and_drawn_within_its_frame(made: Project) -> None:
    _, _, html = render(made, PAGE + SHOWN)
    label = re.search(r'<svg [^>]*role="img" aria-label="([^"]+)"', html)
    assert label and "ends at 0.2 after epoch 2" in label[1] and "between 0.21 and 0.24" in label[1]
    drawn = re.findall(r'<poly(?:gon|line) points="([^"]+)" fill=', html)
    assert len(drawn) == 3  # the range, the median and this build
    for x, y in (map(float, point.split(",")) for points in drawn for point in points.split()):
        assert 44 <= x <= 312 and 12 <= y <= 176


def test_one_s_own_number_by_keyboard_alone(made: Project, chromium: Browser) -> None:
    render(made, PAGE + SHOWN)
    page = chromium.new_page()
    page.goto((made.build / "html" / "index.html").as_uri())
    part = page.locator(".normal").first
    assert part.locator("tbody tr").count() == 1
    assert part.locator("option").inner_text() == "The score & more"
    assert part.locator("tbody td").nth(2).inner_text() == "0.51 to 0.54"
    part.locator("select").focus()
    page.keyboard.press("Tab")
    for typed, said, marks in (
        ("0.515", "Normal: 1 of 4 reference runs came out lower, 3 not.", 1),
        ("0,55", "Still normal: a little above the highest of 4", 1),
        ("0.49", "Not normal: far below the lowest", 1),
        ("a cat", "Type a number", 0),
        ("", "", 0),
    ):
        page.keyboard.press("Control+A")
        page.keyboard.press("Backspace")
        page.keyboard.type(typed)
        assert part.locator("output").inner_text().startswith(said)
        assert part.locator(".mine").count() == marks
    page.close()


def test_without_javascript_there_is_the_table_and_no_dead_form(
    made: Project, chromium: Browser
) -> None:
    render(made, PAGE + SHOWN)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((made.build / "html" / "index.html").as_uri())
    assert not page.locator(".normal form").first.is_visible()
    assert page.locator(".normal table").first.is_visible()
    context.close()
