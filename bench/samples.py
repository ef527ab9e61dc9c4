"""What a running provider takes of the machine: memory, open files and processor time from /proc; files' sizes."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from instance import AWAY, Instance

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One process at one moment.

    Attributes:
        resident: memory in KiB, pages that are shared counted in full (RSS).
        proportional: the same with shared pages divided among those who share them (PSS).
        files: open file descriptors.
        seconds: processor time so far, of itself.
    """

    resident: int
    proportional: int
    files: int
    seconds: float


def read_process(pid: int) -> Process | None:
    """Read one process; None if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        files = len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, ValueError, IndexError):
        return None
    return Process(sizes.get("Rss", 0), sizes.get("Pss", 0), files, (int(fields[11]) + int(fields[12])) / TICK)


def read_processes(instance: Instance) -> Mapping[str, Process]:
    """Read the provider's processes by name: main, web 1, web 2, worker."""
    found = {}
    for role, pids in instance.processes().items():
        for number, pid in enumerate(sorted(pids), 1):
            if process := read_process(pid):
                found[role if len(pids) == 1 else f"{role} {number}"] = process
    return found


def read_files(instance: Instance) -> Mapping[str, float]:
    """Return the sizes of SQLite's files in MiB."""
    found = {}
    for name, suffix in (("database", ""), ("log", "-wal")):
        with contextlib.suppress(OSError):
            path = instance.database_file
            found[name] = path.with_name(path.name + suffix).stat().st_size / 2**20
    return found


def read_rows(instance: Instance) -> Mapping[str, int]:
    """Return how many rows wait for the worker, or hold somebody back."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{instance.database_file}?mode=ro", uri=True, timeout=5)) as db,
    ):
        counts = {
            "throttles": "SELECT count(*) FROM throttle",
            "mails": "SELECT count(*) FROM mail_message WHERE state = 'waiting'",
        }
        return {name: db.execute(statement).fetchone()[0] for name, statement in counts.items()}
    return {}


def read_metric(instance: Instance, token: str, name: str) -> float | None:
    """Return the sum of a metric's series, or None when the provider does not answer.

    Args:
        token: the metrics token.
        name: the metric's, without labels.
    """
    with contextlib.suppress(*AWAY):
        answer = requests.get(f"{instance.issuer}/metrics", headers={"Authorization": f"Bearer {token}"}, timeout=10)
        if answer.status_code == 200:
            return sum(value for found, value in _series(answer.text) if found.partition("{")[0] == name)
    return None


def _series(text: str) -> Iterator[tuple[str, float]]:
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            yield name, float(value)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return how fast something grows, by least squares: units of y for each of x."""
    count = len(points)
    if count < 2:
        return 0.0
    middle_x, middle_y = sum(x for x, _ in points) / count, sum(y for _, y in points) / count
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that so many of the others do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
