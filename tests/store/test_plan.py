"""Plans: the pages of each shard, and the site from merged shards."""

import json
import shutil
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from onions.book.project import Project
from onions.images.sources import Source
from onions.store.build import Build
from onions.store.plan import PLAN_FILE, plan_shards
from onions.store.status import PageState
from support.pages import cell
from support.projects import Small, run_onions, tree
from support.runs import build_site, store_runs

BUILD = Build(Source("sketches", "", "", "", ""), "full", "3.11")
FIVE_PAGES = {f"p{n}": f"# Page {n}\n\n" + cell(f"print({n})") for n in range(5)}


@pytest.fixture
def states(small: Small) -> Callable[..., list[PageState]]:
    def make(*seconds: float) -> list[PageState]:
        pages = Project(small(**FIVE_PAGES)).pages()
        return [
            PageState(
                page,
                BUILD,
                f"fingerprint {page.name}",
                ["new"],
                {"seconds": s, "build": {"profile": "full"}},
            )
            for page, s in zip(pages, seconds, strict=False)
        ]

    return make


def names(shards: list[list[PageState]]) -> list[list[str]]:
    return [[state.page.name for state in shard] for shard in shards]


def test_shards_take_about_the_same_time(
    states: Callable[..., list[PageState]], tmp_path: Path
) -> None:
    stale = states(10, 40, 20, 5, 30)
    assert names(plan_shards(stale, 2, tmp_path)) == [["p1", "p0", "p3"], ["p4", "p2"]]
    assert names(plan_shards(stale, 1, tmp_path)) == [["p1", "p4", "p2", "p0", "p3"]]


def test_every_page_is_in_exactly_one_shard(
    states: Callable[..., list[PageState]], tmp_path: Path
) -> None:
    stale = states(10, 40, 20, 5, 30)
    for number in range(1, 8):
        shards = names(plan_shards(stale, number, tmp_path))
        assert len(shards) == number and sorted(chain(*shards)) == [f"p{n}" for n in range(5)]


def test_a_plan_is_reused_until_another_page_is_stale(
    states: Callable[..., list[PageState]], tmp_path: Path
) -> None:
    """A machine that resumes after an interruption must not run another shard's pages."""
    stale = states(10, 40, 20, 5, 30)
    shards = names(plan_shards(stale, 2, tmp_path))
    left = [stale[0], stale[3], stale[4]]
    expected = [[name for name in shard if name in ("p0", "p3", "p4")] for shard in shards]
    assert names(plan_shards(left, 2, tmp_path)) == expected
    assert names(plan_shards(left[::-1], 2, tmp_path)) == expected
    changed = [PageState(stale[1].page, BUILD, "other", ["cell 1 changed"]), *left]
    assert names(plan_shards(changed, 2, tmp_path)) == [["p4"], ["p0", "p3", "p1"]]
    (tmp_path / PLAN_FILE).write_text("{")
    assert sorted(chain(*names(plan_shards(stale, 2, tmp_path)))) == [f"p{n}" for n in range(5)]


def plan(root: Path, number: int) -> list[dict[str, object]]:
    done = run_onions(root, "plan", "--shards", str(number), "--json")
    assert done.returncode == 0, done.stderr
    shards: list[dict[str, object]] = json.loads(done.stdout)["shards"]
    return shards


def test_merged_shards_render_to_the_same_site(small: Small, tmp_path: Path) -> None:
    """Execute a book, split its store, merge the parts and render: the site has the same bytes."""
    root = small(**FIVE_PAGES)
    planned = plan(root, 3)
    assert [shard["shard"] for shard in planned] == ["1/3", "2/3", "3/3"]
    build_site(root)
    assert plan(root, 3) == [] and "0 stale pages" in run_onions(root, "plan").stdout

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


def test_a_shard_runs_only_its_own_pages(small: Small) -> None:
    root = small(**FIVE_PAGES)
    first, second = (set(map(str, shard["pages"])) for shard in plan(root, 2))  # type: ignore[call-overload]
    done = store_runs(root, "--shard", "1/2")
    assert done.returncode == 0 and f"Shard 1 of 2: {', '.join(sorted(first))}." in done.stdout
    assert all((f"{name}: executed" in done.stdout) == (name in first) for name in FIVE_PAGES)
    again = store_runs(root, "--shard", "1/2")
    assert "Shard 1 of 2: nothing." in again.stdout and "executed in" not in again.stdout
    assert [shard["pages"] for shard in plan(root, 2)] == [sorted(second)]
    store_runs(root, "--shard", "2/2")
    assert run_onions(root, "execute", "--check").returncode == 0


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "-1/2"])
def test_a_shard_that_does_not_exist_is_refused(small: Small, shard: str) -> None:
    done = run_onions(small(**FIVE_PAGES), "execute", f"--shard={shard}")
    assert done.returncode == 2 and "write 2/3" in done.stderr


def test_plan_prints_each_shard_with_its_pages_and_time(small: Small) -> None:
    done = run_onions(small(**FIVE_PAGES), "plan", "--shards", "2")
    assert done.returncode == 0 and "5 stale pages" in done.stdout
    assert "shard 1/2, about 9 s: p0, p2, p4" in done.stdout
    assert "Data:" in done.stderr  # since with --json, stdout holds only JSON


def test_plan_deletes_a_damaged_entry(small: Small) -> None:
    """Stores merge by copying files, so a damaged entry could overwrite its replacement."""
    root = small(**FIVE_PAGES)
    store_runs(root)
    entry = sorted((root / "_build" / "store").glob("*.ipynb"))[0]
    entry.write_text(entry.read_text()[:-100])
    (shard,) = plan(root, 2)
    assert len(list(shard["pages"])) == 1 and not entry.exists()  # type: ignore[call-overload]
