"""What is counted: each process has counters of its own, and whoever asks adds them up.

A process keeps its counters in a file of its own, mapped into memory: counting is an addition, survives a kill -9 and
needs no thread. The kernel drops a dead process's lock on its file; the next process that starts goes on in that file,
so that sums never go down: nothing is copied, which a kill -9 could break off half-way. Until `open_shared` was called,
or where no file can be had, counts stay in the process itself and nobody else sees them.
"""

import contextlib
import logging
import mmap
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from idp import files

SUFFIX = ".counts"
SLOTS = 4096  # series a process may have: routes times statuses, and the buckets of each route
_BYTES = SLOTS * 8
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds

# Series that go up and down: what a dead process held counts no more.
PASSWORD_HASHES = "idp_password_hashes_in_progress"  # noqa: S105 - a series' name
GAUGES = frozenset({PASSWORD_HASHES})
PASSWORD_HASHES_REFUSED = "idp_password_hashes_refused_total"  # noqa: S105

log = logging.getLogger(__name__)


def audit_events(event: str) -> str:
    """Return the series that counts one event of the audit."""
    return f'idp_audit_events_total{{event="{event}"}}'


def throttled(kind: str) -> str:
    """Return the series that counts what the buckets of one kind did not admit."""
    return f'idp_throttled_total{{bucket="{kind}"}}'


class Counters:
    """The counters of one process, under the names of their series as Prometheus writes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[str, int] = {}
        self._values = memoryview(bytearray(_BYTES)).cast("d")
        self._file: int | None = None
        self.folder: Path | None = None

    def add(self, series: str, amount: float = 1.0) -> None:
        """Add to a series; a new one begins at nothing.

        Args:
            series: such as `idp_requests_total{route="/",status="200"}`.
            amount: what to add; less than nothing for gauges only.
        """
        self.add_all((series, amount))

    def add_all(self, *amounts: tuple[str, float]) -> None:
        """Add to several series at once."""
        with self._lock:
            for series, amount in amounts:
                slot = self._slots.get(series)
                if slot is None:
                    slot = self._new_slot(series)
                self._values[slot] += amount

    def open_shared(self, folder: Path, process: str) -> None:
        """Let the other processes of this machine see these counters.

        Args:
            folder: one for all processes of an instance; made when it is missing.
            process: tells this one from all others that ever were.
        """
        if folder == self.folder:
            return
        try:
            folder.mkdir(0o700, exist_ok=True)
            with files.locked(folder):
                path = folder / f"{process}{SUFFIX}"
                dead = next((each for each in folder.glob(f"*{SUFFIX}") if not files.is_held(each)), None)
                if dead is not None:
                    dead.rename(path)
                self._map(path, is_new=dead is None)
        except OSError as fault:
            log.warning("%s cannot hold counters (%s): /metrics has nothing to tell.", folder, fault.strerror)
            return
        self.folder = folder

    def _map(self, path: Path, *, is_new: bool) -> None:
        """Go on in a file, on top of what a dead process counted in it.

        Its space is allocated at once: a page that finds the disk full would end the process.
        """
        handle = files.private(path, os.O_RDWR | os.O_APPEND | (os.O_CREAT | os.O_EXCL if is_new else 0))
        try:
            files.hold(handle)
            while (missing := _BYTES - os.fstat(handle).st_size) > 0:
                os.write(handle, bytes(missing))
            content = path.read_bytes()
            os.ftruncate(handle, max(_BYTES, content.rfind(b"\n", _BYTES) + 1))  # the last name may have no end
            values = memoryview(mmap.mmap(handle, _BYTES)).cast("d")
        except OSError:
            os.close(handle)
            if is_new:
                path.unlink(missing_ok=True)
            raise
        slots = {series: slot for slot, series in enumerate(_names(content))}
        values[len(slots) :] = memoryview(bytes(_BYTES)).cast("d")[len(slots) :]
        for gauge in GAUGES & slots.keys():
            values[slots[gauge]] = 0.0
        with self._lock:
            counted = [(series, self._values[slot]) for series, slot in self._slots.items()]
            self._values, self._file, self._slots = values, handle, slots
        self.add_all(*counted)

    def _new_slot(self, series: str) -> int:
        """Give a series its place. The last one takes whatever has none."""
        slot = len(self._slots)
        if slot >= SLOTS - 1:
            return SLOTS - 1
        if self._file is not None:
            try:
                os.write(self._file, f"{series}\n".encode())
            except OSError:  # a full disk: to be tried again with the next one
                return SLOTS - 1
        self._slots[series] = slot
        return slot


counters = Counters()
add, add_all = counters.add, counters.add_all


@contextlib.contextmanager
def in_progress(series: str) -> Iterator[None]:
    """Count something for as long as it lasts.

    Args:
        series: one of `GAUGES`.
    """
    add(series)
    try:
        yield
    finally:
        add(series, -1.0)


def read_all(folder: Path) -> tuple[Mapping[str, float], int]:
    """Return the sums over all processes of this machine, and how many of them are alive.

    Args:
        folder: where they keep their counters.

    Raises:
        OSError: it cannot be read.
    """
    sums: dict[str, float] = {}
    living = 0
    with files.locked(folder, is_shared=True):
        for path in folder.glob(f"*{SUFFIX}"):
            is_alive = files.is_held(path)
            living += is_alive
            for series, amount in _read(path):
                if is_alive or series not in GAUGES:
                    sums[series] = sums.get(series, 0.0) + amount
    return sums, living


def _read(path: Path) -> Iterator[tuple[str, float]]:
    """Read a file: the values first, then their names."""
    content = path.read_bytes()
    if len(content) < _BYTES:
        return
    yield from zip(_names(content), memoryview(content)[:_BYTES].cast("d"), strict=False)


def _names(content: bytes) -> list[str]:
    """Return the names of a file's series, a line each; a last line without its end is none yet."""
    return content[_BYTES:].decode("utf-8", "replace").split("\n")[:-1]
