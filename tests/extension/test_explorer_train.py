"""The train explorer: a training in the browser, from a press of a button to the page's claims."""

import csv
import json
import re
import subprocess
import sys
from typing import Any

import pytest
from onions.book.comparisons import parse_comparison
from onions.book.project import Project
from onions.extension.teaching.training import TERM
from playwright.sync_api import Locator, Page, Route, expect
from support.browsing import axe_violations, record_requests
from support.explorers import RunScript, open_explorer

FINISHED = re.compile(r"^Finished in \d+ seconds?\. Validation accuracy (0\.\d+)\.")
MINUTE = 60_000  # milliseconds


@pytest.fixture
def explorer(site_url: str, tab: Page) -> Locator:
    return open_explorer(tab, site_url, "train", "training")


def train(explorer: Locator, images: int, epochs: int, seed: int) -> float:
    """Train, and return the validation accuracy."""
    explorer.get_by_label("Images").select_option(str(images))
    explorer.get_by_label("Epochs").fill(str(epochs))
    explorer.get_by_label("Seed").fill(str(seed))
    explorer.get_by_role("button", name="Train").click()
    status = explorer.locator(".explorer-says")
    expect(status).to_have_text(FINISHED, timeout=2 * MINUTE)
    match = FINISHED.match(status.inner_text())
    assert match
    return float(match[1])


def column(explorer: Locator, heading: str) -> list[str]:
    """Return a column of the table of runs."""
    table = explorer.locator("table:has(caption)")
    number = table.locator("th").all_inner_texts().index(heading)
    return [row.locator("td").nth(number).inner_text() for row in table.locator("tbody tr").all()]


def compared(book: Project) -> dict[str, Any]:
    path = book.build / "html/_exports/training/two-convolutions-pooling-compared.json"
    values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return values


@pytest.mark.site
def test_accuracy_is_that_of_the_reference_runs(book: Project, explorer: Locator) -> None:
    """After two epochs of all images, in the band where 99 of 100 runs are expected."""
    low, _, high = compared(book)["bands"]["val_accuracy"][1]
    assert low < train(explorer, 5000, 2, seed=1) < high


@pytest.mark.site
def test_drawings_are_not_compared_with_photographs(
    book: Project, site_url: str, tab: Page
) -> None:
    """As on a site with CIFAR-10 that publishes none of its photographs."""
    values = compared(book) | {"same_images": False, "curves": None}
    values["claims"] = [claim for claim in values["claims"] if not claim["others"]]
    assert len(values["claims"]) >= 4
    values["bands"] = {metric: band[:7] for metric, band in values["bands"].items()}
    tab.route("**/*-compared.json*", lambda route: route.fulfill(json=values))
    explorer = open_explorer(tab, site_url, "train", "training")
    expect(explorer.get_by_label("Epochs")).to_have_value("7")  # as many as the bands have
    expect(explorer.get_by_text("so you train on drawings of the same classes")).to_be_visible()
    expect(explorer.get_by_text("Orange: your run; pale: your previous run.")).to_be_visible()
    assert explorer.locator("polyline[points='']").count() == explorer.locator("polyline").count()
    assert explorer.locator("polygon").count() == 2  # the bands


@pytest.mark.slow
@pytest.mark.site
@pytest.mark.parametrize("seed", range(1, 7))
def test_whole_trainings_are_like_the_reference_runs(
    book: Project, explorer: Locator, seed: int
) -> None:
    low, _, high = compared(book)["bands"]["val_accuracy"][9]
    assert low < train(explorer, 5000, 10, seed) < high


@pytest.mark.site
def test_nothing_is_loaded_or_trained_before_a_press(site_url: str, tab: Page) -> None:
    requests = record_requests(tab)
    explorer = open_explorer(tab, site_url, "train", "training")
    tab.wait_for_timeout(500)
    assert not [url for url in requests if url.endswith(".bin")]
    text = explorer.locator(".train-estimate").inner_text()
    estimate = re.match(
        r"Training loads (\d+\.\d) MB of drawings, once, and then takes about ", text
    )
    assert estimate and float(estimate[1]) > 10
    explorer.get_by_label("Images").select_option("1000")
    text = explorer.locator(".train-estimate").inner_text()
    assert float(re.findall(r"\d+\.\d", text)[0]) == pytest.approx(float(estimate[1]) / 5, abs=0.1)
    assert axe_violations(tab, "onion-train") == []


@pytest.mark.site
def test_run_is_kept_and_its_test_set_opened_once(
    explorer: Locator, tab: Page, site_url: str
) -> None:
    requests = record_requests(tab)
    accuracy = train(explorer, 1000, 2, seed=7)
    code = explorer.locator("details pre").text_content() or ""
    assert "set_random_seed(7)" in code and "epochs=2," in code and "all_labels[:1000]" in code
    assert len([url for url in requests if ".bin" in url]) == 4  # 500 images in each
    assert all(url.startswith(site_url) for url in requests)
    opening = explorer.get_by_role("button", name="Open the test set")
    opening.click()
    expect(explorer.locator(".explorer-says")).to_contain_text(
        "On 1000 test images, your network has"
    )
    expect(opening).to_be_disabled()
    assert len([url for url in requests if "-test-" in url]) == 2
    assert axe_violations(tab, "onion-train") == []
    again = open_explorer(tab, site_url, "train", "training")
    with tab.expect_download() as download:
        again.get_by_role("button", name="Download as CSV").click()
    rows = list(csv.DictReader(download.value.path().read_text("utf-8").splitlines()))
    assert len(rows) == 1
    assert rows[0]["network"] == "training: two convolutions, pooling"
    assert [rows[0][name] for name in ("images", "epochs", "seed")] == ["1000", "2", "7"]
    assert float(rows[0]["val_accuracy"]) == pytest.approx(accuracy, abs=1e-3)
    assert 0 < float(rows[0]["test_accuracy"]) < 1
    again.get_by_role("button", name="Delete these runs").click()
    assert tab.evaluate("localStorage.getItem('onions-runs')") == "[]"


@pytest.mark.site
def test_same_seed_gives_the_same_result_after_a_pause(explorer: Locator) -> None:
    first = train(explorer, 1000, 1, seed=3)
    assert train(explorer, 1000, 2, seed=3) != first
    explorer.get_by_label("Epochs").fill("1")
    explorer.get_by_label("Seed").fill("3")
    explorer.get_by_role("button", name="Train").click()
    explorer.get_by_role("button", name="Pause").click()
    left = explorer.locator(".train-left")
    explorer.page.wait_for_timeout(300)
    shown = left.inner_text()
    explorer.page.wait_for_timeout(300)
    assert left.inner_text() == shown
    explorer.get_by_role("button", name="Go on").click()
    expect(explorer.locator(".explorer-says")).to_have_text(FINISHED, timeout=MINUTE)
    assert f"{first:.3f}" in explorer.locator(".explorer-says").inner_text()


@pytest.mark.site
def test_training_goes_on_in_a_hidden_tab(explorer: Locator, tab: Page) -> None:
    """Browsers give such a tab no frames, and run its timers once a second.

    They do not slow down its workers.
    """
    tab.evaluate("""() => {
      const [later, repeat] = [setTimeout, setInterval];
      window.setTimeout = (run, wait) => later(run, Math.max(wait ?? 0, 1000));
      window.setInterval = (run, wait) => repeat(run, Math.max(wait ?? 0, 1000));
      window.requestAnimationFrame = () => 0;
      window.requestIdleCallback = () => 0;
    }""")
    train(explorer, 1000, 2, seed=1)
    curve = explorer.locator("polyline.run-1").first.get_attribute("points")
    assert curve is not None
    assert len(curve.split()) == 2
    assert column(explorer, "seed") == ["1"]


@pytest.mark.site
def test_stopped_training_keeps_its_whole_epochs(explorer: Locator) -> None:
    explorer.get_by_label("Images").select_option("1000")
    explorer.get_by_label("Epochs").fill("20")
    explorer.get_by_role("button", name="Train").click()
    expect(explorer.locator(".explorer-says")).to_contain_text("Epoch 1 of 20", timeout=MINUTE)
    explorer.get_by_role("button", name="Stop").click()
    status = explorer.locator(".explorer-says")
    expect(status).to_have_text(re.compile(r"^Stopped after epoch \d+ of 20\."), timeout=MINUTE)
    epochs = int(status.inner_text().split()[3])
    assert 1 <= epochs < 20
    assert column(explorer, "epochs") == [str(epochs)]
    explorer.get_by_text("The same training in Keras").click()
    code = explorer.get_by_role("region", name="Keras code")
    expect(code).to_contain_text(f"epochs={epochs},")
    explorer.get_by_role("button", name="Open the test set").click()
    expect(status).to_contain_text("On 1000 test images, your network has")


@pytest.mark.site
def test_loading_can_be_stopped(explorer: Locator, tab: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    tab.context.route("**/*.bin", hold)
    explorer.get_by_role("button", name="Train").click()
    while not held:
        tab.wait_for_timeout(50)
    explorer.get_by_role("button", name="Stop").click()
    held[0].continue_()
    status = explorer.locator(".explorer-says")
    expect(status).to_contain_text("you pressed Stop. Press Train to try again", timeout=MINUTE)
    assert len(held) == 1
    tab.context.unroute_all()
    train(explorer, 1000, 1, seed=1)


@pytest.mark.site
def test_missing_images_are_reported(explorer: Locator, tab: Page) -> None:
    tab.context.route("**/*.bin", lambda route: route.fulfill(status=404))
    explorer.get_by_role("button", name="Train").click()
    status = explorer.locator(".explorer-says")
    pause = explorer.get_by_role("button", name="Pause")
    pause.click()  # must not hold up the next training
    expect(status).to_contain_text("HTTP 404. Press Train to try again", timeout=MINUTE)
    expect(pause).to_be_disabled()
    tab.context.unroute_all()
    train(explorer, 1000, 1, seed=1)
    assert int(column(explorer, "seconds")[0]) >= 1
    expect(explorer.locator(".train-estimate")).to_have_text(re.compile(r"takes about \d+ second"))


@pytest.mark.site
def test_network_can_be_neither_trained_nor_changed_while_it_is_tested(
    explorer: Locator, tab: Page
) -> None:
    train(explorer, 1000, 1, seed=1)
    held: list[Route] = []
    tab.context.route("**/*-test-*", lambda route: held.append(route))
    explorer.get_by_role("button", name="Open the test set").click()
    while not held:
        tab.wait_for_timeout(50)
    expect(explorer.get_by_role("button", name="Train")).to_be_disabled()
    expect(explorer.get_by_label("Epochs")).to_be_disabled()
    held[0].continue_()
    tab.context.unroute_all()
    expect(explorer.locator(".explorer-says")).to_contain_text("On 1000 test images")
    expect(explorer.get_by_role("button", name="Train")).to_be_enabled()


@pytest.mark.site
def test_workbench_trains_what_one_builds(site_url: str, tab: Page) -> None:
    workbench = open_explorer(tab, site_url, "workbench", "workbench")
    button = workbench.get_by_role("button", name="Train", exact=True)
    estimate = workbench.locator(".train-estimate")
    workbench.get_by_role("button", name="Remove 5. Flatten").click()
    expect(estimate).to_have_text("This network can't be trained. Mend it first.")
    expect(button).to_be_disabled()
    workbench.get_by_role("button", name="Undo").click()
    expect(estimate).to_contain_text("and then takes about")
    workbench.get_by_label("Start from").select_option("with dropout")
    workbench.get_by_label("Images").select_option("1000")
    workbench.get_by_label("Epochs").fill("1")
    workbench.get_by_label("Learning rate").select_option("0.01")
    workbench.get_by_label("Training labels").select_option("half of them random")
    workbench.get_by_text("The same training in Keras").click()
    code = workbench.get_by_role("region", name="Keras code")
    expect(code).to_contain_text("keras.layers.Dropout(0.2)")
    expect(code).to_contain_text("train_labels[:500] = ")
    button.click()
    expect(workbench.get_by_text(FINISHED)).to_be_visible(timeout=MINUTE)
    assert column(workbench, "images") == ["1000"]
    assert column(workbench, "parameters") == ["36138"]
    assert column(workbench, "learning rate") == ["0.0100"]
    assert column(workbench, "random labels") == ["0.5"]
    assert axe_violations(tab, "onion-workbench") == []
    expect(workbench.get_by_text("the kernels of your first layer")).to_be_visible()
    workbench.get_by_label("Start from").select_option("dense layers only")
    button.click()
    expect(workbench.locator("table:has(caption) tbody tr")).to_have_count(2, timeout=MINUTE)
    expect(workbench.get_by_text("the kernels of your first layer")).to_be_hidden()


def test_layers_are_translated_to_keras_and_back(run_script: RunScript) -> None:
    script = """async () => {
      const { code, fromKeras, NETWORKS, toKeras } = await import("./keras.js");
      const translated = (layers) => fromKeras(toKeras(layers));
      return Object.values(NETWORKS).map((layers) => [code(layers), code(translated(layers))]);
    }"""
    for before, after in run_script(script):
        assert before == after


def test_claims_are_checked_like_those_of_the_page(book: Project, run_script: RunScript) -> None:
    """With each claim's outcome, and with the opposite one."""
    values = compared(book)
    measures = {"loss": "loss[2]", "first_loss": "loss[1]", "late_fall": "loss[1] - loss[2]"}
    history = {"loss": [2.0, 0.5]}
    expected = {"loss": 0.5, "first_loss": 2.0, "late_fall": 1.5, "chance": 0.1}
    claims = [
        {**parse_comparison(text)._asdict(), "others": []}
        for text in ("loss < first_loss", "loss > first_loss", "late_fall > 2 * chance")
    ]
    script = """async ([training, history]) => {
      const { checkClaims } = await import("./checks.js");
      return checkClaims(training, history);
    }"""
    training = {"claims": claims, "measures": measures, "constants": {"chance": 0.1}}
    checked = run_script(script, [training, history])
    for claim, result in zip(claims, checked, strict=True):
        comparison = parse_comparison(
            f"{claim['left']} {claim['relation']} {claim['factor']} * {claim['right']}"
        )
        assert result["holds"] == comparison.holds(expected)
        assert result["sides"] == list(comparison.sides(expected))
    assert len(values["claims"]) >= 5
    exported = json.loads((book.build / "html/_exports/training/training.json").read_text("utf-8"))
    for formula in exported["measures"].values():
        assert (
            " - ".join(f"{metric}[{epoch}]" for metric, epoch in TERM.findall(formula)) == formula
        )
    known = exported["measures"].keys() | values["constants"].keys()
    assert {c[side] for c in values["claims"] for side in ("left", "right")} <= known


@pytest.mark.site
def test_dropout_rate_is_changed_from_run_to_run(site_url: str, tab: Page) -> None:
    explorer = open_explorer(tab, site_url, "train", "dropout")
    train(explorer, 1000, 1, seed=1)
    assert explorer.locator("circle.run-past").count() == 0
    explorer.get_by_label("Dropout rate").select_option("0")
    explorer.get_by_text("The same training in Keras").click()
    train(explorer, 1000, 1, seed=1)
    code = explorer.get_by_role("region", name="Keras code")
    expect(code).to_contain_text("keras.layers.Dropout(0)")
    assert explorer.locator("circle.run-past").count() == 4
    assert column(explorer, "dropout rate") == ["0.2", "0.0"]
    assert column(explorer, "seed") == ["1", "1"]
    first, second = column(explorer, "training loss")
    assert first != second
    assert axe_violations(tab, "onion-train") == []


@pytest.mark.site
def test_a_device_with_many_cores_trains_with_two_workers(site_url: str, tab: Page) -> None:
    """The site's policy allows it. Each worker draws its own dropout, so the result differs.

    Where the second worker does not start, one trains alone.
    """
    cores, second = "2", "./trainer.js"

    def pretend(route: Route) -> None:
        response = route.fetch()
        script = response.text().replace("navigator.hardwareConcurrency", cores)
        route.fulfill(response=response, body=script.replace("./trainer.js", second))

    def losses(runs: int) -> list[str]:
        explorer = open_explorer(tab, site_url, "train", "dropout")
        for _ in range(runs):
            train(explorer, 1000, 1, seed=1)
        return column(explorer, "training loss")[-runs:]

    tab.route("**/trainer.js*", pretend)
    alone = losses(1)
    cores = "8"
    both = losses(1)
    assert both == losses(1) != alone
    second = "./missing.js"
    assert losses(2) == 2 * alone


@pytest.mark.site
def test_training_is_broken_in_each_way(site_url: str, tab: Page) -> None:
    """On the page about curves: the run trains what its code says."""
    explorer = open_explorer(tab, site_url, "train", "diagnosis")
    explorer.get_by_text("The same training in Keras").click()
    code = explorer.get_by_role("region", name="Keras code")
    for label, value, line in (
        ("Learning rate", "0.1", "keras.optimizers.Adam(0.1)"),
        ("Inputs", "255", 'all_images.astype("float32")\n'),
        ("Training labels", "1", "train_labels[:1000] = "),
        ("Kernels in each layer", "4", "keras.layers.Conv2D(4, (3, 3)"),
    ):
        explorer.get_by_label("Images").select_option("1000")
        assert line not in code.inner_text()
        explorer.get_by_label(label).select_option(value)
        assert line in code.inner_text()
    accuracy = train(explorer, 1000, 1, seed=1)
    assert accuracy < 0.2  # nothing can be learned


@pytest.mark.site
def test_series_trains_on_windows_that_the_browser_makes(site_url: str, tab: Page) -> None:
    explorer = open_explorer(tab, site_url, "series", "time_series")
    expect(explorer.locator(".train-estimate")).to_contain_text("Training takes about")
    requests = record_requests(tab)
    explorer.get_by_label("Windows").select_option("1000")
    explorer.get_by_role("button", name="Train").click()
    status = explorer.locator(".explorer-says")
    expect(status).to_have_text(FINISHED, timeout=MINUTE)
    match = FINISHED.match(status.inner_text())
    assert match and float(match[1]) > 0.6
    assert not [url for url in requests if "/core.wasm" not in url]
    assert explorer.get_by_role("button", name="Open the test set").count() == 0
    assert axe_violations(tab, "onion-series") == []


# Runs code with drawings instead of photographs; prints the accuracy of each run.
RUN_CODE = """
import json, sys
import keras, numpy as np
random = np.random.default_rng(1)
images = random.integers(0, 256, (10000, 32, 32, 3)).astype("uint8")
labels = random.integers(0, 10, (10000, 1))
keras.datasets.cifar10.load_data = lambda: ((images.copy(), labels.copy()), None)
for code in json.load(sys.stdin):
    names = {}
    exec(code, names)
    params = names["history"].params
    print(json.dumps([names["model"].count_params(), params["epochs"], params["steps"]]))
"""


@pytest.mark.site
def test_code_to_copy_runs_in_keras(book: Project, site_url: str, tab: Page) -> None:
    """The number of parameters, epochs and steps is that of the run."""
    codes, expected = [], []
    for name, page, label, value, parameters, steps in (
        ("train", "dropout", "Dropout rate", "0.8", 36_138, 32),
        ("train", "diagnosis", "Training labels", "0.5", 47_370, 32),
        ("series", "time_series", "Training labels", "0.5", 251, 32),
    ):
        explorer = open_explorer(tab, site_url, name, page)
        explorer.get_by_label(re.compile("Images|Windows")).select_option("1000")
        explorer.get_by_label("Epochs").fill("1")
        explorer.get_by_label(label).select_option(value)
        explorer.get_by_text("The same training in Keras").click()
        code = explorer.get_by_role("region", name="Keras code").inner_text()
        if page == "time_series":
            cells = [cell.source for cell in book.page(page).cells]
            made = [source for source in cells if "make_windows(" in source]
            code = "\n".join(["import numpy as np", *made, code])
        codes.append(code)
        expected.append([parameters, 1, steps])
    command = [sys.executable, "-c", RUN_CODE]
    ran = subprocess.run(
        command, input=json.dumps(codes), capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    results = [line for line in ran.stdout.splitlines() if line.startswith("[")]
    assert [json.loads(line) for line in results] == expected


@pytest.mark.site
def test_results_of_a_class_are_collected(book: Project, site_url: str, tab: Page) -> None:
    lines = [
        "two convolutions, pooling: 5000 images, 10 epochs, seed 7: accuracy 0.7500, loss 0.8000",
        "Ana: two convolutions, pooling: 5000 images, 10 epochs, seed 8: accuracy 0.7200, loss 0.9",
        "two convolutions, pooling: 1000 images, 10 epochs, seed 9: accuracy 0.4000, loss 1.5000",
        "well done!",
    ]
    explorer = open_explorer(tab, site_url, "class", "reference/instructor")
    status = explorer.locator(".explorer-says")
    expect(status).to_have_text("No result yet.")
    explorer.get_by_label("Results of your class").fill("\n".join([*lines, lines[0]]))
    low, _, high = compared(book)["bands"]["val_accuracy"][9]
    inside = sum(low <= accuracy <= high for accuracy in (0.75, 0.72))
    expect(status).to_have_text(
        "2 results, with validation accuracies from 0.720 to 0.750, and 0.735 in the middle. "
        f"{inside} of them in the grey area. "
        "2 lines are left out: no result of this network after 10 epochs of 5000 images."
    )
    assert explorer.locator("circle").count() == 4
    assert axe_violations(tab, "onion-class") == []


def test_a_result_survives_its_line(run_script: RunScript) -> None:
    script = """async (run) => {
      const { parseResults, resultLine } = await import("./runs.js");
      return parseResults(resultLine("with dropout", run), "with dropout", run.images, run.epochs);
    }"""
    run = {"images": 5000, "epochs": 10, "seed": 3, "val_accuracy": 0.71239, "val_loss": 0.8712}
    result = {"accuracy": 0.7124, "loss": 0.8712}
    assert run_script(script, run) == {"results": [result], "others": 0}
