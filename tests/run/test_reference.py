"""The reference runs: making them, checking pages against them, and showing them on pages."""

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from onions.book.page import PageError
from onions.book.project import Project
from onions.book.reference import ReferenceRuns
from onions.book.rules import Finding, apply_rules
from onions.store.entries import Store
from playwright.sync_api import Browser, expect
from support.projects import Small, run_onions, small_project

pytestmark = pytest.mark.kernel

PAGE = """---
lesson: {teaching: 1, exercises: 0, questions: [], objectives: [], keypoints: [], reference: 5}
---
# A page

```{code-cell} python
:tags: [remove-cell, build-only]
import os
from types import SimpleNamespace
from onions.claims import claim, measure, trained
offset = int(os.environ["ONIONS_SEED_OFFSET"])
measure("score", 0.5 + offset / 100 + int(os.environ["ONIONS_IMAGES"]) / 10, "logit")
measure("limit", 0.525, "logit")
measure("word", "same")
claim("It holds.", True)
claim("It is small.", offset < 3, offset=offset)
curve = [0.1, 0.2 + offset / 100]
record = SimpleNamespace(history={"accuracy": curve, "val_accuracy": curve}, seconds=1.0)
trained("a network", SimpleNamespace(count_params=lambda: 5), record)
```

```{code-cell} python
:tags: [remove-cell, build-only, export]
from onions.exports import export

export("values", values=[1])
```

It holds.
It is small.
"""
SHOWN = """
The score is below the limit {finding}`score < limit`.

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
    done = run_onions(root, "reference")
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


def test_every_run_has_its_place_in_each_list(project: Project) -> None:
    (runs,) = reference_sets(project)
    assert [runs[key] for key in ("data", "backend", "device")] == ["sketches", "tensorflow", "CPU"]
    page = runs["pages"]["index"]
    assert page["processors"] and page["date"]
    assert page["versions"]["wrapt"] and page["versions"]["python"]
    assert list(runs["pages"]) == ["index"]
    assert page["runs"] == [
        *([seed, 0] for seed in range(1, 6)), [1, 1], [2, 2],
    ]  # fmt: skip  # the last two with other images
    assert page["measures"]["score"] == [0.51, 0.52, 0.53, 0.54, 0.55, 0.61, 0.72]
    assert page["measures"]["word"] == ["same"] * 7
    assert page["scales"] == {"limit": "logit", "score": "logit"}
    held = [True, True, False, False, False, True, True]
    assert page["claims"] == {"It holds.": [True] * 7, "It is small.": held}
    curves = page["curves"]["a network"]["val_accuracy"]
    assert [curve[1] for curve in curves] == [0.21, 0.22, 0.23, 0.24, 0.25, 0.21, 0.22]


def test_a_cell_that_exports_is_not_run(executed: Path) -> None:
    store = Store(Project(executed).store)
    sources = {
        facts["build"]["seed_offset"]: entry.cells[-1].source
        for facts in store.facts()
        if facts["page"] == "index" and (entry := store.read(facts["fingerprint"]))
    }
    assert all(bool(source) == (offset == 0) for offset, source in sources.items())


def make_missing_runs(project: Project, *options: str) -> str:
    done = run_onions(project.root, "reference", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_missing_runs_are_made_and_each_joins_the_file(project: Project) -> None:
    before = ReferenceRuns(project).path.read_bytes()
    shutil.rmtree(project.store)  # the file is enough
    assert "cell" not in make_missing_runs(project)
    assert ReferenceRuns(project).path.read_bytes() == before
    [own] = reference_sets(project)
    own["pages"]["index"] = drop_run(own["pages"]["index"], 2)
    ReferenceRuns(project).path.write_text(json.dumps([own]))
    output = make_missing_runs(project)
    assert re.findall(r"^(\S.*): executed", output, re.M) == ["index (seed +3)"]
    assert ReferenceRuns(project).path.read_bytes() == before


NOT_BY_RUN = ("code", "date", "processors", "versions", "scales")


def drop_run(results: Any, place: int) -> Any:
    """Return a page's results without the run at a place of its lists."""
    if isinstance(results, dict):
        return {
            kind: values if kind in NOT_BY_RUN else drop_run(values, place)
            for kind, values in results.items()
        }
    return results[:place] + results[place + 1 :]


def test_shards_complete_the_reference_runs_together(small: Small) -> None:
    project = Project(small(index=PAGE.replace("reference: 5", "reference: 2")))
    make_missing_runs(project, "--shard", "1/2")
    assert len(reference_sets(project)[0]["pages"]["index"]["runs"]) == 1
    make_missing_runs(project, "--shard", "2/2")
    assert reference_sets(project)[0]["pages"]["index"]["measures"]["score"] == [0.51, 0.52]


def test_an_interrupted_command_keeps_the_finished_runs(small: Small) -> None:
    """A run that fails stops none of the others, and the next command makes it alone."""
    page = PAGE.replace('measure("limit"', 'assert offset != 2\nmeasure("limit"')
    project = Project(small(index=page))
    assert run_onions(project.root, "reference").returncode == 3
    assert [seed for seed, _ in reference_sets(project)[0]["pages"]["index"]["runs"]] == [
        1,
        3,
        4,
        5,
        1,
    ]


def test_a_run_joins_only_the_set_of_its_images_backend_and_kind_of_device(
    project: Project,
) -> None:
    [own] = reference_sets(project)
    others = [{**own, key: "other"} for key in ("data identity", "backend", "device")]
    [partial] = json.loads(json.dumps([own]))
    partial["pages"]["index"] = drop_run(partial["pages"]["index"], 0)
    ReferenceRuns(project).path.write_text(json.dumps([*others, partial]))
    make_missing_runs(project)
    sets = reference_sets(project)
    # A stand-in that was drawn differently can't be run again.
    assert len(sets) == 3 and all(runs in sets for runs in (own, *others[1:]))


def test_the_first_run_of_changed_code_replaces_all_others(project: Project) -> None:
    page = project.page("index")
    page.path.write_text(
        page.text.replace("0.525", "0.526").replace("reference: 5", "reference: 1")
    )
    make_missing_runs(project)
    results = reference_sets(project)[0]["pages"]["index"]
    assert (results["runs"], results["measures"]["limit"]) == ([[1, 0]], [0.526])


def test_a_damaged_file_of_reference_runs_is_named(project: Project) -> None:
    for text in ("[", "[1]", '[{"data": "sketches"}]'):
        ReferenceRuns(project).path.write_text(text)
        with pytest.raises(PageError, match=r"reference_runs\.json: damaged .*Restore it from git"):
            _ = ReferenceRuns(project).sets


def findings(project: Project) -> list[Finding]:
    return [
        finding for finding in apply_rules(project.page("index")) if finding.rule == "reference"
    ]


def test_an_exact_claim_must_hold_in_every_run(project: Project) -> None:
    page = project.page("index")
    (finding,) = findings(project)
    assert "“It is small.” holds in 2 of 5 runs with the built-in stand-in on" in finding.message
    assert page.text.splitlines()[finding.line - 1].startswith('claim("It is small."')
    page.path.write_text(page.text.replace("It holds.", "It holds well."))
    messages = [finding.message for finding in findings(project)]
    assert any("“It holds well.” is not claimed in the runs" in message for message in messages)
    ReferenceRuns(project).path.unlink()
    assert "no reference runs" in findings(project)[0].message


@pytest.mark.parametrize(
    ("comparison", "weakness"),
    [
        ("score > base", ""),
        ("score > 1.2 * base", "it did not hold in every reference run"),
        ("score > 1.17 * base", "its mean margin is below 5 SD"),
        ("score > limit", "score and limit are on different scales"),
        ("score > nothing", "nothing is missing in the reference runs"),
        ("score", "score: not a comparison. Write two measures, as in a < b or a > 2 * b."),
    ],
)
def test_check_names_a_claim_that_is_too_weak(
    project: Project, comparison: str, weakness: str
) -> None:
    page = project.page("index")
    [own] = reference_sets(project)
    scores = [0.50 + seed / 1000 for seed in range(10)]
    own["pages"]["index"] |= {
        "runs": [[seed, 0] for seed in range(1, 11)],
        "measures": {"score": scores, "base": [0.42] * 10, "limit": [0.525] * 10},
        "scales": {"score": "logit", "base": "logit"},
        "claims": {},
    }
    ReferenceRuns(project).path.write_text(json.dumps([own]))
    text = re.sub(r"^claim.*\n", "", page.text, flags=re.M)
    page.path.write_text(f"{text}\nThe score is good{{claim}}`{comparison}`.\n")
    messages = [finding.message for finding in findings(project)]
    assert len(messages) == bool(weakness)
    if weakness:
        expected = f"“The score is good.” is too weak for a claim: {weakness}, with the built-in"
        assert messages[0].startswith(expected)
    page.path.write_text(page.path.read_text().replace(", reference: 5", ""))
    assert "no `reference: 20` in the front matter" in findings(project)[0].message


def test_doctor_names_deviations_and_their_likely_causes(project: Project) -> None:
    page = project.page("index")
    page.path.write_text(page.text.replace("offset < 3", "True"))
    assert run_onions(project.root, "execute").returncode == 0
    done = run_onions(project.root, "doctor", "--strict")
    assert done.returncode == 0
    assert done.stdout == (
        "index: its code changed since the reference runs. Run `onions reference`.\n"
    )
    page.path.write_text(page.text)
    assert run_onions(project.root, "execute").returncode == 0
    done = run_onions(project.root, "doctor", "--strict")
    assert done.returncode == 0 and "as expected" in done.stdout
    [facts] = reference_sets(project)
    version = facts["pages"]["index"]["versions"]["wrapt"]
    for scores, grade in (
        ([0.55, 0.56, 0.57, 0.54, 0.53, 0.6, 0.7], "as expected"),
        ([0.52, 0.525, 0.53, 0.525, 0.525, 0.6, 0.7], "unusual, as fewer than 1 in 100 runs"),
        ([0.71, 0.72, 0.73, 0.74, 0.75, 0.6, 0.7], "something is different; likely cause: wrapt"),
    ):
        facts["pages"]["index"]["measures"]["score"] = scores
        facts["pages"]["index"]["versions"]["wrapt"] = "0.1"
        ReferenceRuns(project).path.write_text(json.dumps([facts]))
        for strict in ([], ["--strict"]):
            done = run_onions(project.root, "doctor", *strict)
            assert grade in done.stdout, done.stdout
            assert done.returncode == (len(strict) if grade.startswith("something") else 0)
            assert ("score = 0.5, expected 0." in done.stdout) is (grade != "as expected")
            assert "by 5 reference runs" in done.stdout or grade == "as expected"
    assert f"wrapt {version}, not 0.1" in done.stdout
    assert "word" not in done.stdout
    for words, deviates in ((["other"] * 7, True), (["other", "third"] + ["x"] * 5, False)):
        facts["pages"]["index"]["measures"]["word"] = words
        ReferenceRuns(project).path.write_text(json.dumps([facts]))
        output = run_onions(project.root, "doctor").stdout
        assert ("word = same, but other in all reference runs" in output) is deviates
    ReferenceRuns(project).path.unlink()
    done = run_onions(project.root, "doctor", "--strict")
    assert "index: no reference runs with the built-in stand-in" in done.stdout
    assert done.returncode == 0
    page.path.write_text(page.text.replace("0.525", "0.6"))
    done = run_onions(project.root, "doctor", "--strict")
    assert (done.returncode, done.stdout) == (1, "index: stale. Run `onions execute`.\n")


def test_only_runs_with_the_same_images_fail_the_strict_doctor(project: Project) -> None:
    [own] = reference_sets(project)
    measures = {
        **own["pages"]["index"]["measures"],
        "score": [0.71, 0.72, 0.73, 0.74, 0.75, 0.6, 0.7],
    }
    pages = {"index": {**own["pages"]["index"], "measures": measures}}
    other = {**own, "data identity": "other images", "pages": pages}
    for sets, status in (([other], 0), ([other, own], 0), ([{**own, "pages": pages}], 1)):
        ReferenceRuns(project).path.write_text(json.dumps(sets))
        done = run_onions(project.root, "doctor", "--strict")
        assert done.returncode == status, done.stdout
        assert ("something is different" in done.stdout) is (own not in sets)
        assert ("cause: other images of the same name" in done.stdout) is (sets == [other])


def test_the_claims_are_listed_with_their_margins(project: Project) -> None:
    page = project.page("index")
    page.path.write_text(f"{page.text}\nIt is low {{finding}}`score < 1.05 * score`.\n")
    output = run_onions(project.root, "claims").stdout
    assert "exact: It is small.\n" in output
    assert "  finding: It is low.\n    score < 1.05 * score\n    the built-in" in output
    [listed] = [
        item
        for item in json.loads(run_onions(project.root, "claims", "index", "--json").stdout)
        if item["kind"] == "finding"
    ]
    [outcome], [margins] = listed["outcomes"].values(), listed["margins"].values()
    assert outcome.startswith("5 of 5, mean ") and outcome.endswith("with other images 2 of 2")
    logit = [math.log(p / (1 - p)) for p in (0.51, 0.51 * 1.05)]
    assert margins[0] == pytest.approx(logit[1] - logit[0])


def render(project: Project, text: str) -> tuple[int, str, str]:
    page = project.book / "index.md"
    page.write_text(text)
    assert run_onions(project.root, "execute").returncode == 0
    done = run_onions(project.root, "render")
    path = project.build / "html" / "index.html"
    return done.returncode, done.stderr, path.read_text("utf-8") if path.exists() else ""


def test_a_finding_is_shown_for_this_run_and_the_reference_runs(project: Project) -> None:
    status, errors, html = render(project, PAGE + SHOWN)
    assert status == 0, errors
    assert "below the limit in 2 of 5 reference runs, and in this build." in html
    assert "The built-in stand-in on a CPU" in html and "7 of “A page”" in html
    path = ReferenceRuns(project).path
    path.write_text(path.read_text().replace("0.53,", "0.522,"))
    assert run_onions(project.root, "render").returncode == 0  # new runs reach the page
    assert "in 3 of 5 reference runs" in (project.build / "html" / "index.html").read_text("utf-8")
    text = (PAGE + SHOWN).replace("score < limit", "score > limit")
    assert "in 2 of 5 reference runs, but not in this build." in render(project, text)[2]


def test_a_false_claim_fails_execute_and_render_without_another_run(project: Project) -> None:
    status, errors, _ = render(project, f"{PAGE}\nIt is low{{claim}}`score < limit`.\n")
    assert status == 0, errors
    page = project.book / "index.md"
    page.write_text(page.read_text("utf-8").replace("score < limit", "score > 2 * limit"))
    done = run_onions(project.root, "execute")
    assert done.returncode == 3 and "cell" not in done.stdout
    line = len(page.read_text("utf-8").splitlines())
    message = (
        f"index.md:{line}  “It is low.”\n    score > 2 * limit\n    score = 0.5\n    limit = 0.525"
    )
    assert "1 claim does not hold in this run" in done.stderr and message in done.stderr
    done = run_onions(project.root, "render")
    assert done.returncode == 1
    assert "“It is low.” does not hold: score &gt; 2 * limit" in done.stderr or (
        "“It is low.” does not hold: score > 2 * limit (score = 0.5, limit = 0.525)" in done.stderr
    )


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            "{finding}`score < nothing`",
            "nothing is missing in the reference runs",
        ),
        ("{finding}`score`", "score: not a comparison. Write two measures, as in a < b"),
        ("```{reference-curves} a cat\n```", "no cell of this page records a training named a cat"),
        (
            "```{reference-curves} a network\n:metrics: loss\n```",
            "the curve loss of a network is missing in this run or the reference runs",
        ),
        (
            "```{is-my-result-normal}\nindex word: Word\n```",
            "index: word is missing, constant or not a number, in this build or the reference runs",
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
    assert label and "ends at 0.2 after epoch 2" in label[1] and "99 of 100 runs" in label[1]
    drawn = re.findall(r'<poly(?:gon|line) points="([^"]+)" fill=', html)
    assert len(drawn) == 3  # the band, its middle and this build
    assert html.count('stroke-dasharray="8 3"') == 2  # they are of the validation set
    for x, y in (map(float, point.split(",")) for points in drawn for point in points.split()):
        assert 44 <= x <= 312 and 12 <= y <= 176


def test_a_reader_s_numbers_are_judged_together_by_keyboard_alone(
    project: Project, chromium: Browser
) -> None:
    render(project, PAGE + SHOWN)
    page = chromium.new_page()
    page.goto((project.build / "html" / "index.html").as_uri())
    part = page.locator(".normal").first
    assert part.locator("tbody tr").count() == 1
    assert part.locator("tbody th").inner_text() == "The score & more"
    assert part.locator("tbody td").nth(1).inner_text().strip() == "0.450 to 0.608"
    number = part.get_by_role("textbox", name="The score & more")
    part.locator("tbody th").click()
    page.keyboard.press("Tab")
    expect(number).to_be_focused()
    for typed, message, marks in (
        ("0.515", "As expected. This number is where 99 of 100 runs come out", 1),
        ("0,60", "As expected", 1),
        ("0.62", "Unusual, but possible.", 1),
        ("0.2", "Something is different.", 1),
        ("a cat", "“a cat” is not a number. Type one as in 0.53.", 0),
        ("", "", 0),
    ):
        page.keyboard.press("Control+A")
        page.keyboard.press("Backspace")
        page.keyboard.type(typed)
        assert part.locator("output").inner_text().startswith(message), typed
        assert part.locator(".mine").count() == marks
    page.close()


def test_without_javascript_the_table_is_visible_and_the_inputs_are_hidden(
    project: Project, chromium: Browser
) -> None:
    render(project, PAGE + SHOWN)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((project.build / "html" / "index.html").as_uri())
    assert not page.locator(".normal input").first.is_visible()
    assert page.locator(".normal table").first.is_visible()
    context.close()
