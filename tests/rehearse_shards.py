"""Play several machines that share one build, each with a copy of the repository of its own.

One plans, each of the others gets the plan's store and runs its shard, the last merges their
stores, checks that nothing is stale and renders: what CI does with a matrix of runners.

    ONIONS_DATA=sketches .venv/bin/python tests/rehearse_shards.py --shards 2 --profile smoke
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_IN_A_CLONE = shutil.ignore_patterns("_build", ".venv", ".git", "*.egg-info", ".*_cache")


def main() -> None:
    """Play all machines and say what each did."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shards", type=int, default=2, metavar="N")
    parser.add_argument("--profile", default="smoke", choices=["full", "smoke"])
    options = parser.parse_args()
    profile = ["--profile", options.profile]
    with tempfile.TemporaryDirectory() as folder:
        planner = machine(Path(folder, "plan"))
        number = ["--shards", str(options.shards)]
        shards = json.loads(onions(planner, "plan", *number, "--json", *profile))["shards"]
        merger = machine(Path(folder, "merge"))
        for shard in shards:
            runner = machine(Path(folder, f"run-{shard['shard'].replace('/', '-of-')}"))
            copy_store(planner, runner)
            print(onions(runner, "execute", "--shard", shard["shard"], *profile), flush=True)
            copy_store(runner, merger)
        print(onions(merger, "execute", "--check", *profile), onions(merger, "render"), sep="\n")
        done = len(list((merger / "_build" / "html").rglob("*.html")))
        print(f"{len(shards)} shards made a site of {done} HTML files.")


def machine(folder: Path) -> Path:
    """Make a machine: a copy of the repository as it stands, and nothing that was built."""
    shutil.copytree(ROOT, folder, ignore=NOT_IN_A_CLONE)
    return folder


def copy_store(source: Path, target: Path) -> None:
    """Carry executed pages from one machine to another."""
    shutil.copytree(source / "_build" / "store", target / "_build" / "store", dirs_exist_ok=True)


def onions(folder: Path, *arguments: str) -> str:
    """Run the command line of a machine's own copy there; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "onions.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "code")},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{folder.name}: onions {' '.join(arguments)} ended with {done.returncode}")
    return done.stdout


if __name__ == "__main__":
    main()
