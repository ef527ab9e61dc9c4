"""How far a long task has come: a bar at a terminal, and elsewhere a line now and then."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from idp import clock
from idp.cli import output

EVERY = 10.0  # seconds between two lines
LOOK_EVERY = 0.5  # seconds between two looks at a file
MEGABYTE = 1 << 20


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
    told_at = clock.ticks()

    def advance(count: int) -> None:
        nonlocal done, told_at
        done += count
        if clock.ticks() - told_at >= EVERY:
            told_at = clock.ticks()
            output.note(f"{done:,} of {total:,} {what} ...")

    yield advance


@contextmanager
def of_file(target: Path, total: int) -> Iterator[None]:
    """Show how a file grows that the block writes by somebody else's means.

    Args:
        target: the file; need not exist yet.
        total: bytes that it will have, more or less.
    """
    is_written = threading.Event()

    def watch(advance: Callable[[int], None]) -> None:
        seen = 0
        while not is_written.wait(LOOK_EVERY):
            size = target.stat().st_size // MEGABYTE if target.exists() else 0
            advance(max(0, size - seen))
            seen = max(size, seen)

    with shown("megabytes", total // MEGABYTE) as advance:
        watcher = threading.Thread(target=watch, args=(advance,), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            is_written.set()
            watcher.join()
