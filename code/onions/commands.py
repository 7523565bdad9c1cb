"""The commands of `onions`. Each returns an exit code, which `onions.cli` explains.

A command's docstring is its help. Imports inside commands keep the start short, and let machines
without TensorFlow or Pillow run the other commands.
"""

import errno
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click

from onions.base.files import format_size
from onions.base.locks import folder_lock
from onions.base.text import format_count
from onions.book.project import Project, find_project, select_pages
from onions.book.reference import ReferenceRuns
from onions.live import PORT
from onions.store.build import Build, StoreError, resolve_build
from onions.store.entries import Store
from onions.store.status import age, page_states, record_build, used_fingerprints

EXAMPLES = """\b
Examples:
  onions execute                    run the pages that changed, in parallel
  onions render                     make the site from the store
  onions status                     list the stale pages, with reasons
  onions data                       say which images a build would use
  onions live                       show the book in a browser, updated with every edit
  onions new my_topic --exercise    add a page
  onions check pooling              check the rules of one page
  onions plan --shards 3            divide the stale pages among three machines
  onions execute --shard 2/3        run the second of three shards
  onions diff main .                compare two builds

\b
Completion of commands and options in bash (zsh and fish likewise):
  eval "$(_ONIONS_COMPLETE=bash_source onions)"
"""


def _parse_shard(_: object, __: object, text: str) -> tuple[int, int]:
    part, _, of = text.partition("/")
    if not (part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of)):
        raise click.BadParameter("write 2/3 for the second of three shards.")
    return int(part), int(of)


# Arguments and options of several commands
_pages = click.argument("pages", nargs=-1, metavar="[PAGE]...")
_profiles = click.Choice(("full", "smoke"))
_formats = click.Choice(("text", "markdown", "html"))
_profile = click.option(
    "--profile",
    type=_profiles,
    envvar="ONIONS_PROFILE",
    show_envvar=True,
    default="full",
    help="smoke: train for one epoch of 512 images.",
)
_jobs = click.option(
    "--jobs", type=click.IntRange(1), help="Pages at once.  [default: one per GPU, else per core]"
)
_shard = click.option(
    "--shard", callback=_parse_shard, metavar="I/N", default="1/1", help="Run shard I of N."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(epilog=EXAMPLES, context_settings={"max_content_width": 100, "show_default": True})
@click.version_option(package_name="onions", message="onions %(version)s")
@click.option(
    "--project",
    type=click.Path(path_type=Path),
    show_default=False,
    help="Folder with book/ and _toc.yml.  [default: this folder or one above]",
)
@click.pass_context
def onions(context: click.Context, project: Path | None) -> None:
    """Execute, check and render the lesson *Networks are like onions*."""
    context.obj = project


def pass_project(command: Callable[..., int]) -> Callable[..., int]:
    """Pass the project to a command. Raises PageError if there is none."""

    @click.pass_obj
    def run(folder: Path | None, /, *arguments: Any, **options: Any) -> int:
        return command(find_project(folder), *arguments, **options)

    return update_wrapper(run, command)


@onions.command(epilog="Example: ONIONS_DATA=cifar10 onions execute")
@_pages
@_profile
@_jobs
@_shard
@click.option("--check", is_flag=True, help="Run nothing. Exit with 1 if a page is stale.")
@pass_project
def execute(project: Project, /, check: bool, profile: str, **choices: Any) -> int:
    """Run the pages that changed, and store their outputs.

    A page runs if the store has no run with the same code, helpers, data and versions.
    ONIONS_DATA chooses the images: auto, cifar10, sketches, or the path of a folder or archive.
    """
    if check:
        return _list_states(project, _resolve(profile))
    return _run_pages(project, profile=profile, **choices)


@onions.command(epilog="Example: onions plan --shards 3 --json")
@click.option("--shards", type=click.IntRange(1), metavar="N", default=1, help="Machines.")
@_json
@_profile
@pass_project
def plan(project: Project, shards: int, as_json: bool, profile: str) -> int:
    """Divide the stale pages among several machines.

    The shards take about equally long. On each machine, with a copy of _build/store, run `onions
    execute --shard I/N`. Then merge the results: copy the files of every _build/store into one.
    """
    from onions.store.plan import expected_seconds, plan_shards

    build = _resolve(profile)
    states = page_states(project, build)
    record_build(project, build, states)  # rendering reads it, even if no page is stale
    stale = [state for state in states if not state.fresh]
    # A damaged entry must not win when stores are merged.
    Store(project.store).delete_damaged(state.fingerprint for state in stale)
    parts = plan_shards(stale, shards, project.store) if stale else []
    rows: list[dict[str, Any]] = [
        {
            "shard": f"{number}/{shards}",
            "number": number,
            "seconds": round(sum(map(expected_seconds, part))),
            "pages": [state.page.name for state in part],
        }
        for number, part in enumerate(parts, 1)
        if part
    ]
    if as_json:
        print(json.dumps({"shards": rows}))
        return 0
    for row in rows:
        print(f"shard {row['shard']}, about {row['seconds']} s: {', '.join(row['pages'])}")
    seconds = round(sum(map(expected_seconds, stale)))
    print(f"{format_count(len(stale), 'stale page')}; about {seconds} s of kernel time.")
    return 0


@onions.command(epilog="Example: onions status")
@_json
@click.option("--markdown", is_flag=True, help="Print Markdown with the claims of each page.")
@pass_project
def status(project: Project, as_json: bool, markdown: bool) -> int:
    """List the pages: fresh, or stale with reasons.

    Also prints the duration, device and age of each page's last run. Exits with 1 if a page is
    stale.
    """
    if as_json and markdown:
        raise click.UsageError("--json and --markdown can't be combined.")
    build = Build.read(project.store)
    if not (as_json or markdown):
        return _list_states(project, build)
    states = page_states(project, build)
    if markdown:
        from onions.compare.report import status_summary

        print(status_summary(build, states, Store(project.store)))
    else:
        rows = [
            {"page": s.page.name, "fingerprint": s.fingerprint, "fresh": s.fresh, "why": s.reasons}
            for s in states
        ]
        print(json.dumps(rows))
    return 0 if all(state.fresh for state in states) else 1


@onions.group(epilog="Example: onions data fetch", invoke_without_command=True)
@click.pass_context
def data(context: click.Context) -> int:
    """Say which images are there, which a build would use, and why."""
    from onions.images.sources import data_report

    if context.invoked_subcommand is None:
        for line in data_report(_data()):
            print(line)
    return 0


@data.command(epilog="Example: onions data fetch")
def fetch() -> int:
    """Download CIFAR-10 into Keras' cache, however long it takes.

    Continues what an interrupted download has left.
    """
    from onions.images.sources import resolve_source

    print(resolve_source("cifar10", notify=_notify).path)
    return 0


@onions.group(epilog="Example: onions store prune --days 30")
def store() -> None:
    """Prune or verify the executed pages in _build/store.

    Old entries are kept until they are pruned, so undoing a change to a page runs nothing.
    """


@store.command(epilog="Example: onions store prune --days 30")
@click.option("--days", type=click.IntRange(0), default=30, help="Minimum age in days.")
@pass_project
def prune(project: Project, days: int) -> int:
    """Delete old or unreadable entries that no page uses in its present state.

    Keeps the reference runs of the present state too, with any data.
    """
    entries = Store(project.store)
    with folder_lock(project.store, _notify):
        used = used_fingerprints(project, Build.read(project.store))
        old = [path for path in entries.older_than(days) if path.stem not in used]
        deleted = _entries(old)
        for path in old:
            path.unlink()
        for path in entries.unused_files(days):
            path.unlink()
        print(f"Deleted {deleted}, kept {_entries(entries.entries())}.")
    return 0


@store.command(epilog="Example: onions store verify")
@pass_project
def verify(project: Project) -> int:
    """Verify the checksum and fingerprint of every entry."""
    entries = Store(project.store)
    damaged = list(entries.verify())
    for message in damaged:
        print(message, file=sys.stderr)
    print(f"Damaged: {len(damaged)} of {_entries(entries.entries())}.")
    return 1 if damaged else 0


@onions.command(epilog="Example: ONIONS_DATA=cifar10 onions reference dropout")
@_pages
@_jobs
@_shard
@pass_project
def reference(project: Project, /, **choices: Any) -> int:
    """Run pages from other seeds, and record their results.

    Takes each page whose front matter has `reference: N`, runs it from N other seeds, and again
    from some of them with other images. Each run joins book/reference/reference_runs.json when it
    has finished, so an interrupted command resumes. Without changes of a page's code, its runs stay
    valid. With --shard, copy every _build/store into one afterwards, and run the command again.
    """
    if failed := _run_pages(project, reference=True, **choices):
        return failed
    print(f"Recorded in {ReferenceRuns(project).path}")
    return 0


@onions.command(epilog="Example: onions claims dropout")
@_pages
@_json
@pass_project
def claims(project: Project, pages: tuple[str, ...], as_json: bool) -> int:
    """List the claims and findings of pages, and their margins.

    A margin says how far a comparison was from being false in a reference run: 4 SD are four
    standard deviations of the margins of all runs, which are differences of logits for shares and
    of logarithms for losses. Exact claims need no reference runs.
    """
    from onions.book.claims_list import list_claims

    listed = list(list_claims(project, select_pages(project, pages)))
    if as_json:
        print(json.dumps([vars(item) for item in listed], ensure_ascii=False))
        return 0
    for item in listed:
        print(f"{item.page}:{item.line}  {item.kind}: {item.sentence}")
        if item.comparison:
            print(f"    {item.comparison}")
        for name, outcome in item.outcomes.items():
            weakness = item.weakness.get(name, "")
            print(f"    {name}: {outcome}{weakness and f' – too weak for a claim: {weakness}'}")
    return 0


@onions.command(epilog="Example: onions doctor --strict")
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with 1 if a page is stale, or different from runs with the same code and images.",
)
@pass_project
def doctor(project: Project, strict: bool) -> int:
    """Compare this build with the reference runs.

    Judges the numbers of each page together: as expected, unusual (fewer than 1 in 100 runs), or
    something is different (fewer than 1 in 1000), then with the likely causes.
    """
    from onions.compare.deviations import deviations

    found = list(deviations(project, Build.read(project.store)))
    for deviation in found:
        print(deviation.message)
    if not found:
        print("Every page is as expected by the reference runs.")
    return 1 if strict and any(deviation.fails for deviation in found) else 0


@onions.command(epilog="Example: onions gate --data cifar10")
@click.option(
    "--data", type=click.Choice(("cifar10", "sketches")), default="cifar10", help="Required data."
)
@pass_project
def gate(project: Project, data: str) -> int:
    """Decide whether the site may be published.

    Every page must be fresh and must have been trained in full with the required data, every claim
    must have held, and the site must not be too large. Otherwise, prints the reasons and exits
    with 1.
    """
    from onions.site.gate import obstacles, site_size

    lines = list(obstacles(project, data))
    for line in lines:
        print(line, file=sys.stderr)
    if lines:
        return stop("the site may not be published, for the reasons above.", 1)
    size, files = site_size(project)
    print(f"The site may be published. It has {size / 1e6:.1f} MB in {files} files.")
    return 0


@onions.command(epilog="Example: onions render")
@pass_project
def render(project: Project) -> int:
    """Make the site in _build/html from the store.

    Needs neither TensorFlow nor a kernel. Writes only what changed; to render everything again,
    delete _build/html.
    """
    from onions.site import render as renderer

    try:
        page = renderer.render(project, _notify)
    except renderer.SiteError as error:
        return stop(error, 1)
    print(f"Open {page.as_uri()}")
    return 0


@onions.command(epilog="Example: onions live --profile smoke")
@click.option(
    "--profile",
    type=_profiles,
    default="full",
    help="smoke: run a changed page for one epoch of 512 images first, then as in the last build.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, help="0: any free port.")
@pass_project
def live(project: Project, profile: str, port: int) -> int:
    """Show the book in a browser, updated with every edit.

    A saved edit appears in about a second. Changed code runs in the background; until it has run,
    the page shows its last outputs. Errors appear on the page and in the terminal. Uses the data of
    the last build, unless ONIONS_DATA is set.
    """
    from onions.live.session import serve_live

    try:
        build = None if os.environ.get("ONIONS_DATA") else Build.read(project.store)
    except StoreError:
        build = None
    if build is None:
        build = _resolve(profile)
        build.write(project.store)
    quick = replace(build, profile="smoke")
    builds = [quick, build] if profile == "smoke" and quick != build else [build]
    try:
        serve_live(project, builds, port=port, notify=_notify)
    except KeyboardInterrupt:
        _notify("The preview has ended.")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return stop(f"port {port} is taken. Choose another: onions live --port 0", 2)
        raise
    return 0


@onions.command(epilog="Example: onions bundle")
@pass_project
def bundle(project: Project) -> int:
    """Make a PDF, an EPUB and a zip of the site in _build/bundle.

    Chromium prints the PDF. `make browser` installs it.
    """
    from onions.site.browser import NoBrowser
    from onions.site.bundle import make_bundle
    from onions.site.render import SiteError

    try:
        made = make_bundle(project, _notify)
    except SiteError as error:
        return stop(error, 1)
    except NoBrowser as error:
        return stop(error, 2)
    for path in made:
        print(f"{path} ({format_size([path])})")
    return 0


@onions.command(epilog="Example: onions new my_topic --after pooling")
@click.argument("name")
@click.option("--exercise", is_flag=True, help="Add an exercise and its solution.")
@click.option("--after", metavar="PAGE", default="", show_default=False, help="The page before it.")
@pass_project
def new(project: Project, name: str, exercise: bool, after: str) -> int:
    """Add a page, or an exercise to a page.

    The new page follows the rules, runs and renders: replace its text with yours. In _toc.yml, it
    comes after the optional pages, or after the page given by --after. With --exercise, an existing
    page gets one more exercise.
    """
    from onions.book.new import NEXT, add_exercise, add_page

    if exercise and (project.book / f"{name}.md").is_file():
        if after:
            return stop(f"{name} exists already; --after is for a new page.", 2)
        label = add_exercise(project, name)
        print(f"Added {label} to book/{name}.md. Add its minutes to `exercises:` and `practice:`.")
    else:
        _, before = add_page(project, name, after=after, exercise=exercise)
        print(f"Made book/{name}.md, in _toc.yml after {before}.")
    print(NEXT.format(name))
    return 0


@onions.command(epilog="Example: onions check pooling --fix")
@_pages
@click.option("--fix", is_flag=True, help="Make the repairs that need no decision by an author.")
@click.option(
    "--explain", is_flag=False, flag_value="all", metavar="[RULE]", help="Print one rule, or all."
)
@pass_project
def check(project: Project, pages: tuple[str, ...], fix: bool, explain: str | None) -> int:
    """Check the rules of pages, without running them.

    Prints each broken rule with its place, its reason and a repair. Exits with 1 if any rule is
    broken.
    """
    from onions.book.check import check_page, explain_rule, format_finding, repair_page
    from onions.book.project import select_pages
    from onions.book.rules import RULES

    if explain and fix:
        raise click.UsageError("--fix and --explain can't be combined.")
    if explain:
        print("\n\n".join(map(explain_rule, RULES if explain == "all" else [explain])))
        return 0
    selected = select_pages(project, pages)
    if fix:
        for line in (line for page in selected for line in repair_page(page)):
            print(line)
        selected = select_pages(project, [page.name for page in selected])
    findings = [(page, finding) for page in selected for finding in check_page(page)]
    for page, finding in findings:
        print(format_finding(page, finding))
    for rule in dict.fromkeys(finding.rule for _, finding in findings):
        print(f"\n{explain_rule(rule)}")
    count = format_count(len(findings), "finding")
    print(f"\n{count}" if findings else "Every page follows the rules.")
    return 1 if findings else 0


@onions.command(epilog="Example: onions diff main . --format html > diff.html")
@click.argument("before")
@click.argument("after")
@click.option(
    "--format", "form", type=_formats, default="text", help="html shows figures side by side."
)
@pass_project
def diff(project: Project, before: str, after: str, form: str) -> int:
    """Compare the results of two builds.

    Compares claims, measures, networks, figures and times, and exits with 1 if they differ. A build
    is the folder of a project, a built site, a store, or a git revision of this project whose pages
    are in the store.
    """
    from onions.compare.builds import BuildError, find_build
    from onions.compare.diff import compare_builds
    from onions.compare.report import format_diff

    try:
        builds = find_build(before, project), find_build(after, project)
    except (BuildError, StoreError) as error:
        return stop(error, 2)
    differences = compare_builds(*builds, ReferenceRuns(project))
    print(format_diff(differences, form), end="")
    return 1 if differences else 0


def stop(reason: object, code: int) -> int:
    """Print why a command stops, and return its exit code."""
    print(f"onions: {reason}", file=sys.stderr)
    return code


def _resolve(profile: str) -> Build:
    build = resolve_build(_data(), profile, _notify)
    _notify(f"Data: {build.source.description}, since {build.source.reason}.")
    return build


def _run_pages(project: Project, **choices: Any) -> int:
    from onions.run.execute import execute

    report = execute(project, choice=_data(), **choices)
    if report.failed:
        return stop(f"see above; these pages failed: {', '.join(report.failed)}.", 3)
    return 0


def _list_states(project: Project, build: Build) -> int:
    """List the pages; return 1 if one is stale."""
    states = page_states(project, build)
    rows = [["page", "state", "seconds", "executed", "device", "why"]]
    for state in states:
        run = state.last_run
        seconds = f"{run['seconds']:.0f}" if run else ""
        row = [state.page.name, "fresh" if state.fresh else "stale", seconds, age(run)]
        rows.append([*row, str(run.get("device", "")), "; ".join(state.reasons)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    stale = sum(not state.fresh for state in states)
    choices = f"{build.source.description}; {build.profile} profile"
    print(f"Stale: {stale} of {format_count(len(states), 'page')}. Build: {choices}.")
    return 1 if stale else 0


def _entries(paths: list[Path]) -> str:
    return f"{format_count(len(paths), 'entry', 'entries')} ({format_size(paths)})"


def _notify(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # standard output is for results


def _data() -> str:
    return os.environ.get("ONIONS_DATA") or "auto"
