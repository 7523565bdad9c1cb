"""What a training in the reader's browser is compared with: this build, and the reference runs."""

import re
from typing import Any

from onions.book.comparisons import margins, parse_comparison, sentences
from onions.book.page import Page
from onions.book.reference import PageRuns
from onions.book.spread import FEWEST_VALUES, prediction_band
from onions.claims import Value
from onions.extension.base.session import session
from onions.images.sources import resolve_source
from onions.store.entries import measure_values, trainings

TERM = re.compile(r"(\w+)\[(\d+)\]")
ROUNDING = 1e-4  # of the curves of a training's record


def comparison_values(
    page: Page, network: str, measures: dict[str, str], *, drawings: bool
) -> dict[str, Any]:
    """Return the values with which the explorer `train` compares a reader's run of `network`.

    `measures` maps measures of the page to formulas of the training's history, such as ``loss[5] -
    loss[10]``: the loss after epoch 5 minus that after epoch 10. The values are this build's
    `curves`, the `bands` of the reference runs, the page's `claims` about these measures, and
    `constants`, this build's values of other measures in these claims. If readers train on the
    stand-in's `drawings` and this build did not, there are no curves, the reference runs are those
    with the stand-in, and the claims are about the reader's run alone. Raises LookupError if the
    page has no such training, and ValueError if a formula does not give the page's own measure.
    """
    same_images = not drawings or session().build.source.name == "sketches"
    entry = session().entry(page)
    curves = {training["name"]: training["curves"] for _, training in trainings(entry)}
    if network not in curves:
        raise LookupError(f":training: {network}: no cell of this page records such a training")
    values = measure_values(entry)
    if session().build.profile == "full" and page.name not in session().pending:
        _check_formulas(measures, curves[network], values)
    runs = session().reference_runs(page.name)
    if not same_images:
        runs = session().reference.runs(resolve_source("sketches"), page.name)
    claims = [c for c in _claims(page, measures, runs) if same_images or not c["others"]]
    names = {name for claim in claims for name in (claim["left"], claim["right"])}
    return {
        "page": page.name,
        "network": network,
        "same_images": same_images,
        "curves": curves[network] if same_images else None,
        "bands": _bands(network, runs, [*curves[network]]) if runs else {},
        "claims": claims,
        "constants": {name: values.get(name) for name in sorted(names - measures.keys())},
    }


def _check_formulas(
    measures: dict[str, str], curves: dict[str, list[float]], values: dict[str, Value]
) -> None:
    for name, formula in measures.items():
        first, *others = (curves[metric][int(epoch) - 1] for metric, epoch in TERM.findall(formula))
        if abs(first - sum(others) - float(values[name])) > ROUNDING:
            raise ValueError(
                f"the formula {formula} of {name} gives {first - sum(others):g}, but the page "
                f"measures {values[name]}. Correct the formula in the cell that exports it."
            )


def _bands(network: str, runs: PageRuns, metrics: list[str]) -> dict[str, list[list[float]]]:
    bands = {}
    for metric in metrics:
        curves = runs.curves(network, metric)
        if len(curves) >= FEWEST_VALUES:
            band = prediction_band(curves, "logit" if "accuracy" in metric else "log")
            bands[metric] = [[round(value, 4) for value in epoch] for epoch in band]
    return bands


def _claims(page: Page, measures: dict[str, str], runs: PageRuns | None) -> list[dict[str, Any]]:
    """Return the claims and findings of a page that compare at least one of the measures."""
    claims = []
    for sentence in sentences(page):
        comparison = parse_comparison(sentence.comparison)
        sides = {comparison.left, comparison.right}
        if comparison.page or not sides & measures.keys():
            continue
        reference = margins(comparison, runs).values if runs else []
        held = sum(margin > 0 for margin in reference)
        claims.append(
            {
                "words": sentence.words,
                **comparison._asdict(),
                "held": f"It held in {held} of {len(reference)} reference runs."
                if reference
                else "",
                # Measures of this build with which the reader's run is compared.
                "others": [
                    name
                    for name in sorted(sides - measures.keys())
                    if (spread := runs and runs.spread(name)) and not spread.constant
                ],
            }
        )
    return claims
