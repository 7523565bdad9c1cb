"""The pages themselves: executed in the smoke profile, with the stand-in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from nbformat import NotebookNode
from onions import rules, store
from onions.pages import Page, Project

PAGES = Project(ROOT).pages()
RUN = [page for page in PAGES if page.cells]
Entries = dict[str, tuple[Page, NotebookNode]]


# The exact numbers of the lesson, which no training changes, by page.
EXACT: dict[str, dict[str, object]] = {
    "layer_types": {"n_pixels": 3072, "dense_parameters": 307_300, "convolutional": 2_800},
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
    "dropout": {"total_parameters": 36_138, "test_steps": 313, "survivor": 1.25},
}


@pytest.mark.parametrize("name", EXACT)
def test_the_exact_numbers_come_out_of_the_run(entries: Entries, name: str) -> None:
    measured = {m["name"]: m["value"] for _, m in store.measures(entries[name][1])}
    assert {key: measured.get(key) for key in EXACT[name]} == EXACT[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_keeps_the_rules(page: Page) -> None:
    assert rules.check(page) == []


def test_nothing_that_a_library_mutters_is_on_a_page(entries: Entries) -> None:
    for page, entry in entries.values():
        for cell in entry.cells:
            for output in cell.outputs:
                text = output.get("text", "")
                assert output.get("name") != "stderr", (page.name, text)
                for noise in ("\x08", "\r", "\x1b", "oneDNN", "cudart", "WARNING", "it/s"):
                    assert noise not in text, (page.name, noise)


def test_every_image_comes_from_a_cell_with_alt_text(entries: Entries) -> None:
    found = 0
    for page, entry in entries.values():
        for cell, done in zip(page.cells, entry.cells, strict=True):
            for output in done.outputs:
                if any(kind.startswith("image/") for kind in output.get("data", {})):
                    found += 1
                    assert len(cell.metadata["mystnb"]["image"]["alt"]) > 40, page.name
    assert found >= 5


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
    assert kinds("dropout") == {"image/svg+xml", "image/png"}


def test_claims_about_training_are_not_checked_in_the_smoke_profile(entries: Entries) -> None:
    claims = {c["sentence"]: c for _, c in store.claims(entries["dropout"][1])}
    assert claims["At prediction, dropout changes nothing."]["holds"] is True
    narrowed = claims[
        "Dropout narrows the gap between the training curve and the validation curve."
    ]
    assert narrowed["holds"] is None and "smoke" in narrowed["why"]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_the_visible_cells_run_as_a_plain_script(page: Page, tmp_path: Path) -> None:
    cells = [cell.source for cell in page.cells if not rules.hidden(cell)]
    script = "import onions.kernel\nonions.kernel.install()\n" + "\n".join(cells)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={
            **os.environ,
            "ONIONS_DATA": "sketches",
            "ONIONS_PROFILE": "smoke",
            "MPLBACKEND": "agg",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
