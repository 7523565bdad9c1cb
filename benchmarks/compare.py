"""`make bench`: build the same pages with this project and with other tools, in one run.

Measures every row for every tool: builds from nothing and after edits, a failing cell, a dead
kernel, and the weight of pages. Writes the tables and the plot of README.md in this folder. Each
result is saved immediately in _build/bench/results.json, so an interrupted run resumes; after a
finished run, the next run starts afresh.

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
from lighthouse import LIGHTHOUSE, LighthouseError, measure_pages
from measure import ProcessResult, Resources, run_process
from onions.base.files import write_atomic
from onions.book.page import Page
from onions.book.project import Project
from onions.images import sketches
from onions.images.sources import Source, resolve_source
from onions.kernel import CACHE, run_facts
from tools import BENCH, CODE, SOURCE, TOOLS, Tool, write_if_changed

RESULTS = BENCH / "results.json"
EDITED, OTHER = "layer_types", "convolution"  # the edited pages; both run code
WEIGHED = ("layer_types", "dropout")  # a page with much text, a page with many plots
TIMEOUT = 3600.0  # seconds for one build; all need less
DEAD_KERNEL_TIMEOUT = 600.0  # seconds; a build that takes longer counts as hanging
MAX_RUNS, MIN_SECONDS = 3, 10.0  # builds are repeated until either is reached
LOG, TAIL = "build.log", 2000  # a build's output; characters of its end to show
HELPER = CODE / "onions" / "diagrams.py"
FUNCTION = '\n\ndef word() -> str:\n    """Return a word that a page prints."""\n    return "{}"\n'
CELL = "\n\n```{{code-cell}} python\n:tags: [remove-input, build-only]\n{}\n```\n"
Result = dict[str, Any]


class BuildFailed(Exception):
    """A build failed unexpectedly; the second argument is the end of its output."""


class Benchmark:
    """The rows of one tool, measured in its folder.

    A row's edits remain in later rows, except the cells of `failing` and `dead`.
    """

    def __init__(self, tool: Tool, source: Source, profile: str) -> None:
        self.tool, self.work = tool, tool.folder / "work"
        self.added = tool.folder / "added.md"  # the text that earlier edits added to the page
        self.environment = tool.environment(source, profile)
        self.token = f"t{time.time_ns()}"  # new, so every edit changes its page

    def nothing(self) -> Result:
        """Build the whole book from nothing."""
        shutil.rmtree(self.work, ignore_errors=True)
        write_if_changed(self.added, "")
        return self._resources(self._build())

    def unchanged(self) -> Result:
        """Build again."""
        return self._median("")

    def weight(self) -> Result:
        """Measure pages with Lighthouse and axe."""
        pages = {page: self.tool.file(page).with_suffix("") for page in WEIGHED}
        site = self.work / self.tool.site
        names = {page: str(path.relative_to(site)) for page, path in pages.items()}
        try:
            measures = measure_pages(site, list(names.values()), runs=1)
        except LighthouseError as error:
            raise BuildFailed("Lighthouse could not open its pages", str(error)) from error
        return {"pages": {page: measures[name] for page, name in names.items()}}

    def prose(self) -> Result:
        """Add a sentence to a page that runs code."""
        return self._median(f"\n\nThe sentence {self.token} {{n}}.\n")

    def code(self) -> Result:
        """Add a code cell to a page."""
        return self._median(CELL.format(f'print("{self.token} {{n}}")'))

    def helper(self) -> Result:
        """Change the return value of a helper function, which a page prints."""
        change_helper(self.token)
        return self._resources(self._build()) | {"right": self._shows(self.token)}

    def failing(self) -> Result:
        """Add a cell that raises an error."""
        broken = f"\n\nThe sentence {self.token}.\n" + CELL.format("raise RuntimeError()")
        return self._outcome(self._build(broken))

    def dead(self) -> Result:
        """Add a cell that kills its kernel, and to a later page a cell that writes a file."""
        written = BENCH / "written"
        written.unlink(missing_ok=True)
        broken = f"\n\nThe sentence {self.token}.\n" + CELL.format("import os\n\nos._exit(1)")
        other = CELL.format(f'open("{written}", "w").write("{self.token}")')
        result = self._build(broken, other, DEAD_KERNEL_TIMEOUT)
        return self._outcome(result) | {"others": written.exists()}

    def _build(self, edit: str = "", other: str = "", timeout: float = TIMEOUT) -> ProcessResult:
        """Write the pages, with the edits at the ends of EDITED and OTHER, and build them."""
        added = self.added.read_text("utf-8") + edit
        self.tool.write(self.work, list(edited_pages({EDITED: added, OTHER: other})))
        build = ProcessResult(Resources(0, 0, 0), None, "")
        for command in self.tool.commands(self.work):
            result = run_process(command, self.environment, self.work, timeout)
            build.resources += result.resources
            build.exit_code = result.exit_code
            build.output += result.output
            if result.exit_code != 0:
                break
        write_if_changed(self.tool.folder / LOG, build.output)
        return build

    def _median(self, edit: str) -> Result:
        """Edit the page and build, several times, and return the medians. The edits remain."""
        runs: list[Result] = []
        while len(runs) < MAX_RUNS and sum(run["seconds"] for run in runs) < MIN_SECONDS:
            text = edit.replace("{n}", str(len(runs)))
            runs.append(self._resources(self._build(text)))
            write_if_changed(self.added, self.added.read_text("utf-8") + text)
        medians = {name: median(run[name] for run in runs) for name in runs[0]}
        return medians | {"runs": len(runs)}

    def _resources(self, build: ProcessResult) -> Result:
        """Return the resources of a build that should succeed. Raises BuildFailed if it did not."""
        if build.exit_code != 0:
            end = f"{build.output[-TAIL:]}\n\nThe whole output: {self.tool.folder / LOG}"
            raise BuildFailed(f"the build failed with exit code {build.exit_code}", end)
        resources = build.resources
        return {
            "seconds": round(resources.seconds, 2),
            "cpu": round(resources.cpu_seconds, 1),
            "mib": int(resources.peak_mib),
        }

    def _outcome(self, build: ProcessResult) -> Result:
        """Return how a build that should fail ended, and the state of the site."""
        return {
            "seconds": round(build.resources.seconds, 2),
            "exit": build.exit_code,
            "published": self._shows(self.token),
            "site": self.tool.file(EDITED).exists() and self.tool.file(OTHER).exists(),
        }

    def _shows(self, token: str) -> bool:
        """Return whether the edited page of the site contains a word."""
        page = self.tool.file(EDITED)
        return page.exists() and token in page.read_text("utf-8", errors="replace")


ROWS = ("nothing", "unchanged", "weight", "prose", "code", "helper", "failing", "dead")
ROWS_OF_TOOLS = {"script": ("nothing",), "mystmd": tuple(row for row in ROWS if row != "weight")}


def main() -> int:
    """Measure the missing results, and write README.md once every tool has results."""
    options = _parser().parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # kill the running build on a signal
        signal.signal(number, signal.default_int_handler)
    source = resolve_source(os.environ.get("ONIONS_DATA") or "sketches", notify=_notify)
    wanted = [
        (tool, row)
        for tool, row in product(options.peers, options.rows)
        if row in ROWS_OF_TOOLS.get(tool, ROWS)
    ]
    conditions = _conditions(source, options.profile)
    data = _saved_results(conditions)
    if not _missing(wanted, data):
        data = conditions | {"tools": {}, "rows": {}}
    if not data["rows"]:
        prepare()
    if source.name == "sketches":
        for images, _ in sketches.load_data(CACHE / source.identity[:16]):
            images[:10_000]  # drawn before any tool is timed
    try:
        failed = _measure_all(_missing(wanted, data), data, source)
    except KeyboardInterrupt:
        _notify("Interrupted. The results so far are saved. Run the same command to resume.")
        return 130
    for kind in ("tools", "rows"):  # in the order of the tables
        data[kind] = {name: data[kind][name] for name in TOOLS if name in data[kind]}
    _save(data)
    if data["tools"].keys() >= TOOLS.keys():
        results.write(data)
        _notify(f"Written: {results.README}")
    return 1 if failed else 0


def _missing(wanted: list[tuple[str, str]], data: Result) -> list[tuple[str, str]]:
    """Return the pairs of a tool and a row that have no result."""
    return [(tool, row) for tool, row in wanted if row not in data["rows"].get(tool, {})]


def _measure_all(pairs: list[tuple[str, str]], data: Result, source: Source) -> set[str]:
    """Measure pairs of a tool and a row, and return the failed tools; skip their other rows."""
    failed: set[str] = set()
    for number, (name, row) in enumerate(pairs, 1):
        if name in failed:
            continue
        _notify(f"{TOOLS[name].title}: {row}, {number} of {len(pairs)}")
        try:
            _measure(TOOLS[name], row, data, source)
        except (BuildFailed, tools.NotInstalled) as error:
            failed.add(name)
            data["tools"][name] = _tool_facts(TOOLS[name], f" Not measured: {error.args[0]}.")
            _notify("\n".join(error.args))
    return failed


def _measure(tool: Tool, row: str, data: Result, source: Source) -> None:
    """Measure a row for a tool, and save the result. Raises BuildFailed or NotInstalled."""
    tool.install()
    result = getattr(Benchmark(tool, source, data["profile"]), row)()
    data["tools"][tool.name] = _tool_facts(tool)
    data["rows"].setdefault(tool.name, {})[row] = result
    data["date"] = f"{datetime.now(UTC):%Y-%m-%d}"
    _save(data)


def prepare() -> None:
    """Copy the project, and add a helper function and a cell that calls it."""
    tools.prepare()
    with HELPER.open("a", encoding="utf-8") as module:
        module.write(FUNCTION.format("first"))
    with (SOURCE / "book" / f"{EDITED}.md").open("a", encoding="utf-8") as page:
        page.write(CELL.format("from onions.diagrams import word\n\nprint(word())"))


def change_helper(word: str) -> None:
    """Change the word that the helper function returns."""
    code = HELPER.read_text("utf-8")
    write_if_changed(HELPER, re.sub('return "[^"]*"\n\\Z', f'return "{word}"\n', code))


def edited_pages(additions: dict[str, str]) -> Iterator[Page]:
    """Yield all pages of the book; `additions` are added to the ends of pages, by name."""
    for page in Project(SOURCE).pages():
        yield Page(page.name, page.path, page.text + additions.get(page.name, ""))


def _saved_results(conditions: Result) -> Result:
    """Return the results of an earlier run under the same conditions, or empty results."""
    if RESULTS.exists():
        saved = dict(json.loads(RESULTS.read_text("utf-8")))
        if conditions.items() <= saved.items():
            return saved
    return conditions | {"tools": {}, "rows": {}}


def _conditions(source: Source, profile: str) -> Result:
    """Return the conditions that all results share: machine, versions, data and profile."""
    return {
        "machine": run_facts()["device"],
        "python": platform.python_version(),
        "data": source.description,
        "profile": profile,
        "lighthouse": LIGHTHOUSE.partition("@")[2],
    }


def _save(data: Result) -> None:
    write_atomic(RESULTS, json.dumps(data, indent=1) + "\n")


def _tool_facts(tool: Tool, failure: str = "") -> Result:
    """Return a tool's title, settings and versions."""
    (site, *_) = [*(tool.folder / "venv").glob("lib/*/site-packages"), Path()]
    installed = {
        re.sub("[-_.]+", "-", package.name.lower()): package.version
        for package in metadata.distributions(path=[str(site)])
        if tool.packages
    }
    versions = {name: installed[name] for name in tool.packages if name in installed}
    return {"title": tool.title, "settings": tool.settings + failure, "versions": versions}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="Example: .venv/bin/python benchmarks/compare.py --peers onions",
    )
    parser.add_argument(
        "--peers",
        nargs="+",
        metavar="NAME",
        choices=TOOLS,
        default=list(TOOLS),
        help=f"tools to measure: {', '.join(TOOLS)} (all)",
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        metavar="ROW",
        choices=ROWS,
        default=list(ROWS),
        help=f"rows to measure: {', '.join(ROWS)} (all)",
    )
    profiles = ("full", "smoke")
    parser.add_argument("--profile", choices=profiles, default="smoke", help="profile (smoke)")
    return parser


def _notify(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
