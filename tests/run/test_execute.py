import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from onions.book.project import Project
from onions.cli import main
from onions.run.execute import execute
from onions.store.entries import Store, claims
from support.disks import disk_full
from support.pages import BUILD_ONLY_TAGS, CRASHING_PAGE, PRINTING_PAGE, cell, entry
from support.projects import Small, run_onions, small_project

pytestmark = pytest.mark.kernel


def test_an_unchanged_page_runs_once(small: Small) -> None:
    root = small(index=PRINTING_PAGE, text="# Only text")
    first = run_onions(root, "execute")
    assert first.returncode == 0, first.stderr
    assert "index: cell 1 of 1" in first.stdout and "index: executed in" in first.stdout
    notebook = entry(root, "index")
    assert notebook is not None and notebook.cells[0].outputs[0].text == "42\n"
    assert notebook.metadata["onions"]["device"] and notebook.metadata["onions"]["seconds"] > 0
    second = run_onions(root, "execute")
    assert "Fresh: index." in second.stdout and "cell" not in second.stdout
    assert len(list((root / "_build" / "store").glob("*.ipynb"))) == 1


def test_only_the_named_page_runs(small: Small) -> None:
    root = small(index=PRINTING_PAGE, other=PRINTING_PAGE.replace("6 * 7", "6 * 8"))
    assert run_onions(root, "execute", "other").returncode == 0
    assert entry(root, "other") is not None and entry(root, "index") is None
    done = run_onions(root, "execute", "othr")
    assert done.returncode == 2 and "other" in done.stderr


def test_a_page_restored_to_an_earlier_text_does_not_run_again(small: Small) -> None:
    root = small(index=PRINTING_PAGE)
    run_onions(root, "execute")
    small(index=PRINTING_PAGE.replace("6 * 7", "6 * 8"))
    assert "executed" in run_onions(root, "execute").stdout
    small(index=PRINTING_PAGE)
    assert "Fresh: index." in run_onions(root, "execute").stdout


def test_render_keeps_the_last_good_site_after_a_crash(small: Small) -> None:
    root = small(index=PRINTING_PAGE)
    assert run_onions(root, "execute").returncode == run_onions(root, "render").returncode == 0
    site = root / "_build" / "html" / "index.html"
    good = site.read_bytes()
    small(index=CRASHING_PAGE)
    assert run_onions(root, "execute").returncode == 3
    done = run_onions(root, "render")
    assert done.returncode == 1 and str(root / "book" / "index.md") in done.stderr
    assert "Run `onions execute`" in done.stderr and site.read_bytes() == good


CLAIMS = (
    "# Claims\n\nIt grows. It shrinks. It stays.\n\n"
    + cell("x = 1")
    + cell(
        "from onions.claims import claim\n"
        'claim("It grows.", x > 2, now=x, before=2)\n'
        'claim("It shrinks.", x < 2, now=x)\n'
        'claim("It stays.", False)',
        BUILD_ONLY_TAGS,
    )
)


CLEARED = CLAIMS.replace(
    'claim("It stays.", False)',
    'claim("It stays.", False)\nfrom IPython.display import clear_output\nclear_output()',
)
MEMORY = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))\n"
FAILING = {
    "crash": CRASHING_PAGE,
    "claims": CLAIMS,
    "cleared": CLEARED,
    "killed": "# Dies\n\n" + cell("x = 1") + cell("import os\nos.kill(os.getpid(), 9)"),
    "aborts": "# Dies\n\n" + cell("import os\nos.abort()"),
    "exits": "# Dies\n\n" + cell("import os\nos._exit(3)"),
    "memory": "# Big\n\n" + cell(f"{MEMORY}x = bytearray(2**36)"),
    "again": (
        "# Again\n\n"
        + cell("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    kept = e")
        + cell('x = 1\nraise ValueError("late") from kept')
    ),
}


@dataclass
class FailedBuild:
    """A build in which every page but the first fails."""

    root: Path
    status: int
    output: str
    errors: dict[str, str]  # by page

    def place(self, page: str, line: int) -> str:
        return f"{self.root / 'book' / page}.md:{line}"


@pytest.fixture(scope="module")
def failed_build(tmp_path_factory: pytest.TempPathFactory) -> FailedBuild:
    root = small_project(tmp_path_factory.mktemp("book"), index=PRINTING_PAGE, **FAILING)
    # A page that edits itself while it runs.
    path = root / "book" / "edited.md"
    path.write_text("# Edits itself\n\n" + cell(f'open({str(path)!r}, "a").write({cell("2")!r});'))
    with (root / "_toc.yml").open("a") as toc:
        toc.write("  - file: edited\n")
    done = run_onions(root, "execute")
    parts = re.split(r"^(\w+) (?:failed|has a false claim)$", done.stderr, flags=re.M)[1:]
    errors = dict(zip(parts[::2], parts[1::2], strict=True))
    return FailedBuild(root, done.returncode, done.stdout, errors)


def test_failed_pages_stop_no_other_and_are_not_stored(failed_build: FailedBuild) -> None:
    assert failed_build.status == 3
    assert failed_build.errors.keys() == {*FAILING, "edited"}
    assert entry(failed_build.root, "index") is not None
    assert len(list((failed_build.root / "_build" / "store").glob("*.ipynb"))) == 1


def test_a_crash_is_reported_with_its_line(failed_build: FailedBuild) -> None:
    error = failed_build.errors["crash"]
    assert f"cell 2 of 3, {failed_build.place('crash', 12)}" in error
    assert "x / 0" in error and "ZeroDivisionError: division by zero" in error
    outputs = failed_build.root / "_build" / "failed" / "crash.ipynb"
    assert str(outputs) in error and "ZeroDivisionError" in outputs.read_text()


def test_an_error_raised_from_an_earlier_one_names_the_cell_that_raises_it(
    failed_build: FailedBuild,
) -> None:
    error = failed_build.errors["again"]
    assert f"cell 2 of 2, {failed_build.place('again', 12)}" in error
    assert "ValueError: late" in error


def test_false_claims_are_all_listed(failed_build: FailedBuild) -> None:
    assert "claims: has a false claim" in failed_build.output
    error = failed_build.errors["claims"]
    assert "2 claims do not hold in this run" in error
    assert f"{failed_build.place('claims', 12)}  “It grows.”" in error
    assert f"{failed_build.place('claims', 14)}  “It stays.”" in error
    assert "now = 1" in error and "before = 2" in error
    assert "“It shrinks.”" not in error


def test_clearing_the_output_of_a_claim_fails_the_page(failed_build: FailedBuild) -> None:
    assert "the record of a claim was cleared" in failed_build.errors["cleared"]


def test_a_killed_kernel_is_reported(failed_build: FailedBuild) -> None:
    error = failed_build.errors["killed"]
    assert "cell 2 of 2" in error and "the kernel was killed" in error
    assert "memory" in error and "--jobs 1" in error
    assert str(failed_build.root / "_build" / "log" / "killed.log") in error


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("aborts", "the kernel died with SIGABRT"),
        ("exits", "the kernel exited unexpectedly"),
    ],
)
def test_the_cause_of_a_kernel_s_death_is_reported(
    failed_build: FailedBuild, page: str, message: str
) -> None:
    assert message in failed_build.errors[page]


def test_a_memory_error_is_reported_with_a_remedy(failed_build: FailedBuild) -> None:
    error = failed_build.errors["memory"]
    assert "MemoryError" in error and "--jobs 1" in error
    assert failed_build.place("memory", 6) in error


def test_a_page_that_is_edited_while_it_runs_is_not_stored(failed_build: FailedBuild) -> None:
    assert "changed while it ran. Run `onions execute`" in failed_build.errors["edited"]


DROPOUT = (
    "# Dropout\n\nDropout silences some of the values.\n\n"
    + cell(
        "import keras\nimport numpy as np\n\n"
        "layer = keras.layers.Dropout(0.2, seed=1)\n"
        'values = np.array(layer(np.ones((10, 100), dtype="float32"), training=True))'
    )
    + cell(
        "from onions.claims import claim\n"
        "zeros = (values == 0).sum()\n"
        'claim("Dropout silences some of the values.", zeros > 0, zeros=zeros)',
        BUILD_ONLY_TAGS,
    )
)


def test_without_dropout_the_claim_about_dropout_fails_the_build(small: Small) -> None:
    root = small(index=DROPOUT)
    assert run_onions(root, "execute").returncode == 0
    small(index=DROPOUT.replace("Dropout(0.2", "Dropout(0.0"))
    done = run_onions(root, "execute")
    assert done.returncode == 3
    assert "“Dropout silences some of the values.”" in done.stderr and "zeros = 0" in done.stderr


def test_a_cell_past_its_limit_is_stopped(
    small: Small, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("onions.run.cells.CELL_LIMIT", 2)
    root = small(index="# Slow\n\n" + cell("import time\ntime.sleep(60)"), other=PRINTING_PAGE)
    report = execute(Project(root), choice="sketches")
    assert "cell 1 of 1" in report.failed["index"]
    assert "more than 2 s, the limit for a cell" in report.failed["index"]
    assert report.failed["index"] in capfd.readouterr().err
    assert entry(root, "other") is not None and entry(root, "index") is None


def test_a_page_fails_if_onions_kernel_fails(small: Small) -> None:
    root = small(index=PRINTING_PAGE)
    report = execute(Project(root), choice="sketches", profile="nonsense")
    assert "onions.kernel failed: ValueError" in report.failed["index"]
    assert "Choose full or smoke" in report.failed["index"] and entry(root, "index") is None


def test_each_page_has_its_own_kernel_and_folder(small: Small) -> None:
    """A page starts in an empty folder, and does not show the output of C code."""
    source = 'import os\nassert "seen" not in globals()\nseen = os.listdir()\nprint(seen)\n'
    noise = 'os.write(2, b"noise")\nos.write(1, b"noise")\nopen("left", "w").close();'
    page = "# Alone\n\n" + cell(source + noise)
    root = small(index=page, other=page.replace("Alone", "Alone too"))
    assert run_onions(root, "execute").returncode == 0
    for name in ("index", "other"):
        notebook = entry(root, name)
        assert notebook is not None
        assert [output.get("text") for output in notebook.cells[0].outputs] == ["[]\n"]


def test_the_backend_is_tensorflow_in_any_environment(small: Small) -> None:
    root = small(index="# T\n\n" + cell('import os\n\nprint(os.environ["KERAS_BACKEND"])'))
    assert run_onions(root, "execute", KERAS_BACKEND="jax").returncode == 0
    notebook = entry(root, "index")
    assert notebook is not None and notebook.cells[0].outputs[0].text == "tensorflow\n"


def test_installed_versions_that_differ_from_the_lock_are_refused(small: Small) -> None:
    root = small(index=PRINTING_PAGE)
    lock = root / "requirements.lock"
    lock.write_text(lock.read_text().replace("wrapt==", "wrapt==0."))
    done = run_onions(root, "execute")
    assert done.returncode == 2 and "wrapt" in done.stderr and "make install" in done.stderr
    assert not list((root / "_build" / "store").glob("*.ipynb"))


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"ONIONS_DATA": "/nowhere"},
            "/nowhere: can't be read (No such file",
        ),
        ({"ONIONS_PROFILE": "nonsense"}, "'nonsense' is not one of 'full', 'smoke'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_invalid_settings_are_refused_before_any_page_runs(
    small: Small, environment: dict[str, str], message: str
) -> None:
    root = small(index="# One\n\n" + cell("import keras"))
    done = run_onions(root, "execute", **environment)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert not list((root / "_build" / "store").glob("*.ipynb"))


def test_smoke_trains_briefly_and_checks_no_claim_about_training(small: Small) -> None:
    source = (
        "import keras\nimport numpy as np\n\n"
        "model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])\n"
        'model.compile(loss="mse")\n'
        "x, y = np.ones((2000, 4)), np.ones((2000, 2))\n"
        "history = model.fit(x, y, epochs=7, validation_data=(x, y), verbose=2)\n"
        "print(len(history.epoch), history.params)\n"
        "print(len(model.predict(x, verbose=0)))"
    )
    arithmetic = 'from onions.claims import claim\nclaim("It is.", 1 > 0)'
    training = 'claim("It learns.", False)'
    page = "# Trains\n\n" + cell(arithmetic) + cell(source) + cell(training)
    root = small(index=f"{page}\n```{{claims}}\n```\n")
    done = run_onions(root, "execute", "--profile", "smoke")
    assert done.returncode == 0, done.stderr
    notebook = entry(root, "index")
    assert notebook is not None
    printed = "".join(output.text for output in notebook.cells[1].outputs)
    assert "16/16" in printed and "\n1 {" in printed and "\n2000\n" in printed
    assert [claim["holds"] for _, claim in claims(notebook)] == [True, None]
    assert run_onions(root, "render").returncode == 0
    html = (root / "_build" / "html" / "index.html").read_text("utf-8")
    assert "not checked: the smoke profile" in html and "smoke test" in html


def test_a_page_with_a_truncated_entry_runs_again(small: Small) -> None:
    root = small(index=PRINTING_PAGE)
    run_onions(root, "execute")
    (entry_file,) = (root / "_build" / "store").glob("*.ipynb")
    entry_file.write_text(entry_file.read_text()[:100])
    assert "damaged" in run_onions(root, "render").stderr
    done = run_onions(root, "execute")
    assert "damaged" in done.stdout and "executed in" in done.stdout and done.returncode == 0
    assert entry(root, "index") is not None


def test_settings_of_the_machine_do_not_reach_a_page(small: Small, tmp_path: Path) -> None:
    """Otherwise outputs would depend on settings that are not in the fingerprint."""
    home = tmp_path / "home"
    startup = home / "ipython" / "profile_default" / "startup"
    kernel = home / "jupyter" / "kernels" / "python3"
    for folder in (startup, kernel, home / "keras"):
        folder.mkdir(parents=True)
    (startup / "first.py").write_text("leaked = 1")
    (home / "keras" / "keras.json").write_text('{"floatx": "float64"}')
    (home / "matplotlibrc").write_text("lines.marker: o")
    (kernel / "kernel.json").write_text('{"argv": ["false"], "display_name": "", "language": ""}')
    page = (
        "# Settings\n\n"
        + cell(
            "import keras\nimport matplotlib.pyplot as plt\n\n"
            'print("leaked" in globals(), keras.config.floatx(), plt.rcParams["lines.marker"])\n'
            "import os, time\n"
            'print(time.tzname[0], os.environ.get("TF_ENABLE_ONEDNN_OPTS"), "SECRET" in os.environ)'
        )
        + cell("plt.plot([1, 2]);", "---\nmystnb: {image: {alt: A line.}}\n---\n")
    )
    root = small(index=page)
    done = run_onions(
        root,
        "execute",
        IPYTHONDIR=str(home / "ipython"),
        JUPYTER_PATH=str(home / "jupyter"),
        KERAS_HOME=str(home / "keras"),
        MATPLOTLIBRC=str(home),
        MPLBACKEND="agg",
        TZ="Asia/Tokyo",
        TF_ENABLE_ONEDNN_OPTS="0",
        SECRET="1",  # noqa: S106, in fact not secret
    )
    assert done.returncode == 0, done.stderr
    notebook = entry(root, "index")
    assert notebook is not None
    printed = "".join(output.text for output in notebook.cells[0].outputs)
    assert printed == "False float32 None\nUTC None False\n"
    assert any("image/svg+xml" in output.get("data", {}) for output in notebook.cells[1].outputs)


def test_a_full_disk_fails_one_page_and_not_the_build(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small(index=PRINTING_PAGE, other=PRINTING_PAGE.replace("7", "8"))
    write = Store.write

    def write_without_space(
        self: Store, fingerprint: str, notebook: NotebookNode, **facts: Any
    ) -> None:
        if facts["page"] == "index":
            disk_full()
        write(self, fingerprint, notebook, **facts)

    monkeypatch.setattr(Store, "write", write_without_space)
    report = execute(Project(root), choice="sketches")
    assert "No space left on device" in report.failed["index"]
    assert entry(root, "other") is not None


def test_a_disk_that_is_full_from_the_start_fails_the_build(
    small: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("onions.base.files.os.fsync", disk_full)
    monkeypatch.setenv("ONIONS_DATA", "sketches")
    root = small(index=PRINTING_PAGE)
    assert main(["--project", str(root), "execute"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert list((root / "_build" / "store").iterdir()) == []


def test_partial_files_of_a_killed_build_are_deleted(small: Small) -> None:
    root = small(index=PRINTING_PAGE)
    store = root / "_build" / "store"
    store.mkdir(parents=True)
    (store / f"{'ab' * 32}.ipynb.123.part").write_text("{")
    assert run_onions(root, "execute").returncode == 0
    assert not list(store.glob("*.part")) and entry(root, "index") is not None


def test_a_page_with_an_entry_of_another_store_version_runs_again(small: Small) -> None:
    root = small(index=PRINTING_PAGE)
    run_onions(root, "execute")
    (entry_file,) = (root / "_build" / "store").glob("*.ipynb")
    facts = json.loads(entry_file.read_text())
    facts["metadata"]["onions"]["format"] = 1
    entry_file.write_text(json.dumps(facts))
    assert "another version of the store" in run_onions(root, "render").stderr
    done = run_onions(root, "execute")
    assert done.returncode == 0 and "index: executed in" in done.stdout
    assert entry(root, "index") is not None


def test_a_page_with_another_kernel_is_refused(small: Small) -> None:
    root = small(index="---\nkernelspec: {name: ir, display_name: R}\n---\n" + PRINTING_PAGE)
    done = run_onions(root, "execute")
    assert done.returncode == 2 and "the kernel must be python3, not ir" in done.stderr
