"""What all attacks share: attempts by many threads at a pace, in a process of their own, and a count of the answers."""

import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.queues import Queue
from typing import Any

from attacking.instance import Instance
from attacking.wire import Answer, Wire

REFUSALS = (429, 503)


@dataclass
class Outcome:
    """What attackers got.

    Attributes:
        answers: how many of each status; 0 where none came.
        refused_after: seconds until the first was refused for being too many; None when none was.
        seconds: how long it lasted.
    """

    answers: Counter[int] = field(default_factory=Counter)
    refused_after: float | None = None
    seconds: float = 0.0

    @property
    def attempts(self) -> int:
        """All of them."""
        return self.answers.total()

    def admitted(self, *statuses: int) -> int:
        """Return how many were answered so."""
        return sum(self.answers[status] for status in statuses)


@dataclass(frozen=True)
class Attack:
    """One way to attack.

    Attributes:
        name: for the command line.
        what: for the table.
        begin: prepares one attacking thread; returns what makes the attempt of a number.
        limit: names what did not hold, from what the attackers got and how many rows came to be.
        threads: at once.
        rate: attempts a second, by all threads together.
        table: the rows that it makes, if it makes any.
        is_hard_on_strangers: whether people whom nothing tells from attackers may be kept out while it lasts.
        is_hard_on_all: whether it may keep everybody out, because only a proxy, which receives bodies first, helps.
        needs_proxy: whether nginx stands before the provider, as `docs/examples` has it.
    """

    name: str
    what: str
    begin: Callable[[Instance, Wire, int], Callable[[int], Answer]]
    limit: Callable[[Outcome, dict[str, int]], list[str]]
    threads: int = 8
    rate: float = 100.0
    table: str = ""
    is_hard_on_strangers: bool = False
    is_hard_on_all: bool = False
    needs_proxy: bool = False


def flood(instance: Instance, attack: Attack, seconds: float) -> Outcome:
    """Attack for so long, from a process of its own that gives way to everybody else."""
    context = multiprocessing.get_context("fork")
    results: Queue[Any] = context.Queue()
    process = context.Process(target=_attack, args=(instance, attack, seconds, results))
    process.start()
    outcome = results.get(timeout=seconds + 120)
    process.join()
    if isinstance(outcome, str):
        raise SystemExit(f"{attack.name}: {outcome}")
    return outcome  # type: ignore[no-any-return]


def _attack(instance: Instance, attack: Attack, seconds: float, results: "Queue[Any]") -> None:
    os.nice(5)
    outcome, lock, numbers = Outcome(), threading.Lock(), count()
    faults: list[str] = []
    began = time.monotonic()

    def work(thread: int) -> None:
        try:
            attempt = attack.begin(instance, instance.wire(), thread)
            while time.monotonic() - began < seconds:
                number = next(numbers)
                time.sleep(max(0.0, began + number / attack.rate - time.monotonic()))
                answer = attempt(number)
                with lock:
                    outcome.answers[answer.status] += 1
                    if answer.status in REFUSALS and outcome.refused_after is None:
                        outcome.refused_after = time.monotonic() - began
        except Exception as fault:
            faults.append(repr(fault))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(attack.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome.seconds = time.monotonic() - began
    results.put(faults[0] if faults else outcome)
