"""The book's pages, executed with the stand-in."""

import re
from itertools import pairwise

import pytest
from onions.book import prose, rules
from onions.book.page import Page
from onions.book.project import Project
from onions.store.build import Build
from onions.store.entries import measures, trainings
from onions.store.page_claims import page_claims
from support.pages import Entries
from support.projects import ROOT

PAGES = Project(ROOT).pages()

# The measures that do not depend on training, by page.
EXACT: dict[str, dict[str, object]] = {
    "layer_types": {
        "n_values": 3072,
        "dense_parameters": 307_300,
        "convolutional": 2_800,
        "weights_of_four": 64,
    },
    "image_data": {
        "n_all_train": 50_000,
        "n_test": 10_000,
        "train_shape": "(5000, 32, 32, 3)",
        "label_shape": "(5000, 1)",
        "smallest_value": 0,
        "largest_value": 255,
        "first_label": 0,
        "last_label": 9,
        "megabytes": 15.36,
        "megabytes_double": 122.88,
        "megabytes_float": 61.44,
    },
    "convolution": {
        "one_sum": 11,
        "n_products": 27,
        "kernel_shape": "(3, 3, 3, 32)",
        "worked_side": 3,
        "valid_side": 30,
        "side_of_5": 24,
        "n_conv": 2700,
        "n_dense": 307_300,
        "ratio": 113.8,
        "conv1_parameters": 896,
        "conv2_parameters": 9248,
        "flattened": 25_088,
        "dense_parameters": 250_890,
        "total_parameters": 261_034,
    },
    "pooling": {
        "pooling_parameters": 0,
        "shapes": "30×30×32 → 15×15×32 → 13×13×32 → 6×6×32 → 1152 → 32 → 10",
        "parameters": "896, 0, 9248, 0, 0, 36896, 330",
        "total_parameters": 47_370,
        "first_total": 261_034,
        "receptive_side": 8,
        "receptive_side_without": 5,
        "by_hand_max": "6, 8, 5, 9",
        "by_hand_mean": "3, 2, 5, 5",
        "first_multiplications": 8_253_824,
        "multiplications": 2_372_288,
        "own_parameters": 26_890,
    },
    "training": {
        "cost_sure": 0.1,
        "cost_wrong": 4.6,
        "cost_chance": 2.3,
        "hand_probability": 0.79,
        "hand_cost": 0.24,
        "hand_cost_wrong": 2.24,
        "batches": 157,
        "batches_of_64": 79,
        "small_parameters": 47_370,
        "small_flattened": 1152,
        "dense_parameters": 308_310,
        "deep_shapes": "30×30×32 → 15×15×32 → 13×13×32 → 6×6×32 → 4×4×32 → 512 → 32 → 10",
        "deep_parameters": 36_138,
        "deep_layers": "896, 0, 9248, 0, 9248, 0, 16416, 330",
        "series_length": 124,
        "series_pooled": 62,
    },
    "dropout": {"total_parameters": 36_138, "test_steps": 313, "survivor": 1.25},
    "inspection": {"n_kernels": 32, "map_sides": "30 → 15 → 13 → 6 → 4"},
    "improving": {"n_versions": 98, "n_runs": 6, "best_parameters": 36_138},
    "time_series": {"n_places": 120, "n_conv": 224, "n_dense": 3080, "n_parameters": 251},
}


@pytest.mark.parametrize("name", EXACT)
def test_run_yields_the_exact_numbers(entries: Entries, name: str) -> None:
    measured = {m["name"]: m["value"] for _, m in measures(entries[name][1])}
    assert {key: measured.get(key) for key in EXACT[name]} == EXACT[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_keeps_the_rules(page: Page) -> None:
    assert rules.apply_rules(page) == []


def test_no_page_shows_a_library_message(entries: Entries) -> None:
    for page, entry in entries.values():
        for cell in entry.cells:
            for output in cell.outputs:
                text = output.get("text", "")
                assert output.get("name") != "stderr", (page.name, text)
                for noise in ("\x08", "\r", "\x1b", "oneDNN", "cudart", "WARNING", "it/s"):
                    assert noise not in text, (page.name, noise)


def test_every_image_comes_from_a_cell_with_alt_text(entries: Entries) -> None:
    images = 0
    for page, entry in entries.values():
        for cell, executed in zip(page.cells, entry.cells, strict=True):
            for output in executed.outputs:
                if any(kind.startswith("image/") for kind in output.get("data", {})):
                    images += 1
                    assert len(cell.metadata["mystnb"]["image"]["alt"]) > 40, page.name
    assert images >= 20


def test_plots_are_vectors_and_photographs_are_pixels(entries: Entries) -> None:
    def kinds(name: str) -> set[str]:
        return {
            kind
            for cell in entries[name][1].cells
            for output in cell.outputs
            for kind in output.get("data", {})
            if kind.startswith("image/")
        }

    assert kinds("layer_types") == {"image/svg+xml"}
    assert kinds("image_data") == {"image/svg+xml", "image/png"}
    assert kinds("dropout") == kinds("convolution") == {"image/svg+xml", "image/png"}


def test_trainings_have_these_names_and_parameters(entries: Entries) -> None:
    parameters = {
        training["name"]: training["parameters"]
        for _, entry in entries.values()
        for _, training in trainings(entry)
    }
    assert parameters == {
        "two convolutions, pooling": 47_370,
        "dense layers only": 308_310,
        "three convolutions": 36_138,
        "three convolutions, second training": 36_138,
        "three convolutions, dropout": 36_138,
        "three convolutions, dropout, second training": 36_138,
        "early stopping": 36_138,
        "data augmentation": 36_138,
        "batch normalisation": 36_522,
        "augmentation, then smaller steps": 36_138,
    }


def test_claims_hold_or_are_not_checked_in_the_smoke_profile(
    book: Project, entries: Entries
) -> None:
    claims = {claim.sentence: claim for claim in page_claims(*entries["dropout"])}
    assert claims["At prediction, dropout changes nothing."].holds is True
    better = claims["On the test set the network is far better than chance."]
    if Build.read(book.store).profile == "smoke":
        assert better.holds is None and "smoke" in better.why
    else:
        assert better.holds is True and better.comparison == "test_accuracy > 3 * chance"


def test_every_glossary_term_is_used_and_every_source_cited() -> None:
    text = "\n".join(page.path.read_text("utf-8") for page in PAGES if page.lesson)
    linked = {(match[2] or match[1]).lower() for match in prose.TERM.finditer(text)}
    terms = prose.glossary_terms(PAGES[0])
    assert len(terms) > 30
    assert [term for term in terms if term.lower() not in linked] == []
    text = "\n".join(page.path.read_text("utf-8") for page in PAGES)
    cited = {key for keys in re.findall(r"\{cite\}`([^`]+)`", text) for key in keys.split(",")}
    sources = re.findall(r"^@\w+\{(\w+),", (ROOT / "book/references.bib").read_text("utf-8"), re.M)
    assert sorted(sources) == sorted(cited)


def core_minutes() -> dict[str, tuple[int, int]]:
    """Return the minutes of teaching and of exercises of each page of the course."""
    core = [page for page in PAGES if page.lesson and not page.lesson.get("optional")]
    return {page.name: (page.lesson["teaching"], page.lesson["exercises"]) for page in core}


def test_the_course_takes_30_minutes_of_teaching_and_45_of_exercises() -> None:
    assert [*map(sum, zip(*core_minutes().values(), strict=True))] == [30, 45]


def plan(minutes: int) -> list[tuple[int, int, str, str]]:
    """Return the rows of a plan for instructors: start, end, page (or ""), and what happens."""
    text = next(p for p in PAGES if p.name == "reference/instructor").text
    part = text.split(f"## A plan for {minutes} minutes")[1].split("\n## ")[0]
    row = r"^\| (\d+)–(\d+) \| (?:\{doc\}`[^<]*<\.\./(\w+)>`)? ?\| (.+) \|$"
    rows = re.findall(row, part, re.M)
    assert len(rows) == len(re.findall(r"^\| \d", part, re.M))
    return [(int(start), int(end), page, text) for start, end, page, text in rows]


@pytest.mark.parametrize("minutes", [75, 120])
def test_instructor_plan_covers_every_minute(minutes: int) -> None:
    rows = plan(minutes)
    assert rows[0][0] == 0 and rows[-1][1] == minutes
    assert all(before[1] == after[0] for before, after in pairwise(rows))
    assert {*core_minutes()} <= {page for _, _, page, _ in rows}


@pytest.mark.parametrize("page", core_minutes())
def test_pages_take_their_minutes_in_the_plan_for_75_minutes(page: str) -> None:
    planned = [0, 0]
    for start, end, name, text in plan(75):
        if name == page:
            planned["*Exercise:*" in text] += end - start
    assert (planned[0], planned[1]) == core_minutes()[page]
