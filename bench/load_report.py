"""What `load.py` has measured: a line for each ten seconds, the plot, and the verdict."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mixed_load import names
from plots import Panel, Point, Series, draw
from samples import quantile, slope

EVERY = 10  # seconds between two samples
THREADS = 48  # things under way at once, at most; what is due meanwhile waits, and its time counts
JUDGED_FROM = 595  # seconds: what takes less is a look, and its memory and latency are told, not judged
# What the verdict allows.
MEMORY_GROWTH = 2.0  # MiB in ten minutes, all processes together, in the second half
LATENCY_GROWTH = 1.5  # the last third's median against the first third's
TIMES_JUDGED = 20  # in a third, at least: what is rarer is no median
FILES_GROWTH = 20  # open file descriptors
LOG_MOST = 64.0  # MiB of SQLite's log


@dataclass
class Sample:
    """Ten seconds.

    Attributes:
        at: seconds since the load began.
        due: how many things should have begun.
        latencies: milliseconds from when each was due to its end, by what it was.
        waiting: things that are due and have not begun.
        memory: PSS in MiB by process.
        resident: RSS in MiB by process.
        files: open file descriptors of all processes.
        sizes: MiB of the database's files.
        rows: mails that wait, throttles.
        cpu: cores that the provider kept busy.
    """

    at: float
    due: int
    latencies: Mapping[str, Sequence[float]]
    waiting: int
    memory: Mapping[str, float]
    resident: Mapping[str, float]
    files: int
    sizes: Mapping[str, float]
    rows: Mapping[str, int]
    cpu: float

    def as_json(self) -> dict[str, object]:
        """Return it for a file, latencies as quantiles."""
        quantiles = {
            name: {"count": len(found), "p50": quantile(found, 0.5), "p99": quantile(found, 0.99)}
            for name, found in self.latencies.items()
        }
        return {**self.__dict__, "latencies": quantiles}


@dataclass(frozen=True)
class Counted:
    """How many things were done, were answered wrong, and were not answered."""

    done: int
    wrong: int
    failed: int


@dataclass(frozen=True)
class Finding:
    """One part of the verdict."""

    is_good: bool
    told: str


def judge(samples: Sequence[Sample], counted: Counted) -> list[Finding]:
    """Say whether all stayed as it was."""
    half = samples[len(samples) // 2 :]
    is_short = samples[-1].at < JUDGED_FROM  # caches fill still
    growth = 600 * slope([(each.at, sum(each.memory.values())) for each in half])
    total = sum(samples[-1].memory.values())
    findings = [
        Finding(not counted.wrong, f"{counted.wrong} wrong answers; {counted.done} things done"),
        Finding(not counted.failed, f"{counted.failed} without an answer, or with one of 500 and above"),
        Finding(samples[-1].waiting < THREADS, f"{samples[-1].waiting} things wait at the end"),
        Finding(
            growth <= MEMORY_GROWTH or is_short,
            f"memory (PSS of all processes) is {total:.1f} MiB and grows by {growth:.2f} MiB in ten minutes over the "
            f"second half (at most {MEMORY_GROWTH}{', not judged in so short a run' if is_short else ''})",
        ),
        Finding(
            # Medians: what leaks stays open, and what a moment's burst opens does not.
            (files := _files(half) - _files(samples[: len(half)])) <= FILES_GROWTH,
            f"open files: {samples[-1].files}, {files:+.0f} in the median against the first half",
        ),
        Finding(
            (most := max(each.sizes.get("log", 0) for each in samples)) <= LOG_MOST,
            f"SQLite's log is {most:.1f} MiB at most",
        ),
        Finding(max(each.rows.get("mails", 0) for each in half) < 200, f"mails that wait: {samples[-1].rows}"),
    ]
    third = max(1, len(samples) // 3)
    for name in names():
        for share, word in ((0.5, "p50"), (0.99, "p99")):
            first = _typical(samples[:third], name, share)
            last = _typical(samples[-third:], name, share)
            if not first or not last:
                continue
            is_flat = last <= LATENCY_GROWTH * first or last - first < 5 or is_short
            if word == "p50" or not is_flat:
                # A p99 of ten seconds is one request: its median over a third is told, and judged where it doubles.
                good = is_flat if word == "p50" else last <= 2 * first
                findings.append(
                    Finding(good, f"{name}: {word} {first:.1f} ms in the first third, {last:.1f} in the last")
                )
    return findings


def _files(samples: Sequence[Sample]) -> float:
    return statistics.median(each.files for each in samples)


def _typical(samples: Sequence[Sample], name: str, share: float) -> float:
    found = [quantile(each.latencies[name], share) for each in samples if each.latencies.get(name)]
    count = sum(len(each.latencies.get(name, ())) for each in samples)
    return statistics.median(found) if count >= TIMES_JUDGED else 0.0


def plot(path: Path, samples: Sequence[Sample], title: str) -> None:
    """Draw the samples."""

    def line(name: str, read: Callable[[Sample], float]) -> Series:
        points: list[Point] = [(each.at / 60, read(each)) for each in samples]
        return Series(name, points)

    def latency(share: float) -> list[Series]:
        return [
            line(name, lambda each, n=name: quantile(each.latencies.get(n, ()), share) or float("nan"))
            for name in names()
        ]

    def memory(name: str) -> Series:
        return line(name, lambda each: each.memory.get(name, math.nan))

    def size(name: str) -> Series:
        return line(name, lambda each: each.sizes.get(name, 0.0))

    draw(
        path,
        title,
        "minutes",
        [
            Panel("Done", "a second", [line("all", lambda each: sum(map(len, each.latencies.values())) / EVERY)]),
            Panel("Latency, median", "ms", latency(0.5), is_logarithmic=True),
            Panel("Latency, 99th percentile", "ms", latency(0.99), is_logarithmic=True),
            Panel("Memory (PSS)", "MiB", [memory(name) for name in samples[-1].memory]),
            Panel("Files", "MiB", [size("database"), size("log")]),
            Panel("Processor", "cores", [line("provider", lambda each: each.cpu)]),
            Panel(
                "Rows and open files",
                "count",
                [
                    line("mails that wait", lambda each: each.rows.get("mails", 0)),
                    line("throttles", lambda each: each.rows.get("throttles", 0)),
                    line("open files", lambda each: each.files),
                ],
            ),
        ],
    )


def summary(sample: Sample) -> str:
    """Return a line about ten seconds."""

    def quantiles(name: str) -> str:
        found = sample.latencies.get(name, ())
        return f"{name} {quantile(found, 0.5):.0f}/{quantile(found, 0.99):.0f}"

    done = sum(map(len, sample.latencies.values())) / EVERY
    return (
        f"{sample.at / 60:5.1f} min  {done:6.1f}/s  {sum(sample.memory.values()):6.1f} MiB  {sample.cpu:4.2f} cores  "
        f"{sample.files:4d} files  {sample.sizes.get('log', 0):5.1f} MiB log  {sample.waiting:3d} wait  "
        f"p50/p99 ms: {', '.join(quantiles(name) for name in names()[:5])}"
    )
