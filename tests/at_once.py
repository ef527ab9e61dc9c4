"""Many who do something at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from idp.errors import Refusal
from idp.settings import Settings
from idp.storage import database
from tests.waiting import PATIENCE

Outcome = TypeVar("Outcome")


def at_once(act: Callable[[int], Outcome], count: int) -> list[Outcome]:
    """Do something in so many threads, released together.

    Args:
        act: is told the number of its thread, from 0.
        count: of threads.

    Returns:
        What came of it in each, in their order; what one of them raises is raised here, when all are done.
    """
    start = threading.Barrier(count)

    def run(number: int) -> Outcome:
        start.wait(timeout=PATIENCE)
        return act(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def transactions_at_once(settings: Settings, count: int, do: Callable[[Session, int], Any]) -> list[Any]:
    """Do something in so many transactions that begin together; returns results, and refusals.

    Args:
        settings: name the database.
        count: of transactions, each in a thread of its own.
        do: is told the number of its thread; what it did is committed, though it ends in a refusal.
    """
    engines = [database.open_engine(settings) for _ in range(count)]

    def run(number: int) -> Any:
        with Session(engines[number], expire_on_commit=False) as own:
            try:
                outcome = do(own, number)
            except Refusal as refusal:
                outcome = refusal
            own.commit()
            return outcome

    outcomes = at_once(run, count)
    for engine in engines:
        engine.dispose()
    return outcomes
