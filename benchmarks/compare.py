"""`make bench`: the same pages built by this project and by others, in one run.

Measures every row for every tool: builds from nothing and after edits, what a failing cell and a
dead kernel do, what a page weighs. Writes the tables and the plot of README.md in this folder.
Each row is kept in _build/bench/results.json as soon as it is measured, so an interrupted run goes
on where it was; a whole one starts afresh.

    .venv/bin/python benchmarks/compare.py --peers onions nbsphinx --rows unchanged prose
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import results
import tools
from lighthouse import LIGHTHOUSE
from lighthouse import measure as look
from measure import Attempt, Usage, attempt
from onions import sketches
from onions.data import Source, resolve
from onions.files import write_whole
from onions.kernel import CACHE, ending
from onions.pages import Page, Project
from tools import BENCH, CODE, SOURCE, TOOLS, Tool, put

RESULTS = BENCH / "results.json"
EDITED, OTHER = "layer_types", "convolution"  # the pages that edits change; both run code
LOOKED_AT = ("layer_types", "dropout")  # a page of text, and one of plots
LIMIT = 3600.0  # seconds for one build, which none needs
PATIENCE = 600.0  # seconds after which a build with a dead kernel counts as hanging
REPEATS, ENOUGH = 3, 10.0  # a short build is repeated, until so many seconds are spent on it
LOG, LAST = "said.log", 2000  # what a build says, and how many characters of it are shown
HELPER = CODE / "onions" / "diagrams.py"
FUNCTION = '\n\ndef word() -> str:\n    """Return a word that a page prints."""\n    return "{}"\n'
CELL = "\n\n```{{code-cell}} python\n:tags: [remove-input, build-only]\n{}\n```\n"
Result = dict[str, Any]


class BuildFailed(Exception):
    """A build that should succeed did not; the second argument is what it said last."""


class Bench:
    """One tool's folder, with the pages as an edit leaves them."""

    def __init__(self, tool: Tool, source: Source, profile: str) -> None:
        self.tool, self.work = tool, tool.folder / "work"
        self.end = tool.folder / "end.md"  # what edits before have added to the page
        self.environment = tool.environment(source, profile)
        self.token = f"t{time.time_ns()}"  # stands in no page yet: no edit is made twice

    def nothing(self) -> Result:
        """Build the whole book from nothing."""
        shutil.rmtree(self.work, ignore_errors=True)
        put(self.end, "")
        return self._sound(self._build())

    def unchanged(self) -> Result:
        """Build again."""
        return self._median("")

    def weight(self) -> Result:
        """Look at pages as a browser does."""
        pages = {page: self.tool.file(page).with_suffix("") for page in LOOKED_AT}
        site = self.work / self.tool.site
        names = {page: str(path.relative_to(site)) for page, path in pages.items()}
        try:
            found = look(site, list(names.values()), runs=1)
        except SystemExit as error:
            raise BuildFailed("Lighthouse could not open its pages", str(error)) from error
        return {"pages": {page: found[name] for page, name in names.items()}}

    def prose(self) -> Result:
        """Add a sentence to a page that runs code."""
        return self._median(f"\n\nThe sentence {self.token} {{n}}.\n")

    def code(self) -> Result:
        """Add a code cell to a page."""
        return self._median(CELL.format(f'print("{self.token} {{n}}")'))

    def helper(self) -> Result:
        """Change what a function of ours returns, which a page prints."""
        say(self.token)
        done = self._sound(self._build())
        return done | {"right": self._shows(self.token)}

    def failing(self) -> Result:
        """Add a cell that raises an error."""
        broken = f"\n\nThe sentence {self.token}.\n" + CELL.format("raise RuntimeError()")
        done = self._build(broken)
        return self._outcome(done)

    def dead(self) -> Result:
        """Add a cell that kills its kernel, and to a later page one that leaves a note."""
        note = BENCH / "note"
        note.unlink(missing_ok=True)
        broken = f"\n\nThe sentence {self.token}.\n" + CELL.format("import os\n\nos._exit(1)")
        other = CELL.format(f'open("{note}", "w").write("{self.token}")')
        done = self._build(broken, other, PATIENCE)
        return self._outcome(done) | {"others": note.exists()}

    def _build(self, edit: str = "", other: str = "", limit: float = LIMIT) -> Attempt:
        """Write the pages, one or two of them with more at their end, and build them."""
        end = self.end.read_text("utf-8") + edit
        self.tool.write(self.work, list(pages({EDITED: end, OTHER: other})))
        usage, code, said = Usage(0, 0, 0), None, ""
        for command in self.tool.commands(self.work):
            done = attempt(command, self.environment, self.work, limit)
            usage, code, said = usage + done.usage, done.code, said + done.said
            if code != 0:
                break
        put(self.tool.folder / LOG, said)
        return Attempt(usage, code, said)

    def _median(self, edit: str) -> Result:
        """Edit the page and build, often enough; what is added stays, as it is no row's to undo."""
        runs: list[Result] = []
        while len(runs) < REPEATS and sum(run["seconds"] for run in runs) < ENOUGH:
            added = edit.replace("{n}", str(len(runs)))
            runs.append(self._sound(self._build(added)))
            put(self.end, self.end.read_text("utf-8") + added)
        middle = {name: median(run[name] for run in runs) for name in runs[0]}
        return middle | {"runs": len(runs)}

    def _sound(self, done: Attempt) -> Result:
        """Return what a build took. Raises BuildFailed."""
        if done.code != 0:
            last = f"{done.said[-LAST:]}\n\nAll that it said: {self.tool.folder / LOG}"
            raise BuildFailed(f"it did not build the book, with exit code {done.code}", last)
        usage = done.usage
        return {"seconds": round(usage.wall, 2), "cpu": round(usage.cpu, 1), "mib": int(usage.peak)}

    def _outcome(self, done: Attempt) -> Result:
        """Return what became of a build that should fail, and of the site."""
        return {
            "seconds": round(done.usage.wall, 2),
            "exit": done.code,
            "published": self._shows(self.token),
            "site": self.tool.file(EDITED).exists() and self.tool.file(OTHER).exists(),
        }

    def _shows(self, token: str) -> bool:
        """Tell whether the edited page, as it is published, holds a word."""
        page = self.tool.file(EDITED)
        return page.exists() and token in page.read_text("utf-8", errors="replace")


ROWS = ("nothing", "unchanged", "weight", "prose", "code", "helper", "failing", "dead")
NOT_ALL = {"script": ("nothing",), "mystmd": tuple(row for row in ROWS if row != "weight")}


def main() -> int:
    """Measure what is missing, and write README.md."""
    options = _parser().parse_args()
    for asked in (signal.SIGINT, signal.SIGTERM):  # so that no build is left behind
        signal.signal(asked, signal.default_int_handler)
    source = resolve(os.environ.get("ONIONS_DATA") or "sketches", say=_say)
    wanted = [
        (tool, row)
        for tool, row in product(options.peers, options.rows)
        if row in NOT_ALL.get(tool, ROWS)
    ]
    found = _kept(source, options.profile)
    if all(row in found["rows"].get(tool, {}) for tool, row in wanted):
        found = _kept(source, options.profile, afresh=True)
    if not found["rows"]:
        prepare()
    if source.name == "sketches":
        for images, _ in sketches.load_data(CACHE / source.identity[:16]):
            images[:10_000]  # as many as pages use, drawn in nobody's time
    todo = [pair for pair in wanted if pair[1] not in found["rows"].get(pair[0], {})]
    failed: set[str] = set()
    try:
        for number, (name, row) in enumerate(todo, 1):
            if name in failed:
                continue
            _say(f"{TOOLS[name].title}: {row}, {number} of {len(todo)}")
            try:
                _measure(TOOLS[name], row, found, source)
            except (BuildFailed, tools.NotInstalled) as error:
                failed.add(name)
                found["tools"][name] = _facts(TOOLS[name], f" Not measured: {error.args[0]}.")
                _say("\n".join(error.args))
    except KeyboardInterrupt:
        _say("Interrupted. What was measured is kept; the same command goes on.")
        return 130
    for kind in ("tools", "rows"):  # as they stand in the tables, whichever came first
        found[kind] = {name: found[kind][name] for name in TOOLS if name in found[kind]}
    write_whole(RESULTS, json.dumps(found, indent=1) + "\n")
    if found["tools"].keys() >= TOOLS.keys():
        results.write(found)
        _say(f"Written: {results.README}")
    return 1 if failed else 0


def _measure(tool: Tool, row: str, found: dict[str, Any], source: Source) -> None:
    """Measure a row for a tool, and keep it. Raises BuildFailed or NotInstalled."""
    tool.install()
    result = getattr(Bench(tool, source, found["profile"]), row)()
    found["tools"][tool.name] = _facts(tool)
    found["rows"].setdefault(tool.name, {})[row] = result
    found["date"] = f"{datetime.now(UTC):%Y-%m-%d}"
    write_whole(RESULTS, json.dumps(found, indent=1) + "\n")


def prepare() -> None:
    """Copy the project, with a function of ours that a page calls."""
    tools.prepare()
    with HELPER.open("a", encoding="utf-8") as module:
        module.write(FUNCTION.format("first"))
    with (SOURCE / "book" / f"{EDITED}.md").open("a", encoding="utf-8") as page:
        page.write(CELL.format("from onions.diagrams import word\n\nprint(word())"))


def say(word: str) -> None:
    """Let this function return another word."""
    put(HELPER, re.sub('return "[^"]*"\n\\Z', f'return "{word}"\n', HELPER.read_text("utf-8")))


def pages(ends: dict[str, str]) -> Iterator[Page]:
    """Yield all pages of the book, some with new ends."""
    for page in Project(SOURCE).pages():
        yield Page(page.name, page.path, page.text + ends.get(page.name, ""))


def _kept(source: Source, profile: str, *, afresh: bool = False) -> dict[str, Any]:
    """Return what an interrupted run of the same kind has measured."""
    made = {
        "machine": ending()["device"],
        "python": platform.python_version(),
        "data": source.what,
        "profile": profile,
        "lighthouse": LIGHTHOUSE.partition("@")[2],
    }
    if RESULTS.exists() and not afresh:
        kept = dict(json.loads(RESULTS.read_text("utf-8")))
        if made.items() <= kept.items():
            return kept
    return made | {"tools": {}, "rows": {}}


def _facts(tool: Tool, why_not: str = "") -> Result:
    """Return a tool's name, settings and versions."""
    (site, *_) = [*(tool.folder / "venv").glob("lib/*/site-packages"), Path()]
    installed = {
        re.sub("[-_.]+", "-", found.name.lower()): found.version
        for found in metadata.distributions(path=[str(site)])
        if tool.packages
    }
    versions = {name: installed[name] for name in tool.packages if name in installed}
    return {"title": tool.title, "settings": tool.settings + why_not, "versions": versions}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: .venv/bin/python benchmarks/compare.py --peers onions",
    )
    parser.add_argument("--peers", nargs="+", metavar="NAME", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--rows", nargs="+", metavar="ROW", choices=ROWS, default=list(ROWS))
    parser.add_argument("--profile", choices=("full", "smoke"), default="smoke")
    return parser


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
