#!/usr/bin/env python3
"""Make the files of a release: the PDF, the EPUB, the site as a zip, and the facts of its build.

.github/scripts/release_files.py _build/html _build/bundle _build/release v1.0
"""

import json
import shutil
import sys
from pathlib import Path

NAME = "networks-are-like-onions"


def main(site: Path, bundle: Path, target: Path, tag: str) -> None:
    """Write all files into `target`, and print their names."""
    target.mkdir(parents=True, exist_ok=True)
    files = [target / f"{NAME}-{tag}.json"]
    files[0].write_text(json.dumps(facts(site / "store"), indent=1, sort_keys=True) + "\n")
    for path in sorted(bundle.iterdir()):
        files.append(target / f"{path.stem}-{tag}{path.suffix}")
        shutil.copyfile(path, files[-1])
    print(*files, sep="\n")


def facts(store: Path) -> dict[str, object]:
    """Return what the site was built with and, by page, what its run came to."""
    entries = [json.loads(path.read_text("utf-8")) for path in store.glob("*.ipynb")]
    runs = [entry["metadata"]["onions"] for entry in entries]
    build = json.loads((store / "build.json").read_text("utf-8"))
    return {"build": build, "pages": {run["page"]: run for run in runs}}


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
