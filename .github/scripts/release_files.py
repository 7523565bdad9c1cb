#!/usr/bin/env python3
"""Write the files of a release: PDF, EPUB, the site as a zip, and its build's facts as JSON.

.github/scripts/release_files.py _build/html _build/bundle _build/release v1.0
"""

import json
import shutil
import sys
from pathlib import Path

NAME = "networks-are-like-onions"


def main(site: Path, bundle: Path, target: Path, tag: str) -> None:
    """Write all files to `target`, and print their paths."""
    target.mkdir(parents=True, exist_ok=True)
    files = [target / f"{NAME}-{tag}.json"]
    files[0].write_text(json.dumps(facts(site / "store"), indent=1, sort_keys=True) + "\n")
    for path in sorted(bundle.iterdir()):
        files.append(target / f"{path.stem}-{tag}{path.suffix}")
        shutil.copyfile(path, files[-1])
    print(*files, sep="\n")


def facts(store: Path) -> dict[str, object]:
    """Return the facts of the site's build and, by page name, of each run."""
    entries = [json.loads(path.read_text("utf-8")) for path in store.glob("*.ipynb")]
    runs = [entry["metadata"]["onions"] for entry in entries]
    build = json.loads((store / "build.json").read_text("utf-8"))
    return {"build": build, "pages": {run["page"]: run for run in runs}}


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
