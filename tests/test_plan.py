"""Several machines: who runs what, and that together they make the same site."""

import json
import shutil
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from conftest import run_onions, tree
from onions.data import Source
from onions.fingerprint import Build
from onions.pages import Project
from onions.plan import PLAN, shards
from onions.status import State
from test_execute import cell

Small = Callable[..., Path]

BUILD = Build(Source("sketches", "", "", "", ""), "tensorflow", "full", "3.11")
FIVE = {f"p{n}": f"# Page {n}\n\n" + cell(f"print({n})") for n in range(5)}


@pytest.fixture
def states(small: Small) -> Callable[..., list[State]]:
    def make(*seconds: float) -> list[State]:
        pages = Project(small(**FIVE)).pages()
        return [
            State(
                page,
                BUILD,
                f"print {page.name}",
                ["new"],
                {"seconds": s, "build": {"profile": "full"}},
            )
            for page, s in zip(pages, seconds, strict=False)
        ]

    return make


def names(dealt: list[list[State]]) -> list[list[str]]:
    return [[state.page.name for state in shard] for shard in dealt]


def test_shards_take_about_as_long(states: Callable[..., list[State]], tmp_path: Path) -> None:
    five = states(10, 40, 20, 5, 30)
    assert names(shards(five, 2, tmp_path)) == [["p1", "p0", "p3"], ["p4", "p2"]]
    assert names(shards(five, 1, tmp_path)) == [["p1", "p4", "p2", "p0", "p3"]]


def test_no_page_is_left_out_or_run_twice(
    states: Callable[..., list[State]], tmp_path: Path
) -> None:
    five = states(10, 40, 20, 5, 30)
    for number in range(1, 8):
        dealt = names(shards(five, number, tmp_path))
        assert len(dealt) == number and sorted(chain(*dealt)) == [f"p{n}" for n in range(5)]


def test_a_plan_holds_until_another_page_is_stale(
    states: Callable[..., list[State]], tmp_path: Path
) -> None:
    """A machine that goes on after an interruption must not take over another's pages."""
    five = states(10, 40, 20, 5, 30)
    first = names(shards(five, 2, tmp_path))
    left = [five[0], five[3], five[4]]
    kept = [[name for name in shard if name in ("p0", "p3", "p4")] for shard in first]
    assert names(shards(left, 2, tmp_path)) == kept
    assert names(shards(left[::-1], 2, tmp_path)) == kept
    changed = [State(five[1].page, BUILD, "other", ["cell 1 changed"]), *left]
    assert names(shards(changed, 2, tmp_path)) == [["p4"], ["p0", "p3", "p1"]]
    (tmp_path / PLAN).write_text("{")
    assert sorted(chain(*names(shards(five, 2, tmp_path)))) == [f"p{n}" for n in range(5)]


def plan(root: Path, number: int) -> list[dict[str, object]]:
    done = run_onions(root, "plan", "--shards", str(number), "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)["shards"]
    return found


def test_the_shards_of_a_store_make_the_same_site(small: Small, tmp_path: Path) -> None:
    """Executes a book, splits its store, merges the parts and renders: the same bytes."""
    root = small(**FIVE)
    planned = plan(root, 3)
    assert [part["shard"] for part in planned] == ["1/3", "2/3", "3/3"]
    assert run_onions(root, "execute").returncode == run_onions(root, "render").returncode == 0
    assert plan(root, 3) == [] and "0 pages are stale" in run_onions(root, "plan").stdout

    entries = sorted((root / "_build" / "store").glob("*.ipynb"))
    merged = tmp_path / "merged"
    for name in ("book", "_toc.yml", "_config.yml", "requirements.lock"):
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        merged.mkdir(exist_ok=True)
        copy(root / name, merged / name)
    for number in range(3):
        part = tmp_path / f"part-{number}"
        part.mkdir()
        for path in [*entries[number::3], root / "_build" / "store" / "build.json"]:
            shutil.copy(path, part)
        shutil.copytree(part, merged / "_build" / "store", dirs_exist_ok=True)
    assert run_onions(merged, "status").returncode == 0
    assert run_onions(merged, "render").returncode == 0
    assert tree(merged / "_build" / "html") == tree(root / "_build" / "html")


def test_a_shard_runs_its_pages_and_no_other(small: Small) -> None:
    root = small(**FIVE)
    first, second = (set(map(str, part["pages"])) for part in plan(root, 2))  # type: ignore[call-overload]
    done = run_onions(root, "execute", "--shard", "1/2")
    assert done.returncode == 0 and f"Shard 1 of 2: {', '.join(sorted(first))}." in done.stdout
    assert all((f"{name}: executed" in done.stdout) == (name in first) for name in FIVE)
    again = run_onions(root, "execute", "--shard", "1/2")
    assert "Shard 1 of 2: nothing." in again.stdout and "executed in" not in again.stdout
    assert [part["pages"] for part in plan(root, 2)] == [sorted(second)]
    assert run_onions(root, "execute", "--shard", "2/2").returncode == 0
    assert run_onions(root, "execute", "--check").returncode == 0


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "-1/2"])
def test_a_shard_that_does_not_exist(small: Small, shard: str) -> None:
    done = run_onions(small(**FIVE), "execute", f"--shard={shard}")
    assert done.returncode == 2 and "as in 2/3" in done.stderr


def test_a_plan_for_a_reader(small: Small) -> None:
    done = run_onions(small(**FIVE), "plan", "--shards", "2")
    assert done.returncode == 0 and "5 pages are stale" in done.stdout
    assert "shard 1/2, about 9 s: p0, p2, p4" in done.stdout
    assert "Data:" in done.stderr  # so that a program may read what --json prints


def test_a_plan_forgets_a_damaged_entry(small: Small) -> None:
    """Stores merge by copying files together: the damaged one must not meet its successor."""
    root = small(**FIVE)
    assert run_onions(root, "execute").returncode == 0
    entry = sorted((root / "_build" / "store").glob("*.ipynb"))[0]
    entry.write_text(entry.read_text()[:-100])
    (part,) = plan(root, 2)
    assert len(list(part["pages"])) == 1 and not entry.exists()  # type: ignore[call-overload]
