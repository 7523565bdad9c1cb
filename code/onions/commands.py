"""What each command of the command line does: a function of the project and the options, which
returns the exit code that `onions.cli` explains.
"""

import argparse
import errno
import json
import os
import sys
from dataclasses import replace

from onions.files import size, write_whole
from onions.fingerprint import Build
from onions.pages import Project
from onions.reference import Reference
from onions.status import age, last_build, resolve, states
from onions.store import Store, StoreError


def run_execute(project: Project, options: argparse.Namespace) -> int:
    """Run the pages that changed, into _build/store.

    They are those whose code, helpers, data or versions are not the same as in a run before.
    ONIONS_DATA chooses the images: auto, cifar10, sketches, or the path of a folder or archive.
    KERAS_BACKEND chooses Keras' backend.
    """
    if options.check:  # against what would run now, not what ran last
        return _list(project, _resolve(options))
    return _run_pages(project, options)


def run_plan(project: Project, options: argparse.Namespace) -> int:
    """Deal the stale pages out to several machines.

    All shards take about as long. On each machine, with a copy of _build/store, `onions execute
    --shard i/N` runs one; copying the machines' _build/store together merges them.
    """
    from onions.plan import expected_seconds, shards

    build = _resolve(options)
    build.write(project)  # the machines that execute and render go by it
    stale = [state for state in states(project, build) if not state.fresh]
    for state in stale:  # a damaged entry: other machines' stores are merged into this one
        Store(project.store).path(state.fingerprint).unlink(missing_ok=True)
    dealt = shards(stale, options.shards, project.store) if stale else []
    parts = []
    for number, shard in enumerate(dealt, 1):
        if shard:
            seconds = round(sum(map(expected_seconds, shard)))
            names = [state.page.name for state in shard]
            part = f"{number}/{options.shards}"
            parts.append({"shard": part, "number": number, "seconds": seconds, "pages": names})
            if not options.json:
                print(f"shard {number}/{options.shards}, about {seconds} s: {', '.join(names)}")
    if options.json:
        print(json.dumps({"shards": parts}))
    else:
        seconds = round(sum(map(expected_seconds, stale)))
        print(f"{len(stale)} pages are stale; about {seconds} s of kernels.")
    return 0


def run_status(project: Project, options: argparse.Namespace) -> int:
    """List the pages that run: fresh or stale, and why.

    With the seconds, the device and the age of each page's last run.
    """
    build = last_build(project)
    if not (options.json or options.markdown):
        return _list(project, build)
    found = states(project, build)
    fresh = all(state.fresh for state in found)
    if options.markdown:
        from onions.report import summary

        print(summary(build, found, Store(project.store)))
        return 0 if fresh else 1
    rows = [
        {"page": s.page.name, "fingerprint": s.fingerprint, "fresh": s.fresh, "why": s.why}
        for s in found
    ]
    print(json.dumps(rows))
    return 0 if fresh else 1


def run_reference(project: Project, options: argparse.Namespace) -> int:
    """Run pages from other seeds, and write down what came out.

    Those whose front matter says `reference: true` run once from each of N other seeds; what they
    measured and claimed goes to book/reference/reference_runs.json. Finished runs are kept in the
    store.
    """
    from onions.seeds import write_reference

    status = _run_pages(project, options, options.seeds)
    if status:
        return status
    missing = write_reference(project, _resolve(options), options.seeds)
    if missing:
        print(f"{len(missing)} runs are missing; with them, the same command writes the result.")
    else:
        print(f"Written: {Reference(project).path}")
    return 0


def run_doctor(project: Project, options: argparse.Namespace) -> int:
    """Hold this build against the reference runs.

    Names every measure that lies far outside of theirs, and the likely cause.
    """
    from onions.doctor import findings

    found = list(findings(project, last_build(project)))
    for finding in found:
        print(finding)
    if not found:
        print("Every page agrees with the reference runs.")
    return 1 if found and options.strict else 0


def run_render(project: Project, options: argparse.Namespace) -> int:
    """Make the site in _build/html from the store.

    Needs no TensorFlow and no kernel. Where nothing changed, the site stays; delete _build/html to
    have it made all the same.
    """
    from onions.site import SiteError, render

    try:
        page = render(project)
    except SiteError as error:
        return stop(error, 1)
    print(f"Open {page.as_uri()}")
    return 0


def run_live(project: Project, options: argparse.Namespace) -> int:
    """Show the book in a browser, kept up with every edit.

    A saved edit shows in about a second; changed code runs in the background, and the page shows
    its last outputs until then. Errors stand on the page and here. Goes on with the data of the
    last build, unless ONIONS_DATA says another.
    """
    from onions.live import live

    try:
        build = None if os.environ.get("ONIONS_DATA") else Build.read(project)
    except (FileNotFoundError, ValueError):
        build = None
    if build is None:
        build = _resolve(options)
        build.write(project)
    quick = replace(build, profile="smoke")
    builds = [quick, build] if options.profile == "smoke" and quick != build else [build]
    try:
        live(project, builds, port=options.port, say=_say)
    except KeyboardInterrupt:
        _say("The preview has ended.")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return stop(f"port {options.port} is taken. Choose another: onions live --port 0", 2)
        raise
    return 0


def run_bundle(project: Project, options: argparse.Namespace) -> int:
    """Make a PDF, an EPUB and a zip of the site in _build/bundle.

    Needs Chromium (`make browser`), which prints the PDF.
    """
    from onions.browser import NoBrowser
    from onions.bundle import bundle
    from onions.site import SiteError

    try:
        made = bundle(project, _say)
    except SiteError as error:
        return stop(error, 1)
    except NoBrowser as error:
        return stop(error, 2)
    for path in made:
        print(f"{path} ({size([path])})")
    return 0


def run_new(project: Project, options: argparse.Namespace) -> int:
    """Add a page, or an exercise to a page.

    The page keeps the rules, runs and renders as it stands, to be written over. It is in _toc.yml:
    at the end of the optional pages, unless told otherwise. With --exercise, it has an exercise
    with a solution; a page that exists gets one more.
    """
    from onions.new import NEXT, add_exercise, add_page

    name = options.name
    if options.exercise and (project.book / f"{name}.md").is_file():
        if options.after or options.part:
            return stop(f"{name} is there already; --after and --part are for a new page", 2)
        label = add_exercise(project, name)
        print(f"Added {label} to book/{name}.md. Count its minutes in `exercises:`, at the top.")
    else:
        _, before = add_page(
            project, name, after=options.after, part=options.part, exercise=options.exercise
        )
        print(f"Made book/{name}.md, in _toc.yml after {before}.")
    print(NEXT.format(name))
    return 0


def run_check(project: Project, options: argparse.Namespace) -> int:
    """Check the pages' rules, without running them.

    Says which rule is broken where, why it matters and how to repair it.
    """
    from onions.lint import explained, find, named, repair, told
    from onions.rules import RULES

    if options.explain:
        asked = RULES if options.explain == "all" else [options.explain]
        print("\n\n".join(map(explained, asked)))
        return 0
    pages = named(project, options.pages)
    if options.fix:
        for line in (line for page in pages for line in repair(page)):
            print(line)
        pages = named(project, [page.name for page in pages])
    found = [(page, finding) for page in pages for finding in find(page)]
    for page, finding in found:
        print(told(page, finding))
    for rule in dict.fromkeys(finding.rule for _, finding in found):
        print(f"\n{explained(rule)}")
    many = f"{len(found)} finding{'s' * (len(found) > 1)}"
    print(f"\n{many}" if found else "every page keeps the rules")
    return 1 if found else 0


def run_gate(project: Project, options: argparse.Namespace) -> int:
    """Tell whether the site may be published.

    It may if every page was executed as it stands, in full, with the data asked for, and every
    claim held.
    """
    from onions.gate import obstacles

    found = list(obstacles(project, options.data))
    for obstacle in found:
        print(f"{obstacle}", file=sys.stderr)
    if found:
        return stop("the site may not be published, for what is said above.", 1)
    print("The site may be published.")
    return 0


def run_prune(project: Project, options: argparse.Namespace) -> int:
    """Delete what no page uses as it stands, if it is old enough."""
    store = Store(project.store)
    used = {state.fingerprint for state in states(project, last_build(project))}
    old = [path for path in store.older_than(options.days) if path.stem not in used]
    freed = size(old)
    for path in old:
        path.unlink()
    print(f"Deleted {len(old)} entries ({freed}), kept {_contents(store)}.")
    return 0


def run_verify(project: Project, options: argparse.Namespace) -> int:
    """Check every entry of the store."""
    store = Store(project.store)
    wrong = list(store.verify())
    for message in wrong:
        print(message, file=sys.stderr)
    print(f"{len(wrong)} of {_contents(store)} are damaged.")
    return 1 if wrong else 0


def run_diff(project: Project, options: argparse.Namespace) -> int:
    """Say what a reviewer must know of two builds.

    Compares their claims, measures, networks, figures and times. Each is a project's folder, a
    built site, a store, or a git revision of this project, whose own code then says which entries
    of the store are its. Ends with 1 if they differ.
    """
    from onions.builds import BuildError, find  # render does without Pillow
    from onions.diff import differ
    from onions.report import report

    try:
        before, after = find(options.before, project), find(options.after, project)
    except (BuildError, StoreError) as error:
        return stop(error, 2)
    found = differ(before, after, Reference(project))
    text = report(found, options.format)
    if options.output:
        write_whole(options.output, text)
    else:
        print(text, end="")
    return 1 if found else 0


def _resolve(options: argparse.Namespace) -> Build:
    build = resolve(_choice(), options.profile, options.unlocked, _say)
    _say(f"Data: {build.source.what}, since {build.source.why}.")
    return build


def _run_pages(project: Project, options: argparse.Namespace, seeds: int = 0) -> int:
    from onions.execute import EnvironmentDiffers, execute

    try:
        report = execute(
            project,
            choice=_choice(),
            profile=options.profile,
            unlocked=options.unlocked,
            jobs=options.jobs,
            shard=options.shard,
            seeds=seeds,
            pages=options.pages,
        )
    except EnvironmentDiffers as error:
        return stop(error, 2)
    if report.failed:
        return stop(f"see above; what failed: {', '.join(report.failed)}.", 3)
    return 0


def _list(project: Project, build: Build) -> int:
    """List the pages; return 1 if one is stale."""
    found = states(project, build)
    rows = [["page", "state", "seconds", "executed", "device", "why"]]
    for state in found:
        facts = state.facts
        seconds = f"{facts['seconds']:.0f}" if facts else ""
        row = [state.page.name, "fresh" if state.fresh else "stale", seconds, age(facts)]
        rows.append([*row, str(facts.get("device", "")), "; ".join(state.why)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    stale = sum(not state.fresh for state in found)
    print(f"{stale} of {len(found)} pages are stale; with {build.source.what}, {build.profile}.")
    return 1 if stale else 0


def _contents(store: Store) -> str:
    entries = store.entries()
    return f"{len(entries)} entries ({size(entries)})"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # the standard output is a program's


def _choice() -> str:
    return os.environ.get("ONIONS_DATA") or "auto"


def stop(reason: object, status: int) -> int:
    """Say why a command stops, and return its exit code."""
    print(f"onions: {reason}", file=sys.stderr)
    return status
