"""Other people's programs, each as a process group of its own: nothing of theirs outlives the test."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.journeys.conftest import wait_for

GRACE = 10  # seconds to end by itself


@contextmanager
def running(
    command: Sequence[str], folder: Path, url: str, environment: Mapping[str, str] | None = None
) -> Iterator[Path]:
    """Run a program until the end of the block.

    Args:
        command: what to run; its warnings are its own affair.
        folder: where it runs, and where its log goes.
        url: answers with 200 as soon as the program is ready.
        environment: what it sees beside what every program does.

    Yields:
        Its log.
    """
    log = folder / "log"
    inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, cwd=folder, env={**inherited, **(environment or {})}, stdout=written, stderr=written,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        wait_for(url, process, log)
        yield log
    finally:
        _end(process)
        sys.stdout.write(log.read_text("utf-8", "replace"))  # shown when a test fails


def _end(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
