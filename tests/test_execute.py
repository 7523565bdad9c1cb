import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import run_onions
from nbformat import NotebookNode
from onions.cli import main
from onions.execute import execute
from onions.fingerprint import Build, fingerprint
from onions.pages import Project
from onions.store import Store, claims

Small = Callable[..., Path]


def cell(source: str, options: str = "") -> str:
    return f"```{{code-cell}} python\n{options}{source}\n```\n\n"


def entry(root: Path, name: str) -> NotebookNode | None:
    project = Project(root)
    print_ = fingerprint(project.page(name), project, Build.read(project))
    return Store(project.build / "store").read(print_)


GOOD = "# Good\n\n" + cell("print(6 * 7)")
CRASHES = "# Bad\n\nText.\n\n" + cell("x = 1") + cell("y = 2\n\nx / 0\n") + cell("print('not run')")


def test_a_page_runs_once(small: Small) -> None:
    root = small(index=GOOD, text="# Only text")
    first = run_onions(root, "execute")
    assert first.returncode == 0, first.stderr
    assert "index: cell 1 of 1" in first.stdout and "index: executed in" in first.stdout
    done = entry(root, "index")
    assert done is not None and done.cells[0].outputs[0].text == "42\n"
    assert done.metadata["onions"]["device"] and done.metadata["onions"]["seconds"] > 0
    second = run_onions(root, "execute")
    assert "Nothing changed: index." in second.stdout and "cell" not in second.stdout
    assert len(list((root / "_build" / "store").glob("*.ipynb"))) == 1


def test_one_page_runs_alone(small: Small) -> None:
    root = small(index=GOOD, other=GOOD.replace("6 * 7", "6 * 8"))
    assert run_onions(root, "execute", "other").returncode == 0
    assert entry(root, "other") is not None and entry(root, "index") is None
    done = run_onions(root, "execute", "othr")
    assert done.returncode == 2 and "other" in done.stderr


def test_going_back_to_an_earlier_text_runs_nothing(small: Small) -> None:
    root = small(index=GOOD)
    run_onions(root, "execute")
    small(index=GOOD.replace("6 * 7", "6 * 8"))
    assert "executed" in run_onions(root, "execute").stdout
    small(index=GOOD)
    assert "Nothing changed" in run_onions(root, "execute").stdout


def test_a_crash_is_named_and_the_other_pages_are_kept(small: Small) -> None:
    root = small(index=CRASHES, other=GOOD)
    done = run_onions(root, "execute")
    assert done.returncode == 3
    page = root / "book" / "index.md"
    assert f"cell 2 of 3, {page}:12" in done.stderr
    assert "x / 0" in done.stderr and "ZeroDivisionError: division by zero" in done.stderr
    assert entry(root, "other") is not None and entry(root, "index") is None
    failed = root / "_build" / "failed" / "index.ipynb"
    assert str(failed) in done.stderr and "ZeroDivisionError" in failed.read_text()


def test_nothing_is_rendered_over_the_last_good_site(small: Small) -> None:
    root = small(index=GOOD)
    assert run_onions(root, "execute").returncode == run_onions(root, "render").returncode == 0
    site = root / "_build" / "html" / "index.html"
    good = site.read_bytes()
    small(index=CRASHES)
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
        ":tags: [remove-cell, build-only]\n",
    )
)


def test_false_claims_fail_the_page_and_are_all_listed(small: Small) -> None:
    root = small(index=CLAIMS, other=GOOD)
    done = run_onions(root, "execute")
    assert done.returncode == 3
    assert "index: claims something untrue" in done.stdout  # and did not crash
    assert "2 claims do not hold in this run" in done.stderr
    assert f"{root / 'book' / 'index.md'}:12  “It grows.”" in done.stderr
    assert f"{root / 'book' / 'index.md'}:14  “It stays.”" in done.stderr
    assert "now = 1" in done.stderr and "before = 2" in done.stderr
    assert "“It shrinks.”" not in done.stderr
    assert entry(root, "index") is None and entry(root, "other") is not None


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
        ":tags: [remove-cell, build-only]\n",
    )
)


def test_without_dropout_the_claim_about_dropout_fails_the_build(small: Small) -> None:
    root = small(index=DROPOUT)
    assert run_onions(root, "execute").returncode == 0
    small(index=DROPOUT.replace("Dropout(0.2", "Dropout(0.0"))
    done = run_onions(root, "execute")
    assert done.returncode == 3
    assert "“Dropout silences some of the values.”" in done.stderr and "zeros = 0" in done.stderr


def test_a_dead_kernel_is_named(small: Small) -> None:
    root = small(index="# Dies\n\n" + cell("x = 1") + cell("import os\nos.kill(os.getpid(), 9)"))
    done = run_onions(root, "execute")
    assert done.returncode == 3
    assert "cell 2 of 2" in done.stderr and "the kernel was killed" in done.stderr
    assert "memory" in done.stderr and "--jobs 1" in done.stderr
    assert str(root / "_build" / "log" / "index.log") in done.stderr


@pytest.mark.parametrize(
    ("source", "says"),
    [("os.abort()", "the kernel died of SIGABRT"), ("os._exit(3)", "the kernel ended by itself")],
)
def test_how_a_kernel_died_is_said(small: Small, source: str, says: str) -> None:
    done = run_onions(small(index="# Dies\n\n" + cell(f"import os\n{source}")), "execute")
    assert done.returncode == 3 and says in done.stderr


def test_a_page_without_enough_memory_is_told_what_to_do(small: Small) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))\n"
    root = small(index="# Big\n\n" + cell(limit + "x = bytearray(2**36)"), other=GOOD)
    done = run_onions(root, "execute")
    assert done.returncode == 3 and "MemoryError" in done.stderr and "--jobs 1" in done.stderr
    assert f"{root / 'book' / 'index.md'}:6" in done.stderr
    assert entry(root, "other") is not None


def test_a_cell_past_its_limit_is_stopped(
    small: Small, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("onions.runner.CELL_LIMIT", 2)
    root = small(index="# Slow\n\n" + cell("import time\ntime.sleep(60)"), other=GOOD)
    report = execute(Project(root), choice="sketches")
    assert "cell 1 of 1" in report.failed["index"]
    assert "more than 2 s, the limit for a cell" in report.failed["index"]
    assert report.failed["index"] in capfd.readouterr().err
    assert entry(root, "other") is not None and entry(root, "index") is None


def test_a_kernel_without_our_extension_runs_no_page(small: Small) -> None:
    root = small(index=GOOD)
    report = execute(Project(root), choice="sketches", profile="nonsense")
    assert "onions.kernel failed: ValueError" in report.failed["index"]
    assert "choose full or smoke" in report.failed["index"] and entry(root, "index") is None


def test_a_page_is_alone(small: Small) -> None:
    """Each page has a kernel and an empty folder of its own; what C code prints is not on it."""
    source = 'import os\nassert "seen" not in globals()\nseen = os.listdir()\nprint(seen)\n'
    noise = 'os.write(2, b"noise")\nos.write(1, b"noise")\nopen("left", "w").close();'
    page = "# Alone\n\n" + cell(source + noise)
    root = small(index=page, other=page.replace("Alone", "Alone too"))
    assert run_onions(root, "execute").returncode == 0
    for name in ("index", "other"):
        done = entry(root, name)
        assert done is not None
        assert [output.get("text") for output in done.cells[0].outputs] == ["[]\n"]


def test_other_versions_than_the_locked_ones_are_refused(small: Small) -> None:
    root = small(index=GOOD)
    lock = root / "requirements.lock"
    lock.write_text(lock.read_text().replace("wrapt==", "wrapt==0."))
    done = run_onions(root, "execute")
    assert done.returncode == 2 and "wrapt" in done.stderr and "make install" in done.stderr
    assert not list((root / "_build" / "store").glob("*.ipynb"))
    assert run_onions(root, "execute", "--unlocked").returncode == 0
    assert run_onions(root, "render").returncode == 0


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (
            {"ONIONS_DATA": "/nowhere"},
            "/nowhere: can't be read (No such file",
        ),
        ({"ONIONS_PROFILE": "nonsense"}, "invalid choice: 'nonsense'"),
        ({"KERAS_BACKEND": "jax"}, "jax, which a page or its kernel uses, is not in"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_wrong_before_anything_runs(
    small: Small, environment: dict[str, str], says: str
) -> None:
    root = small(index="# One\n\n" + cell("import keras"))
    done = run_onions(root, "execute", **environment)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr
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
    claimed = 'from onions.claims import claim\nclaim("It is.", 1 > 0)'
    training = 'claim("It learns.", False)'
    page = "# Trains\n\n" + cell(claimed) + cell(source) + cell(training)
    root = small(index=page)
    done = run_onions(root, "execute", "--profile", "smoke")
    assert done.returncode == 0, done.stderr
    ran = entry(root, "index")
    assert ran is not None
    printed = "".join(output.text for output in ran.cells[1].outputs)
    assert "16/16" in printed and "\n1 {" in printed and "\n2000\n" in printed
    assert [claim["holds"] for _, claim in claims(ran)] == [True, None]


def test_an_interrupted_entry_is_executed_again(small: Small) -> None:
    root = small(index=GOOD)
    run_onions(root, "execute")
    (kept,) = (root / "_build" / "store").glob("*.ipynb")
    kept.write_text(kept.read_text()[:100])
    assert "damaged" in run_onions(root, "render").stderr
    done = run_onions(root, "execute")
    assert "damaged" in done.stdout and "executed in" in done.stdout and done.returncode == 0
    assert entry(root, "index") is not None


def test_a_claim_can_not_be_cleared_away(small: Small) -> None:
    cleared = "\nfrom IPython.display import clear_output\nclear_output()"
    root = small(
        index=CLAIMS.replace('claim("It stays.", False)', 'claim("It stays.", False)' + cleared)
    )
    done = run_onions(root, "execute")
    assert done.returncode == 3 and "cleared away the record of a claim" in done.stderr


def test_settings_of_the_machine_do_not_reach_a_page(small: Small, tmp_path: Path) -> None:
    """Otherwise outputs would depend on what the fingerprint does not know."""
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
            'print("leaked" in globals(), keras.config.floatx(), plt.rcParams["lines.marker"])'
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
    )
    assert done.returncode == 0, done.stderr
    ran = entry(root, "index")
    assert ran is not None and ran.cells[0].outputs[0].text == "False float32 None\n"
    assert any("image/svg+xml" in output.get("data", {}) for output in ran.cells[1].outputs)


def test_a_page_that_is_edited_while_it_runs_is_not_kept(small: Small) -> None:
    root = small(index="")
    path = root / "book" / "index.md"
    path.write_text("# Edits itself\n\n" + cell(f'open({str(path)!r}, "a").write({cell("2")!r});'))
    done = run_onions(root, "execute")
    assert done.returncode == 3 and "changed while it ran; execute again" in done.stderr
    assert not list((root / "_build" / "store").glob("*.ipynb"))


def test_a_full_disk_fails_one_page_and_not_the_build(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small(index=GOOD, other=GOOD.replace("7", "8"))
    write = Store.write

    def full(self: Store, print_: str, notebook: NotebookNode, **facts: Any) -> None:
        if facts["page"] == "index":
            raise OSError(28, "No space left on device")
        write(self, print_, notebook, **facts)

    monkeypatch.setattr(Store, "write", full)
    report = execute(Project(root), choice="sketches")
    assert "No space left on device" in report.failed["index"]
    assert entry(root, "other") is not None


def test_a_disk_that_is_full_from_the_start(
    small: Small, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("onions.files.os.fsync", full)
    monkeypatch.setenv("ONIONS_DATA", "sketches")
    root = small(index=GOOD)
    assert main(["--project", str(root), "execute"]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert list((root / "_build" / "store").iterdir()) == []


def test_what_a_killed_build_left_half_written_is_swept_away(small: Small) -> None:
    root = small(index=GOOD)
    store = root / "_build" / "store"
    store.mkdir(parents=True)
    (store / f"{'ab' * 32}.ipynb.123.part").write_text("{")
    assert run_onions(root, "execute").returncode == 0
    assert not list(store.glob("*.part")) and entry(root, "index") is not None


def test_a_store_of_another_version_is_executed_again(small: Small) -> None:
    root = small(index=GOOD)
    run_onions(root, "execute")
    (kept,) = (root / "_build" / "store").glob("*.ipynb")
    facts = json.loads(kept.read_text())
    facts["metadata"]["onions"]["format"] = 1
    kept.write_text(json.dumps(facts))
    assert "another version of this store" in run_onions(root, "render").stderr
    done = run_onions(root, "execute")
    assert done.returncode == 0 and "index: executed in" in done.stdout
    assert entry(root, "index") is not None


def test_an_error_raised_again_is_blamed_on_the_cell_that_raises_it(small: Small) -> None:
    page = "# Again\n\n" + cell("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    kept = e")
    root = small(index=page + cell('x = 1\nraise ValueError("late") from kept'))
    done = run_onions(root, "execute")
    assert f"cell 2 of 2, {root / 'book' / 'index.md'}:12" in done.stderr
    assert "ValueError: late" in done.stderr


def test_a_kernel_is_ours(small: Small) -> None:
    root = small(index="---\nkernelspec: {name: ir, display_name: R}\n---\n" + GOOD)
    done = run_onions(root, "execute")
    assert done.returncode == 2 and "the kernel is python3, not ir" in done.stderr
