"""From a command that has checked everything to a server that remembers nothing of it."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

# glibc keeps freed memory for each thread and each size; these bounds spare some MiB in each process. With a lower one
# SQLite's own pieces of 64 to 90 KiB would be mapped and unmapped at each write: a twentieth of a login's CPU time.
# Whoever sets them otherwise is heeded. Other systems' libraries know none of them.
ALLOCATOR: Mapping[str, str] = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "262144",
    "MALLOC_TRIM_THRESHOLD_": "262144",
}


class Serving(NamedTuple):
    """What the server has to know; the settings are read by the processes that it starts.

    Attributes:
        host: the address to listen at, or a name of it.
        port: to listen at.
        workers: how many web processes.
        has_worker: whether a worker runs beside them.
        drain: seconds between being told to stop and stopping, in which `/readyz` says so.
        log_level: the setting.
        log_format: the setting.
    """

    host: str
    port: int
    workers: int
    has_worker: bool
    drain: int
    log_level: str
    log_format: str

    def words(self) -> list[str]:
        """Return it as words for a command line, to be read in `ps` as well."""
        return [f"{name}={int(value) if isinstance(value, bool) else value}" for name, value in self._asdict().items()]

    @classmethod
    def of_words(cls, words: Sequence[str]) -> "Serving":
        """Read what `words` wrote."""
        said = dict(word.split("=", 1) for word in words)
        return cls(
            host=said["host"],
            port=int(said["port"]),
            workers=int(said["workers"]),
            has_worker=said["has_worker"] == "1",
            drain=int(said["drain"]),
            log_level=said["log_level"],
            log_format=said["log_format"],
        )


def become_server(serving: Serving) -> NoReturn:
    """Go on as the server, under the same process id: whatever this process has loaded so far is gone.

    On Windows, where no process becomes another program, it keeps all that.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform == "win32":
        from idp.serving.server import serve  # noqa: PLC0415 - which no other process of ours is to load

        serve(serving)
        sys.exit()
    command = interpreter("idp.serving", *serving.words())
    os.execve(command[0], command, {**ALLOCATOR, **os.environ})  # noqa: S606 - without a shell


def interpreter(module: str, *words: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours in a process that lives long.

    Where this process was not started by `python -m`, the folder that it happens to be in holds no modules for that
    one either. Without the columns of each instruction, of use to tracebacks only, code is smaller.
    """
    is_safe = sys.flags.safe_path or not sys.argv[0].endswith("__main__.py")
    return (sys.executable, "-X", "no_debug_ranges", *(("-P",) if is_safe else ()), "-m", module, *words)
