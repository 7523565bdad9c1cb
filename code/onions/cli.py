"""The entry point of `onions`: run a command, and turn its result into an exit code.

0: success.
1: a page is stale, was never executed or breaks a rule, a store entry is damaged, the site did not
build or may not be published, two builds differ, or `doctor --strict` found a deviation.
2: wrong usage, or an unusable page, data source, lock, environment or disk.
3: a page failed.
130: interrupted.
"""

import gc
import os
import signal
import sys
from typing import NoReturn

import click

from onions.book.page import PageError
from onions.commands import onions, stop
from onions.images.batches import DataError
from onions.store.build import StoreError
from onions.store.lockfile import EnvironmentMismatch, LockError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)  # Ctrl-C; how a machine stops a process


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    if os.name == "nt":
        return stop("Windows is not supported. Use Linux in WSL: https://aka.ms/wsl", 2)
    gc.set_threshold(100_000)  # imports make many objects and little garbage
    for number in STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as in the background jobs of a script
            signal.signal(number, _interrupt)
    try:
        return int(onions.main(arguments, prog_name="onions", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (DataError, EnvironmentMismatch, LockError, PageError, OSError) as error:
        return stop(error, 2)
    except StoreError as error:
        return stop(error, 1)
    except (click.Abort, KeyboardInterrupt):
        return stop("Interrupted. Finished pages are kept. To resume, run the command again.", 130)
    finally:
        gc.freeze()  # Python would search all objects once more when it ends


def _interrupt(number: int, frame: object) -> NoReturn:
    """Interrupt the command. Ignore later signals, so that it can stop its kernels undisturbed."""
    for other in STOP_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
