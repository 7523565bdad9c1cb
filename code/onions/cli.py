"""The command line: ``onions execute``, ``render`` and what belongs to them.

Exit codes: 0 all well; 1 a page is stale or breaks a rule, an entry of the store is damaged, the
site did not build or may not be published, or two builds differ; 2 wrong usage, data, lock,
environment or disk, before anything ran; 3 a page failed; 130 interrupted.
"""

import argparse
import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from onions.batches import DataError
from onions.data import CHOICES
from onions.files import size, write_whole
from onions.fingerprint import Build, LockError
from onions.pages import PageError, Project
from onions.reference import Reference
from onions.status import age, last_build, resolve, states
from onions.store import Store, StoreError

PROFILES = ("full", "smoke")
Run = Callable[[Project, argparse.Namespace], int]
EXAMPLES = """\
examples:
  onions execute                                 run what changed, side by side
  onions execute --shard 2/3                     run the second of three parts
  onions status                                  what is stale, and why
  onions plan --shards 3                         which part runs which pages
  onions store prune --days 30                   forget old runs
  ONIONS_DATA=sketches onions execute --profile smoke
  onions render                                  make the site from the store
  onions live                                    show every edit in a browser at once
  onions bundle                                  make a PDF, an EPUB and a zip of the site
  onions reference --seeds 10                    measure what other seeds bring
  onions doctor                                  hold this build against those
  onions gate                                    tell whether the site may be published
  onions new my_topic --exercise                 add a page, to be written over
  onions check pooling                           check a page's rules
  onions diff main .                             what changed between two builds
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if getattr(options, "profile", "full") not in PROFILES:  # argparse lets a default pass
        parser.error(f"ONIONS_PROFILE: invalid choice: {options.profile!r}")
    project = Project(options.project.resolve())
    signal.signal(signal.SIGTERM, _interrupt)  # so that it leaves no kernel behind, like Ctrl-C
    try:
        return int(options.run(project, options))
    except (DataError, LockError, PageError, OSError) as error:
        return _stop(error, 2)
    except StoreError as error:
        return _stop(error, 1)
    except KeyboardInterrupt:
        return _stop("Interrupted. Finished pages are kept; the same command goes on.", 130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onions",
        description="Execute and render Networks are like onions.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--project", type=Path, default=Path(), help="the book's folder (here)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_execute(commands)
    _add_status(commands)
    _add_plan(commands)
    _add_store(commands)
    _add_reference(commands)
    _add_doctor(commands)
    _add_gate(commands)
    _command(
        commands,
        "render",
        _render,
        "make the site in _build/html from the store",
        "Make the site from the executed pages; needs no TensorFlow and no kernel.",
        "onions render",
    )
    _add_live(commands)
    _command(
        commands,
        "bundle",
        _bundle,
        "make a PDF, an EPUB and a zip of the site in _build/bundle",
        "Render the executed pages as a site, a PDF and an EPUB, and zip the site. "
        "Needs Chromium (`make browser`), which prints the PDF.",
        "onions bundle",
    )
    _add_new(commands)
    _add_check(commands)
    _add_diff(commands)
    return parser


def _command(
    commands: Any, name: str, run: Run, what: str, description: str, example: str
) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=description, epilog=f"example: {example}"
    )
    added.set_defaults(run=run)
    return added


def _add_choices(command: argparse.ArgumentParser) -> None:
    """Add what decides, beside the environment's variables, with what pages run."""
    command.add_argument(
        "--profile",
        choices=PROFILES,
        default=os.environ.get("ONIONS_PROFILE") or "full",
        help="smoke: every training is cut to one epoch of 512 images (default: full)",
    )
    _add_unlocked(command)


def _add_unlocked(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--unlocked", action="store_true", help="run with the versions that are installed"
    )


def _add_shares(command: argparse.ArgumentParser) -> None:
    """Add how many pages run at once, and which part of them on this machine."""
    command.add_argument(
        "--jobs", type=_at_least(1), metavar="N", help="pages at once (one for each GPU or core)"
    )
    command.add_argument(
        "--shard", type=_shard, metavar="i/N", default=(1, 1), help="run one part of N; see plan"
    )


def _add_execute(commands: Any) -> None:
    execute = _command(
        commands,
        "execute",
        _execute,
        "run the pages that changed, into _build/store",
        "Run the pages whose code, helpers, data or versions changed. ONIONS_DATA "
        f"chooses the images: {CHOICES}. KERAS_BACKEND chooses Keras' backend.",
        "ONIONS_DATA=cifar10 onions execute",
    )
    _add_choices(execute)
    _add_shares(execute)
    execute.add_argument(
        "--check", action="store_true", help="run nothing; exit with 1 if a page is stale"
    )


def _add_status(commands: Any) -> None:
    status = _command(
        commands,
        "status",
        _status,
        "list the pages: fresh or stale, and why",
        "List every page that runs: fresh or stale and why, seconds, device and age of its last "
        "run.",
        "onions status",
    )
    formats = status.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="print it for a program")
    formats.add_argument(
        "--markdown", action="store_true", help="print it with the claims, for a pull request"
    )


def _add_plan(commands: Any) -> None:
    plan = _command(
        commands,
        "plan",
        _plan,
        "deal the stale pages out to several machines",
        "Say which shard runs which stale pages, so that all shards take about as long. On each "
        "machine, with a copy of _build/store, `onions execute --shard i/N` runs one; copying the "
        "machines' _build/store together merges them.",
        "onions plan --shards 3 --json",
    )
    plan.add_argument("--shards", type=_at_least(1), metavar="N", default=1, help="machines (1)")
    plan.add_argument("--json", action="store_true", help="print it for a program")
    _add_choices(plan)


def _add_reference(commands: Any) -> None:
    reference = _command(
        commands,
        "reference",
        _reference,
        "run pages from other seeds, and write down what came out",
        "Run the pages whose front matter says `reference: true` once from each of N other seeds, "
        "and write what they measured and claimed to book/reference/reference_runs.json. Finished "
        "runs are kept in the store.",
        "ONIONS_DATA=cifar10 onions reference --seeds 10",
    )
    reference.set_defaults(profile="full")
    reference.add_argument(
        "--seeds", type=_at_least(2), metavar="N", default=10, help="other seeds (10)"
    )
    _add_unlocked(reference)
    _add_shares(reference)


def _add_doctor(commands: Any) -> None:
    doctor = _command(
        commands,
        "doctor",
        _doctor,
        "hold this build against the reference runs",
        "Name every measure of this build that lies far outside the reference runs, and the likely "
        "cause.",
        "onions doctor --strict",
    )
    doctor.add_argument("--strict", action="store_true", help="exit with 1 if there is one")


def _add_live(commands: Any) -> None:
    live = _command(
        commands,
        "live",
        _live,
        "show the book in a browser, kept up with every edit",
        "Serve the book on this machine. A saved edit shows in about a second; changed code runs "
        "in the background, and the page shows its last outputs until then. Errors stand on the "
        "page and here. Goes on with the data of the last build, unless ONIONS_DATA says another.",
        "onions live --profile smoke",
    )
    live.add_argument(
        "--profile",
        choices=PROFILES,
        default="full",
        help="smoke: changed pages run for one epoch of 512 images first, then as the last build "
        "did (full)",
    )
    live.add_argument("--port", type=int, default=8000, help="(8000; 0 is any that is free)")
    _add_unlocked(live)


def _add_gate(commands: Any) -> None:
    gate = _command(
        commands,
        "gate",
        _gate,
        "tell whether the site may be published",
        "Look through the site in _build/html: it may be published if every page was executed as "
        "it stands, in full, with the data asked for, and every claim held.",
        "onions gate --data cifar10",
    )
    gate.add_argument(
        "--data", choices=("cifar10", "sketches"), default="cifar10", help="(cifar10)"
    )


def _add_store(commands: Any) -> None:
    parser = commands.add_parser(
        "store",
        help="look after the executed pages: prune, verify",
        description="Look after the executed pages in _build/store. Old ones are kept until they "
        "are pruned, so that going back to them costs nothing.",
        epilog="example: onions store prune --days 30",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    prune = actions.add_parser("prune", help="delete what no page uses as it stands")
    prune.add_argument("--days", type=_at_least(0), default=30, help="only if it is older (30)")
    prune.set_defaults(run=_prune)
    actions.add_parser("verify", help="check every entry").set_defaults(run=_verify)


def _add_new(commands: Any) -> None:
    new = _command(
        commands,
        "new",
        _new,
        "add a page, or an exercise to a page",
        "Write a page that keeps the rules, runs and renders as it stands, to be written over, and "
        "put it into _toc.yml: at the end of the optional pages, unless told otherwise. With "
        "--exercise, the page has an exercise with a solution; a page that exists gets one more.",
        "onions new my_topic --after pooling",
    )
    new.add_argument("name", metavar="NAME", help="the page's name, as in my_topic")
    new.add_argument("--exercise", action="store_true", help="with an exercise and its solution")
    place = new.add_mutually_exclusive_group()
    place.add_argument("--after", metavar="PAGE", default="", help="the page that it follows")
    place.add_argument("--part", default="", help="the part of _toc.yml whose last page it becomes")


def _add_check(commands: Any) -> None:
    check = _command(
        commands,
        "check",
        _check,
        "check the pages' rules, without running them",
        "Say which rules the pages break, where, why it matters and how to repair it.",
        "onions check pooling --fix",
    )
    check.add_argument("pages", nargs="*", metavar="PAGE", help="a page's name or path (all)")
    what = check.add_mutually_exclusive_group()
    what.add_argument("--fix", action="store_true", help="repair what needs no author")
    what.add_argument(
        "--explain",
        nargs="?",
        const="all",
        metavar="RULE",
        help="print a rule (all), check nothing",
    )


def _add_diff(commands: Any) -> None:
    diff = _command(
        commands,
        "diff",
        _diff,
        "say what a reviewer must know of two builds",
        "Compare the claims, measures, networks, figures and times of two builds. Each is a "
        "project's folder, a built site, a store, or a git revision of this project, whose own "
        "code then says which entries of the store are its. Ends with 1 if they differ.",
        "onions diff main . --format html --output diff.html",
    )
    diff.add_argument("before", metavar="A", help="a folder or a git revision")
    diff.add_argument("after", metavar="B", help="a folder or a git revision")
    diff.add_argument("--format", choices=("text", "markdown", "html"), default="text")
    diff.add_argument("--output", type=Path, metavar="FILE", help="write it there (print it)")


def _execute(project: Project, options: argparse.Namespace) -> int:
    if options.check:  # against what would run now, not what ran last
        return _list(project, _resolve(options))
    return _run_pages(project, options)


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
        )
    except EnvironmentDiffers as error:
        return _stop(error, 2)
    if report.failed:
        return _stop(f"see above; what failed: {', '.join(report.failed)}.", 3)
    return 0


def _reference(project: Project, options: argparse.Namespace) -> int:
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


def _doctor(project: Project, options: argparse.Namespace) -> int:
    from onions.doctor import findings

    found = list(findings(project, last_build(project)))
    for finding in found:
        print(finding)
    if not found:
        print("Every page agrees with the reference runs.")
    return 1 if found and options.strict else 0


def _gate(project: Project, options: argparse.Namespace) -> int:
    from onions.gate import obstacles

    found = list(obstacles(project, options.data))
    for obstacle in found:
        print(f"{obstacle}", file=sys.stderr)
    if found:
        return _stop("the site may not be published, for what is said above.", 1)
    print("The site may be published.")
    return 0


def _status(project: Project, options: argparse.Namespace) -> int:
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


def _plan(project: Project, options: argparse.Namespace) -> int:
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


def _prune(project: Project, options: argparse.Namespace) -> int:
    store = Store(project.store)
    used = {state.fingerprint for state in states(project, last_build(project))}
    old = [path for path in store.older_than(options.days) if path.stem not in used]
    freed = size(old)
    for path in old:
        path.unlink()
    print(f"Deleted {len(old)} entries ({freed}), kept {_contents(store)}.")
    return 0


def _verify(project: Project, options: argparse.Namespace) -> int:
    store = Store(project.store)
    wrong = list(store.verify())
    for message in wrong:
        print(message, file=sys.stderr)
    print(f"{len(wrong)} of {_contents(store)} are damaged.")
    return 1 if wrong else 0


def _contents(store: Store) -> str:
    entries = store.entries()
    return f"{len(entries)} entries ({size(entries)})"


def _shard(text: str) -> tuple[int, int]:
    part, _, of = text.partition("/")
    if not (part.isdecimal() and of.isdecimal() and 1 <= int(part) <= int(of)):
        raise argparse.ArgumentTypeError("must be as in 2/3: the second of three")
    return int(part), int(of)


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more")
        return int(text)

    return number


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # the standard output is a program's


def _choice() -> str:
    return os.environ.get("ONIONS_DATA") or "auto"


def _interrupt(signal_: int, frame: object) -> None:
    raise KeyboardInterrupt


def _render(project: Project, options: argparse.Namespace) -> int:
    from onions.site import SiteError, render

    try:
        page = render(project)
    except SiteError as error:
        return _stop(error, 1)
    print(f"Open {page.as_uri()}")
    return 0


def _live(project: Project, options: argparse.Namespace) -> int:
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
            return _stop(f"port {options.port} is taken. Choose another: onions live --port 0", 2)
        raise
    return 0


def _bundle(project: Project, options: argparse.Namespace) -> int:
    from onions.browser import NoBrowser
    from onions.bundle import bundle
    from onions.site import SiteError

    try:
        made = bundle(project, _say)
    except SiteError as error:
        return _stop(error, 1)
    except NoBrowser as error:
        return _stop(error, 2)
    for path in made:
        print(f"{path} ({size([path])})")
    return 0


def _new(project: Project, options: argparse.Namespace) -> int:
    from onions.new import NEXT, add_exercise, add_page

    name = options.name
    if options.exercise and (project.book / f"{name}.md").is_file():
        if options.after or options.part:
            return _stop(f"{name} is there already; --after and --part are for a new page", 2)
        label = add_exercise(project, name)
        print(f"Added {label} to book/{name}.md. Count its minutes in `exercises:`, at the top.")
    else:
        _, before = add_page(
            project, name, after=options.after, part=options.part, exercise=options.exercise
        )
        print(f"Made book/{name}.md, in _toc.yml after {before}.")
    print(NEXT.format(name))
    return 0


def _check(project: Project, options: argparse.Namespace) -> int:
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


def _diff(project: Project, options: argparse.Namespace) -> int:
    from onions.builds import BuildError, find  # render does without Pillow
    from onions.diff import differ
    from onions.report import report

    try:
        before, after = find(options.before, project), find(options.after, project)
    except (BuildError, StoreError) as error:
        return _stop(error, 2)
    found = differ(before, after, Reference(project))
    text = report(found, options.format)
    if options.output:
        write_whole(options.output, text)
    else:
        print(text, end="")
    return 1 if found else 0


def _stop(reason: object, status: int) -> int:
    print(f"onions: {reason}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
