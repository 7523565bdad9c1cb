"""The command line, ``onions COMMAND``.

Exit codes: 0 success; 1 a page is stale or breaks a rule, a store entry is damaged, the site did
not build or may not be published, or two builds differ; 2 wrong usage, data, lock, environment or
disk, before anything ran; 3 a page failed; 130 interrupted.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from inspect import getdoc
from pathlib import Path
from typing import Any

from onions import commands
from onions.book.page import PageError
from onions.book.project import Project
from onions.commands import stop
from onions.images.batches import DataError
from onions.live import PORT
from onions.store.build import StoreError
from onions.store.lockfile import LockError

PROFILES = ("full", "smoke")
Run = Callable[[Project, argparse.Namespace], int]
EXAMPLES = """\
examples:
  onions execute                                 run the pages that changed, in parallel
  onions execute pooling                         run one page, if it changed
  onions execute --shard 2/3                     run the second of three shards
  onions status                                  list the stale pages, and why they are stale
  onions plan --shards 3                         divide the stale pages among three machines
  onions store prune --days 30                   delete old entries of the store
  ONIONS_DATA=sketches onions execute --profile smoke
  onions render                                  make the site from the store
  onions live                                    show the book in a browser, with every edit
  onions bundle                                  make a PDF, an EPUB and a zip of the site
  onions reference --seeds 10                    run the reference runs, from ten other seeds
  onions doctor                                  compare this build with the reference runs
  onions gate                                    tell whether the site may be published
  onions new my_topic --exercise                 add a page
  onions check pooling                           check a page's rules
  onions diff main .                             compare two builds
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if getattr(options, "profile", "full") not in PROFILES:  # argparse does not check defaults
        parser.error(f"ONIONS_PROFILE: invalid choice: {options.profile!r}")
    project = Project(options.project.resolve())
    signal.signal(signal.SIGTERM, _interrupt)  # leaves no kernel behind, like Ctrl-C
    try:
        return int(options.run(project, options))
    except (DataError, LockError, PageError, OSError) as error:
        return stop(error, 2)
    except StoreError as error:
        return stop(error, 1)
    except KeyboardInterrupt:
        return stop("Interrupted. Finished pages are kept; the same command resumes.", 130)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="onions",
        description="Execute and render Networks are like onions.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--project", type=Path, default=Path(), help="the book's folder (here)")
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_execute(parsers)
    _add_status(parsers)
    _add_plan(parsers)
    _add_store(parsers)
    _add_reference(parsers)
    _add_doctor(parsers)
    _add_gate(parsers)
    _command(parsers, commands.run_render, "onions render")
    _add_live(parsers)
    _command(parsers, commands.run_bundle, "onions bundle")
    _add_new(parsers)
    _add_check(parsers)
    _add_diff(parsers)
    return parser


def _command(parsers: Any, run: Run, example: str) -> argparse.ArgumentParser:
    """Add a command, named after its function and described by the function's docstring."""
    description = str(getdoc(run))
    added: argparse.ArgumentParser = parsers.add_parser(
        run.__name__.removeprefix("run_"),
        help=description.partition("\n")[0],
        description=description,
        epilog=f"example: {example}",
    )
    added.set_defaults(run=run)
    return added


def _add_choices(command: argparse.ArgumentParser) -> None:
    """Add the profile."""
    command.add_argument(
        "--profile",
        choices=PROFILES,
        default=os.environ.get("ONIONS_PROFILE") or "full",
        help="smoke: every training is cut to one epoch of 512 images (default: full)",
    )


def _add_shares(command: argparse.ArgumentParser) -> None:
    """Add how many pages run at once, and which part of them on this machine."""
    command.add_argument(
        "--jobs", type=_at_least(1), metavar="N", help="pages at once (one for each GPU or core)"
    )
    command.add_argument(
        "--shard", type=_shard, metavar="i/N", default=(1, 1), help="run one part of N; see plan"
    )


def _add_execute(parsers: Any) -> None:
    execute = _command(parsers, commands.run_execute, "ONIONS_DATA=cifar10 onions execute")
    execute.add_argument("pages", nargs="*", metavar="PAGE", help="run no others (all)")
    _add_choices(execute)
    _add_shares(execute)
    execute.add_argument(
        "--check", action="store_true", help="run nothing; exit with 1 if a page is stale"
    )


def _add_status(parsers: Any) -> None:
    status = _command(parsers, commands.run_status, "onions status")
    formats = status.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="print it for a program")
    formats.add_argument(
        "--markdown", action="store_true", help="print it with the claims, for a pull request"
    )


def _add_plan(parsers: Any) -> None:
    plan = _command(parsers, commands.run_plan, "onions plan --shards 3 --json")
    plan.add_argument("--shards", type=_at_least(1), metavar="N", default=1, help="machines (1)")
    plan.add_argument("--json", action="store_true", help="print it for a program")
    _add_choices(plan)


def _add_reference(parsers: Any) -> None:
    reference = _command(
        parsers, commands.run_reference, "ONIONS_DATA=cifar10 onions reference --seeds 10"
    )
    reference.set_defaults(profile="full", pages=())
    reference.add_argument(
        "--seeds", type=_at_least(2), metavar="N", default=10, help="other seeds (10)"
    )
    _add_shares(reference)


def _add_doctor(parsers: Any) -> None:
    doctor = _command(parsers, commands.run_doctor, "onions doctor --strict")
    doctor.add_argument("--strict", action="store_true", help="exit with 1 if there is one")


def _add_live(parsers: Any) -> None:
    live = _command(parsers, commands.run_live, "onions live --profile smoke")
    live.add_argument(
        "--profile",
        choices=PROFILES,
        default="full",
        help="smoke: changed pages run for one epoch of 512 images first, then as the last build "
        "did (full)",
    )
    live.add_argument("--port", type=int, default=PORT, help=f"({PORT}; 0: any free port)")


def _add_gate(parsers: Any) -> None:
    gate = _command(parsers, commands.run_gate, "onions gate --data cifar10")
    gate.add_argument(
        "--data", choices=("cifar10", "sketches"), default="cifar10", help="(cifar10)"
    )


def _add_store(parsers: Any) -> None:
    store = parsers.add_parser(
        "store",
        help="Prune or verify the executed pages.",
        description="Prune or verify the executed pages in _build/store. Old entries are kept "
        "until they are pruned, so going back to an earlier text runs nothing.",
        epilog="example: onions store prune --days 30",
    )
    actions = store.add_subparsers(required=True, metavar="ACTION")
    prune = _command(actions, commands.run_prune, "onions store prune --days 30")
    prune.add_argument("--days", type=_at_least(0), default=30, help="only if it is older (30)")
    _command(actions, commands.run_verify, "onions store verify")


def _add_new(parsers: Any) -> None:
    new = _command(parsers, commands.run_new, "onions new my_topic --after pooling")
    new.add_argument("name", metavar="NAME", help="the page's name, as in my_topic")
    new.add_argument("--exercise", action="store_true", help="with an exercise and its solution")
    new.add_argument("--after", metavar="PAGE", default="", help="the page that it follows")


def _add_check(parsers: Any) -> None:
    check = _command(parsers, commands.run_check, "onions check pooling --fix")
    check.add_argument("pages", nargs="*", metavar="PAGE", help="a page's name or path (all)")
    action = check.add_mutually_exclusive_group()
    action.add_argument("--fix", action="store_true", help="repair what needs no author")
    action.add_argument(
        "--explain",
        nargs="?",
        const="all",
        metavar="RULE",
        help="print a rule (all), check nothing",
    )


def _add_diff(parsers: Any) -> None:
    diff = _command(parsers, commands.run_diff, "onions diff main . --format html > diff.html")
    diff.add_argument("before", metavar="A", help="a folder or a git revision")
    diff.add_argument("after", metavar="B", help="a folder or a git revision")
    diff.add_argument("--format", choices=("text", "markdown", "html"), default="text")


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


def _interrupt(signal_: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
