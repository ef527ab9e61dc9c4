"""How far a long task has come: a bar at a terminal, and elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from idp.cli import output

EVERY = 10.0  # seconds between two lines


@contextmanager
def shown(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show progress on stderr while the block runs; give the block a function that says how many more are done.

    Args:
        what: what is counted, such as `accounts`.
        total: how many there are.
    """
    if sys.stderr.isatty():
        with click.progressbar(
            length=total, label=what.capitalize(), show_pos=True, file=sys.stderr, update_min_steps=100
        ) as bar:
            yield bar.update
        return
    done = 0
    told_at = time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, told_at
        done += count
        if time.monotonic() - told_at >= EVERY:
            told_at = time.monotonic()
            output.note(f"{done:,} of {total:,} {what} ...")

    yield advance
