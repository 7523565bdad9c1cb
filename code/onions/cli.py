"""The command line: ``onions execute``, ``onions status``, ``onions render``, ``onions check``.

Exit codes: 0 all well; 1 a page is stale or breaks a rule, or the site did not build; 2 wrong
usage, data, lock or environment, before anything ran; 3 a page failed; 130 interrupted.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from onions.batches import DataError
from onions.data import CHOICES
from onions.fingerprint import Build, LockError
from onions.pages import PageError, Project

PROFILES = ("full", "smoke")
Run = Callable[[Project, argparse.Namespace], int]
EXAMPLES = """\
examples:
  onions execute                                 run what changed, side by side
  onions status                                  what is stale, and why
  ONIONS_DATA=sketches onions execute --profile smoke
  onions render                                  make the site from the store
  onions check                                   check the pages' rules
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
    except (DataError, LockError, PageError) as error:
        return _stop(error, 2)
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

    def command(
        name: str, run: Run, what: str, description: str, example: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, help=what, description=description, epilog=f"example: {example}"
        )
        added.set_defaults(run=run)
        return added

    execute = command(
        "execute",
        _execute,
        "run the pages that changed, into _build/store",
        "Run the pages whose code, helpers, data or versions changed. ONIONS_DATA "
        f"chooses the images: {CHOICES}. KERAS_BACKEND chooses Keras' backend.",
        "ONIONS_DATA=cifar10 onions execute",
    )
    _add_execute_options(execute)
    command(
        "status",
        _status,
        "list the pages: fresh or stale, and why",
        "List every page that runs: fresh or stale and why, seconds, device and age of its last "
        "run.",
        "onions status",
    )
    command(
        "render",
        _render,
        "make the site in _build/html from the store",
        "Make the site from the executed pages; needs no TensorFlow and no kernel.",
        "onions render",
    )
    command(
        "check",
        _check,
        "check the pages' rules, without running them",
        "Check every page against the rules in code/onions/rules.py.",
        "onions check",
    )
    return parser


def _add_execute_options(execute: argparse.ArgumentParser) -> None:
    execute.add_argument(
        "--profile",
        choices=PROFILES,
        default=os.environ.get("ONIONS_PROFILE") or "full",
        help="smoke: every training is cut to one epoch of 512 images (default: full)",
    )
    execute.add_argument(
        "--unlocked", action="store_true", help="run with the versions that are installed"
    )
    execute.add_argument(
        "--jobs", type=_at_least_one, metavar="N", help="pages at once (one for each GPU or core)"
    )
    execute.add_argument(
        "--check", action="store_true", help="run nothing; exit with 1 if a page is stale"
    )


def _execute(project: Project, options: argparse.Namespace) -> int:
    from onions.execute import EnvironmentDiffers, execute, resolve  # render does without nbclient
    from onions.progress import plain_console

    choice = os.environ.get("ONIONS_DATA") or "auto"
    if options.check:  # against what would run now, not what ran last
        build = resolve(choice, options.profile, options.unlocked, plain_console())
        return _list(project, build)
    try:
        report = execute(
            project,
            choice=choice,
            profile=options.profile,
            unlocked=options.unlocked,
            jobs=options.jobs,
        )
    except EnvironmentDiffers as error:
        return _stop(error, 2)
    for name, message in report.failed.items():
        print(f"\n{name} failed\n{message}", file=sys.stderr)
    return 3 if report.failed else 0


def _status(project: Project, options: argparse.Namespace) -> int:
    try:
        build = Build.read(project)
    except (FileNotFoundError, ValueError):
        return _stop("nothing is executed yet. Run `onions execute`.", 1)
    return _list(project, build)


def _list(project: Project, build: Build) -> int:
    """List the pages; return 1 if one is stale."""
    from onions.status import age, states

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


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


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


def _check(project: Project, options: argparse.Namespace) -> int:
    from onions.rules import check

    found = 0
    for page in project.pages():
        _ = page.lesson, page.title  # raise PageError
        for line, rule, message in check(page):
            print(f"{page.path}:{line}: {rule}: {message}")
            found += 1
    print(f"{found} findings" if found else "every page keeps the rules")
    return 1 if found else 0


def _stop(reason: object, status: int) -> int:
    print(f"onions: {reason}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
