"""Waiting for what other threads and processes do."""

import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from bench.loaded import Running
from idp.settings import Settings
from idp.storage import database

PATIENCE = 120  # seconds; what does not come is a fault, what comes late is only late
LOOK_EVERY = 0.05

Found = TypeVar("Found")


def until(look: Callable[[], Found], complaint: str = "it did not come to that") -> Found:
    """Wait until something holds.

    Args:
        look: returns something true as soon as it does.
        complaint: what to say if it never does.

    Returns:
        What was found.
    """
    give_up_at = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < give_up_at, complaint
        time.sleep(LOOK_EVERY)
    return found


def until_it_answers(url: str, process: subprocess.Popen[bytes] | Running, log: Path) -> None:
    """Wait until a URL does.

    Args:
        url: on this machine.
        process: serves there; should it end, that is told.
        log: what it says meanwhile.
    """

    def look() -> bool:
        assert process.poll() is None, log.read_text("utf-8")
        with suppress(OSError), urllib.request.urlopen(url, timeout=10):
            return True
        return False

    until(look, f"{url} did not come up")


def at_that_moment(
    settings: Settings,
    first: Callable[[Session], Any],
    second: Callable[[Session], Any],
    *,
    then: Callable[[Session], Any] | None = None,
) -> Any:
    """Begin the second one while the first one is not committed, which it has to wait for; returns what it returned.

    Args:
        settings: name the database.
        first: begins its transaction.
        second: waits for it, in a transaction of its own.
        then: how the first one goes on, meanwhile.
    """
    done: list[Any] = []

    def run() -> None:
        with database.open_session(settings) as own:
            done.append(second(own))

    thread = threading.Thread(target=run)
    with database.open_session(settings) as own:
        first(own)
        thread.start()
        thread.join(0.3)
        assert done == []
        if then is not None:
            then(own)
    thread.join()
    return done[0]
