"""Other people's programs, each as a process group of its own: nothing of theirs outlives the test."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.waiting import until_it_answers

GRACE = 10  # seconds to end by itself
WHOLE_CONVERSATION = 180  # seconds


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
    with log.open("wb") as written:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(environment or {})}, stdout=written, stderr=written,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        until_it_answers(url, process, log)
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


def converse(
    command: Sequence[str], folder: Path, answer: Callable[[str], str], environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a program that prints questions, reads an answer to each, and in the end prints what came of it.

    Args:
        command: what to run.
        folder: where it runs.
        answer: does what a question asks, such as visiting a URL.
        environment: what it sees beside what every program does.

    Returns:
        The last line, which is a JSON object; questions are strings.
    """
    with subprocess.Popen(
        command, cwd=folder, env={**os.environ, **(environment or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        guillotine = threading.Timer(WHOLE_CONVERSATION, process.kill)
        guillotine.start()
        try:
            told: Any = ""
            while isinstance(told, str):
                line = process.stdout.readline()
                assert line, process.stderr.read()
                told = json.loads(line)
                if isinstance(told, str):
                    process.stdin.write(answer(told) + "\n")
                    process.stdin.flush()
        finally:
            guillotine.cancel()
            process.kill()
    return dict(told)
