"""The reference runs: making them, checking pages against them, and showing them on pages."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from onions.book.page import PageError
from onions.book.project import Project
from onions.book.reference import RANGE_SLACK, Band, ReferenceRuns, Spread
from onions.book.rules import Finding, apply_rules
from onions.images.sources import resolve_source
from playwright.sync_api import Browser
from support.projects import ROOT, Small, run_onions, small_project

pytestmark = pytest.mark.kernel

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

```{reference-sets}
```
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose first page has reference runs, from four seeds."""
    root = small_project(
        tmp_path_factory.mktemp("book"),
        index=PAGE,
        other="# Without reference runs\n\n```{code-cell} python\n1\n```\n",
    )
    done = run_onions(root, "reference", "--seeds", "4")
    assert done.returncode == 0, done.stderr
    assert not (root / "_build" / "store" / "build.json").exists()
    assert "nothing executed yet" in run_onions(root, "status").stderr
    assert run_onions(root, "execute").returncode == 0
    return root


@pytest.fixture
def project(executed: Path, tmp_path: Path) -> Project:
    """A copy of this project that a test may change."""
    return Project(shutil.copytree(executed, tmp_path / "copy"))


def reference_sets(project: Project) -> list[dict[str, Any]]:
    sets: list[dict[str, Any]] = json.loads(ReferenceRuns(project).path.read_text("utf-8"))
    return sets


def test_every_measure_and_claim_has_a_value_for_each_seed(project: Project) -> None:
    (runs,) = reference_sets(project)
    assert (runs["data"], runs["seeds"]) == ("sketches", 4)
    assert runs["device"] and runs["date"]
    assert runs["versions"]["wrapt"] and runs["versions"]["python"]
    page = runs["pages"]["index"]
    assert list(runs["pages"]) == ["index"]
    assert page["measures"]["score"] == [0.51, 0.52, 0.53, 0.54]
    assert page["measures"]["word"] == ["same"] * 4
    assert page["claims"] == {"It holds.": [True] * 4, "It is small.": [True, True, False, False]}
    assert page["curves"]["a network"]["val_accuracy"] == {
        "low": [0.1, 0.21], "median": [0.1, 0.225], "high": [0.1, 0.24],
    }  # fmt: skip


def test_reference_runs_are_reused(project: Project) -> None:
    again = run_onions(project.root, "reference", "--seeds", "4")
    assert again.returncode == 0 and "cell" not in again.stdout


def test_shards_complete_the_reference_runs_together(small: Small) -> None:
    project = Project(small(index=PAGE))
    first = run_onions(project.root, "reference", "--seeds", "2", "--shard", "1/2")
    assert first.returncode == 0 and "Missing: 1 run. Add" in first.stdout
    assert not ReferenceRuns(project).path.exists()
    second = run_onions(project.root, "reference", "--seeds", "2", "--shard", "2/2")
    assert second.returncode == 0 and "Written" in second.stdout
    assert reference_sets(project)[0]["pages"]["index"]["measures"]["score"] == [0.51, 0.52]


def test_a_new_set_replaces_only_its_predecessor(project: Project) -> None:
    [own] = reference_sets(project)
    device = {**own, "device": "another machine"}
    images = {**own, "data identity": "other images"}
    ReferenceRuns(project).path.write_text(json.dumps([device, {**own, "seeds": 3}, images]))
    assert run_onions(project.root, "reference", "--seeds", "4").returncode == 0
    sets = reference_sets(project)
    assert len(sets) == 3 and all(runs in sets for runs in (device, own, images))
    values = ReferenceRuns(project).values(resolve_source("sketches"), "index", "score")
    assert len(values) == 8  # of the same images


def test_a_set_with_the_same_results_keeps_its_date(project: Project) -> None:
    [own] = reference_sets(project)
    path = ReferenceRuns(project).path
    for changed, date in (({}, "1999-01-01"), ({"versions": {}}, own["date"])):
        path.write_text(json.dumps([{**own, **changed, "date": "1999-01-01"}]))
        assert run_onions(project.root, "reference", "--seeds", "4").returncode == 0
        assert reference_sets(project) == [{**own, "date": date}]


def test_a_damaged_file_of_reference_runs_is_named(project: Project) -> None:
    ReferenceRuns(project).path.write_text("[")
    with pytest.raises(PageError, match=r"reference_runs\.json: damaged .*`onions reference`"):
        _ = ReferenceRuns(project).sets


def test_a_claim_must_hold_in_every_run(project: Project) -> None:
    def findings() -> list[Finding]:
        return [
            finding for finding in apply_rules(project.page("index")) if finding.rule == "reference"
        ]

    page = project.page("index")
    (finding,) = findings()
    assert "“It is small.” holds in 2 of 4 runs with the built-in stand-in on" in finding.message
    assert page.text.splitlines()[finding.line - 1].startswith('claim("It is small."')
    page.path.write_text(page.text.replace("It holds.", "It holds well."))
    messages = [finding.message for finding in findings()]
    assert any("“It holds well.” is not claimed in the runs" in message for message in messages)
    ReferenceRuns(project).path.unlink()
    assert "no reference runs" in findings()[0].message


def test_values_near_the_range_of_the_runs_are_normal() -> None:
    spread = Spread([1.0, 1.5, 2.0])
    assert spread.median == 1.5
    assert [spread.normal(v) for v in (0.4, 0.6, 1.7, 2.4, 2.6)] == [False, True, True, True, False]
    assert Spread([3.1416, 3.1416]).normal(3.14159) and not Spread([3.1416]).normal(3.15)
    script = ROOT / "code" / "onions" / "extension" / "results" / "is_my_result_normal.js"
    assert f"SLACK = {RANGE_SLACK};" in script.read_text()


def test_a_band_ends_with_its_shortest_run() -> None:
    assert Band.over([[1, 5, 9], [2, 4], [3, 6]]) == Band([1, 4], [2, 5], [3, 6])


def test_doctor_names_deviations_and_their_likely_causes(project: Project) -> None:
    page = project.page("index")
    page.path.write_text(page.text.replace("offset < 3", "True"))
    assert run_onions(project.root, "execute").returncode == 0
    done = run_onions(project.root, "doctor", "--strict")
    assert done.returncode == 1
    assert done.stdout == (
        "index: its code changed since the reference runs. Run `onions reference`.\n"
    )
    page.path.write_text(page.text)
    assert run_onions(project.root, "execute").returncode == 0
    done = run_onions(project.root, "doctor", "--strict")
    assert done.returncode == 0 and "agrees" in done.stdout
    text = ReferenceRuns(project).path.read_text().replace("0.5", "0.7").replace('"AMD', '"Not AMD')
    facts = reference_sets(project)[0]
    ReferenceRuns(project).path.write_text(text.replace(facts["versions"]["wrapt"], "0.1"))
    for strict in ([], ["--strict"]):
        done = run_onions(project.root, "doctor", *strict)
        assert done.returncode == len(strict)
        assert f"wrapt {facts['versions']['wrapt']}, not 0.1" in done.stdout
        assert "score = 0.5, but 0.71 to 0.74 in 4 reference runs" in done.stdout
        assert "word" not in done.stdout
    for words, deviates in (('"other", "other"', True), ('"other", "third"', False)):
        changed = text.replace('"same", "same", "same", "same"', words)
        ReferenceRuns(project).path.write_text(changed)
        output = run_onions(project.root, "doctor").stdout
        assert ("word = same, but other in all reference runs" in output) is deviates
    ReferenceRuns(project).path.unlink()
    done = run_onions(project.root, "doctor", "--strict")
    assert "index: no reference runs with the built-in stand-in" in done.stdout
    assert done.returncode == 1


def test_only_runs_with_the_same_images_fail_the_strict_doctor(project: Project) -> None:
    [own] = reference_sets(project)
    measures = {**own["pages"]["index"]["measures"], "score": [0.71, 0.72, 0.73, 0.74]}
    pages = {"index": {**own["pages"]["index"], "measures": measures}}
    other = {**own, "data identity": "other images", "pages": pages}
    for sets, status in (([other], 0), ([other, own], 0), ([{**own, "pages": pages}], 1)):
        ReferenceRuns(project).path.write_text(json.dumps(sets))
        done = run_onions(project.root, "doctor", "--strict")
        assert done.returncode == status, done.stdout
        deviates = "score = 0.5, but 0.71 to 0.74 in 4 reference runs" in done.stdout
        assert deviates is (own not in sets)
        assert ("Note: this build is compared" in done.stdout) is (sets == [other])


def render(project: Project, text: str) -> tuple[int, str, str]:
    page = project.book / "index.md"
    page.write_text(text)
    assert run_onions(project.root, "execute").returncode == 0
    done = run_onions(project.root, "render")
    path = project.build / "html" / "index.html"
    return done.returncode, done.stderr, path.read_text("utf-8") if path.exists() else ""


def test_a_page_shows_how_often_a_comparison_held(project: Project) -> None:
    status, errors, html = render(project, PAGE + SHOWN)
    assert status == 0, errors
    assert "The score is below the limit in 2 of 4 runs." in html
    assert "4 runs of each page with the built-in stand-in on" in html
    ReferenceRuns(project).path.write_text(
        ReferenceRuns(project).path.read_text().replace("0.53", "0.522")
    )
    assert run_onions(project.root, "render").returncode == 0  # new runs reach the page
    assert "limit in 3 of 4 runs." in (project.build / "html" / "index.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            "{held}`score < nothing`",
            "no reference run with the built-in stand-in measured both sides of: score",
        ),
        ("{held}`score`", "score: not a comparison. Write two measures, as in a < b."),
        ("```{reference-curves} a cat\n```", "no cell of this page records a training named a cat"),
        (
            "```{reference-curves} a network\n:metrics: loss\n```",
            "the curve loss of a network is missing in this run or the reference runs",
        ),
        (
            "```{is-my-result-normal}\nindex word: Word\n```",
            "index: word is missing or not a number, in this build or the reference runs",
        ),
    ],
)
def test_a_page_that_shows_missing_reference_values_fails_the_build(
    project: Project, part: str, message: str
) -> None:
    status, errors, _ = render(project, f"{PAGE}\n{part}\n")
    assert status == 1 and message in errors and "index.md:" in errors


def test_the_curve_is_described_and_drawn_within_its_frame(project: Project) -> None:
    _, _, html = render(project, PAGE + SHOWN)
    label = re.search(r'<svg [^>]*role="img" aria-label="([^"]+)"', html)
    assert label and "ends at 0.2 after epoch 2" in label[1] and "between 0.21 and 0.24" in label[1]
    drawn = re.findall(r'<poly(?:gon|line) points="([^"]+)" fill=', html)
    assert len(drawn) == 3  # the range, the median and this build
    for x, y in (map(float, point.split(",")) for points in drawn for point in points.split()):
        assert 44 <= x <= 312 and 12 <= y <= 176


def test_a_reader_s_result_is_classified_by_keyboard_alone(
    project: Project, chromium: Browser
) -> None:
    render(project, PAGE + SHOWN)
    page = chromium.new_page()
    page.goto((project.build / "html" / "index.html").as_uri())
    part = page.locator(".normal").first
    assert part.locator("tbody tr").count() == 1
    assert part.locator("option").inner_text() == "The score & more"
    assert part.locator("tbody td").nth(2).inner_text() == "0.51 to 0.54"
    part.locator("select").focus()
    page.keyboard.press("Tab")
    for typed, message, marks in (
        ("0.515", "Normal: 1 of 4 reference runs came out lower, 3 not.", 1),
        ("0,55", "Still normal: a little above the highest of 4", 1),
        ("0.49", "Not normal: far below the lowest", 1),
        ("a cat", "Type a number", 0),
        ("", "", 0),
    ):
        page.keyboard.press("Control+A")
        page.keyboard.press("Backspace")
        page.keyboard.type(typed)
        assert part.locator("output").inner_text().startswith(message)
        assert part.locator(".mine").count() == marks
    page.close()


def test_without_javascript_the_table_is_visible_and_the_form_is_hidden(
    project: Project, chromium: Browser
) -> None:
    render(project, PAGE + SHOWN)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((project.build / "html" / "index.html").as_uri())
    assert not page.locator(".normal form").first.is_visible()
    assert page.locator(".normal table").first.is_visible()
    context.close()
