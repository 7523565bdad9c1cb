"""The commands of `onions`: functions of the project and the options, which return an exit code.

`onions.cli` explains the exit codes. A command's docstring is its help.
"""

import argparse
import errno
import json
import os
import sys
from dataclasses import replace

from onions.base.files import format_size
from onions.book.project import Project
from onions.book.reference import ReferenceRuns
from onions.store.build import Build, StoreError, resolve_build
from onions.store.entries import Store
from onions.store.status import age, page_states


def run_execute(project: Project, options: argparse.Namespace) -> int:
    """Run the pages that changed, and store them in _build/store.

    A page runs when its code, a helper, the data or a version differs from every earlier run.
    ONIONS_DATA chooses the images: auto, cifar10, sketches, or the path of a folder or archive.
    """
    if options.check:  # with the data and versions of now, not of the last build
        return _list_states(project, _resolve(options))
    return _run_pages(project, options)


def run_plan(project: Project, options: argparse.Namespace) -> int:
    """Divide the stale pages among several machines.

    All shards take about as long. On each machine, with a copy of _build/store, `onions execute
    --shard i/N` runs one shard. To merge the results, copy all _build/store into one.
    """
    from onions.store.plan import expected_seconds, plan_shards

    build = _resolve(options)
    build.write(project.store)  # for the machines that execute and render
    stale = [state for state in page_states(project, build) if not state.fresh]
    for state in stale:  # a damaged entry must not win when stores are merged
        Store(project.store).path(state.fingerprint).unlink(missing_ok=True)
    shards = plan_shards(stale, options.shards, project.store) if stale else []
    rows = []
    for number, shard in enumerate(shards, 1):
        if shard:
            seconds = round(sum(map(expected_seconds, shard)))
            names = [state.page.name for state in shard]
            name = f"{number}/{options.shards}"
            rows.append({"shard": name, "number": number, "seconds": seconds, "pages": names})
            if not options.json:
                print(f"shard {name}, about {seconds} s: {', '.join(names)}")
    if options.json:
        print(json.dumps({"shards": rows}))
    else:
        seconds = round(sum(map(expected_seconds, stale)))
        print(f"{len(stale)} pages are stale; about {seconds} s of kernels.")
    return 0


def run_status(project: Project, options: argparse.Namespace) -> int:
    """List the pages that run: fresh, or stale and why.

    Also prints the seconds, the device and the age of each page's last run.
    """
    build = Build.read(project.store)
    if not (options.json or options.markdown):
        return _list_states(project, build)
    states = page_states(project, build)
    fresh = all(state.fresh for state in states)
    if options.markdown:
        from onions.compare.report import status_summary

        print(status_summary(build, states, Store(project.store)))
        return 0 if fresh else 1
    rows = [
        {"page": s.page.name, "fingerprint": s.fingerprint, "fresh": s.fresh, "why": s.reasons}
        for s in states
    ]
    print(json.dumps(rows))
    return 0 if fresh else 1


def run_reference(project: Project, options: argparse.Namespace) -> int:
    """Run pages from other seeds, and write their results.

    Pages with `reference: true` in their front matter run once from each of N other seeds. Their
    measures and claims are written to book/reference/reference_runs.json. Finished runs are kept in
    the store.
    """
    from onions.run.reference import write_reference_runs

    status = _run_pages(project, options, options.seeds)
    if status:
        return status
    missing = write_reference_runs(project, _resolve(options), options.seeds)
    if missing:
        print(f"{len(missing)} runs are missing; with them, the same command writes the result.")
    else:
        print(f"Written: {ReferenceRuns(project).path}")
    return 0


def run_doctor(project: Project, options: argparse.Namespace) -> int:
    """Compare this build with the reference runs.

    Names every measure far outside their range, and the likely cause.
    """
    from onions.compare.deviations import deviations

    lines = list(deviations(project, Build.read(project.store)))
    for line in lines or ["Every page agrees with the reference runs."]:
        print(line)
    return 1 if lines and options.strict else 0


def run_render(project: Project, options: argparse.Namespace) -> int:
    """Make the site in _build/html from the store.

    Needs no TensorFlow and no kernel. Does nothing where nothing changed; delete _build/html to
    render again all the same.
    """
    from onions.site.render import SiteError, render

    try:
        page = render(project)
    except SiteError as error:
        return stop(error, 1)
    print(f"Open {page.as_uri()}")
    return 0


def run_live(project: Project, options: argparse.Namespace) -> int:
    """Show the book in a browser, updated with every edit.

    A saved edit appears in about a second. Changed code runs in the background; until it has run,
    the page shows its last outputs. Errors appear on the page and here. Uses the data of the last
    build, unless ONIONS_DATA is set.
    """
    from onions.live.session import serve_live

    try:
        build = None if os.environ.get("ONIONS_DATA") else Build.read(project.store)
    except StoreError:
        build = None
    if build is None:
        build = _resolve(options)
        build.write(project.store)
    quick = replace(build, profile="smoke")
    builds = [quick, build] if options.profile == "smoke" and quick != build else [build]
    try:
        serve_live(project, builds, port=options.port, notify=_notify)
    except KeyboardInterrupt:
        _notify("The preview has ended.")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return stop(f"port {options.port} is taken. Choose another: onions live --port 0", 2)
        raise
    return 0


def run_bundle(project: Project, options: argparse.Namespace) -> int:
    """Make a PDF, an EPUB and a zip of the site in _build/bundle.

    Needs Chromium (`make browser`), which prints the PDF.
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


def run_new(project: Project, options: argparse.Namespace) -> int:
    """Add a page, or an exercise to a page.

    The new page keeps the rules, runs and renders; replace its text by yours. It is added to
    _toc.yml, by default after the optional pages. With --exercise, it has an exercise with a
    solution; an existing page gets one more.
    """
    from onions.book.new import NEXT, add_exercise, add_page

    name = options.name
    if options.exercise and (project.book / f"{name}.md").is_file():
        if options.after:
            return stop(f"{name} exists already; --after is for a new page", 2)
        label = add_exercise(project, name)
        print(f"Added {label} to book/{name}.md. Count its minutes in `exercises:`, at the top.")
    else:
        _, before = add_page(project, name, after=options.after, exercise=options.exercise)
        print(f"Made book/{name}.md, in _toc.yml after {before}.")
    print(NEXT.format(name))
    return 0


def run_check(project: Project, options: argparse.Namespace) -> int:
    """Check the pages' rules, without running them.

    Prints each broken rule with its place, why it matters and how to repair it.
    """
    from onions.book.check import check_page, explain_rule, format_finding, repair_page
    from onions.book.project import select_pages
    from onions.book.rules import RULES

    if options.explain:
        rules = RULES if options.explain == "all" else [options.explain]
        print("\n\n".join(map(explain_rule, rules)))
        return 0
    pages = select_pages(project, options.pages)
    if options.fix:
        for line in (line for page in pages for line in repair_page(page)):
            print(line)
        pages = select_pages(project, [page.name for page in pages])
    findings = [(page, finding) for page in pages for finding in check_page(page)]
    for page, finding in findings:
        print(format_finding(page, finding))
    for rule in dict.fromkeys(finding.rule for _, finding in findings):
        print(f"\n{explain_rule(rule)}")
    count = f"{len(findings)} finding{'s' * (len(findings) > 1)}"
    print(f"\n{count}" if findings else "every page keeps the rules")
    return 1 if findings else 0


def run_gate(project: Project, options: argparse.Namespace) -> int:
    """Tell whether the site may be published.

    It may be published if every page is fresh, was trained in full with the data asked for, and
    every claim held.
    """
    from onions.site.gate import obstacles

    lines = list(obstacles(project, options.data))
    for line in lines:
        print(line, file=sys.stderr)
    if lines:
        return stop("the site may not be published, for the reasons above.", 1)
    print("The site may be published.")
    return 0


def run_prune(project: Project, options: argparse.Namespace) -> int:
    """Delete old entries that no page uses in its present state."""
    store = Store(project.store)
    used = {state.fingerprint for state in page_states(project, Build.read(project.store))}
    old = [path for path in store.older_than(options.days) if path.stem not in used]
    freed = format_size(old)
    for path in old:
        path.unlink()
    print(f"Deleted {len(old)} entries ({freed}), kept {_contents(store)}.")
    return 0


def run_verify(project: Project, options: argparse.Namespace) -> int:
    """Check every entry of the store."""
    store = Store(project.store)
    damaged = list(store.verify())
    for message in damaged:
        print(message, file=sys.stderr)
    print(f"{len(damaged)} of {_contents(store)} are damaged.")
    return 1 if damaged else 0


def run_diff(project: Project, options: argparse.Namespace) -> int:
    """Compare two builds: claims, measures, networks, figures and times.

    A build is a project's folder, a built site, a store, or a git revision of this project; the
    revision's own code then tells which entries of the store belong to it. Exits with 1 if the
    builds differ.
    """
    from onions.compare.builds import BuildError, find_build  # here, since render needs no Pillow
    from onions.compare.diff import compare_builds
    from onions.compare.report import format_diff

    try:
        before, after = find_build(options.before, project), find_build(options.after, project)
    except (BuildError, StoreError) as error:
        return stop(error, 2)
    differences = compare_builds(before, after, ReferenceRuns(project))
    print(format_diff(differences, options.format), end="")
    return 1 if differences else 0


def _resolve(options: argparse.Namespace) -> Build:
    build = resolve_build(_choice(), options.profile, _notify)
    _notify(f"Data: {build.source.description}, since {build.source.reason}.")
    return build


def _run_pages(project: Project, options: argparse.Namespace, seeds: int = 0) -> int:
    from onions.run.execute import execute
    from onions.store.lockfile import EnvironmentMismatch

    try:
        report = execute(
            project,
            choice=_choice(),
            profile=options.profile,
            jobs=options.jobs,
            shard=options.shard,
            seeds=seeds,
            pages=options.pages,
        )
    except EnvironmentMismatch as error:
        return stop(error, 2)
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
    choices = f"{build.source.description}, {build.profile}"
    print(f"{stale} of {len(states)} pages are stale; with {choices}.")
    return 1 if stale else 0


def _contents(store: Store) -> str:
    entries = store.entries()
    return f"{len(entries)} entries ({format_size(entries)})"


def _notify(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # standard output is for results


def _choice() -> str:
    return os.environ.get("ONIONS_DATA") or "auto"


def stop(reason: object, status: int) -> int:
    """Print why a command stops, and return its exit code."""
    print(f"onions: {reason}", file=sys.stderr)
    return status
