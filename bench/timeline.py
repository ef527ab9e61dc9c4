"""What was answered when, and what was broken meanwhile: counts for each second, and a verdict."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

KINDS = ("ok", "503", "lost")  # answered; told to come back; no answer at all

STOOD_STILL = 2.0  # seconds


@dataclass
class Fault:
    """Something that is broken for a while.

    Attributes:
        name: what.
        begun_at: seconds since the beginning.
        excused: how many requests may fail meanwhile; None where nothing can answer.
        notice: seconds that the proxy may take to notice that it is over.
        over_at: seconds since the beginning; None as long as it lasts.
        failed: how many requests did fail.
        stops_people: those who wait for an answer stand still as well, and may have given up afterwards.
    """

    name: str
    begun_at: float
    excused: int | None
    notice: float
    over_at: float | None = None
    failed: int = 0
    stops_people: bool = False

    def covers(self, began: float, ended: float) -> bool:
        """Tell whether a request was under way while this was broken, or not yet known to be whole."""
        over = self.over_at + self.notice if self.over_at is not None else ended
        return began <= over and ended >= self.begun_at


@dataclass
class Failure:
    """A request that came to nothing."""

    kind: str
    what: str
    began: float
    ended: float


@dataclass
class Timeline:
    """Every request's outcome, by the second in which it ended.

    Attributes:
        has_proxy: one stands before the hosts, and answers for those that do not.
    """

    has_proxy: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)
    started: float = field(default_factory=time.monotonic)
    seconds: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    slowest: dict[int, float] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)

    def now(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self.started

    def note(self, kind: str, what: str, began: float) -> None:
        """Note how a request ended.

        Args:
            kind: one of `KINDS`.
            what: method and path.
            began: seconds since the beginning.
        """
        ended = self.now()
        with self.lock:
            self.seconds[int(ended)][kind] += 1
            self.slowest[int(ended)] = max(self.slowest.get(int(ended), 0.0), ended - began)
            if kind != "ok":
                self.failures.append(Failure(kind, what, began, ended))

    def mark(self, what: str) -> None:
        """Note something that happened and breaks nothing."""
        with self.lock:
            self.marks.append((self.now(), what))

    @contextmanager
    def broken(self, name: str, excused: int | None, notice: float) -> Iterator[None]:
        """Have something be broken for the block; see `Fault`."""
        fault = Fault(name, self.now(), excused, notice)
        with self.lock:
            self.faults.append(fault)
            self.marks.append((fault.begun_at, name))
        yield
        fault.over_at = self.now()
        self.mark(f"over: {name}")

    def watch(self, stop: threading.Event) -> None:
        """Notice when this machine stands still: everybody's patience ends then, and nothing can answer."""
        before = self.now()
        while not stop.wait(0.2):
            now = self.now()
            if now - before > STOOD_STILL:
                fault = Fault("this machine stood still", before, None, 6.0, over_at=now, stops_people=True)
                with self.lock:
                    self.faults.append(fault)
                    self.marks.append((now, f"this machine stood still for {now - before:.0f} s"))
            before = now

    def judge(self) -> Sequence[str]:
        """Return what must not be: failures while something could answer, and answers that never came."""
        wrong = []
        for failure in self.failures:
            covering = [each for each in self.faults if each.covers(failure.began, failure.ended)]
            lasted = failure.ended - failure.began
            told = f"{failure.kind} for {failure.what} at {failure.ended:.1f} s, after {lasted:.1f} s"
            may_be_lost = any(each.stops_people for each in covering) or (covering and not self.has_proxy)
            if failure.kind == "lost" and not may_be_lost:
                wrong.append(f"no answer: {told}")
            elif not covering:
                wrong.append(f"nothing was broken: {told}")
            else:
                covering[-1].failed += 1
        for fault in self.faults:
            if fault.excused is not None and fault.failed > fault.excused:
                wrong.append(f"{fault.name}: {fault.failed} requests failed, not {fault.excused} at most")
        return wrong

    def report(self) -> Iterator[str]:
        """Return lines: a table by seconds, then the failures by kind, and the faults."""
        yield "second     ok    503   lost  slowest   what happened"
        for second in range(max(self.seconds, default=0) + 1):
            counts = self.seconds.get(second, Counter())
            told = "; ".join(what for at, what in self.marks if int(at) == second)
            numbers = "".join(f"{counts[kind]:>7}" for kind in KINDS)
            yield f"{second:>6}{numbers}{self.slowest.get(second, 0.0):>7.1f} s   {told}".rstrip()
        yield ""
        for (kind, what), count in sorted(Counter((each.kind, each.what) for each in self.failures).items()):
            times = [each.ended for each in self.failures if (each.kind, each.what) == (kind, what)]
            yield f"{count:>6} x {kind} {what}: between {min(times):.1f} s and {max(times):.1f} s"
        for fault in self.faults:
            most = "" if fault.excused is None else f", of at most {fault.excused}"
            over = fault.over_at or self.now()
            yield f"{fault.name}, {fault.begun_at:.1f} s to {over:.1f} s: {fault.failed} requests failed{most}"
