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
    "layer_types": {"n_values": 3072, "dense_parameters": 307_300, "convolutional": 2_800},
    "image_data": {
        "n_all_train": 50_000,
        "n_test": 10_000,
        "train_shape": "(5000, 32, 32, 3)",
        "label_shape": "(5000, 1)",
        "smallest_value": 0,
        "largest_value": 255,
        "first_label": 0,
        "last_label": 9,
    },
    "convolution": {
        "kernel_shape": "(3, 3, 3, 2)",
        "valid_side": 30,
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
        "dense_without": 173_088,
        "dense_with": 36_896,
    },
    "training": {
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
    "improving": {"n_trials": 4, "best_parameters": 36_138},
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

    assert kinds("layer_types") == {"image/svg+xml"} and kinds("image_data") == {"image/png"}
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
        "augmentation, early stopping": 36_138,
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


@pytest.mark.parametrize("minutes", [75, 120])
def test_instructor_plan_covers_every_minute(minutes: int) -> None:
    text = next(p for p in PAGES if p.name == "reference/instructor").path.read_text("utf-8")
    plan = text.split(f"## A plan for {minutes} minutes")[1].split("\n## ")[0]
    times = [(int(a), int(b)) for a, b in re.findall(r"^\| (\d+)–(\d+) \|", plan, re.M)]
    assert times[0][0] == 0 and times[-1][1] == minutes
    assert all(before[1] == after[0] for before, after in pairwise(times))
