"""A connection to PostgreSQL at which no request waits for ever.

A server that stands still, as when its machine or its pooler is paused, takes what it is sent and answers nothing. To
the kernels all is well, so no limit of TCP's ends that, and none of the server's own: it would have to run.
"""

import math
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

from idp import clock, patience

GRACE = 2.0  # seconds that a server may take to say that its own limits, which are no longer, are over

_Result = TypeVar("_Result")


class NoAnswer(psycopg.OperationalError):
    """The server said nothing for as long as the request may wait; what became of the statement is not known."""


class PatientConnection(psycopg.Connection[Any]):
    """A connection that is given up where the server does not answer a request in time.

    Commands and the worker wait on: they have statements that take long.
    """

    def wait(self, gen: Generator[Any, Any, _Result], *how: Any, **named: Any) -> _Result:
        """Have the driver wait for the server, but not longer than the request may.

        Raises:
            NoAnswer: it did not answer.
        """
        try:
            return super().wait(_given_up_in_time(gen), *how, **named)
        except NoAnswer:
            self.close()  # whoever used it again would wait for this answer
            raise


def _given_up_in_time(steps: Generator[Any, Any, _Result]) -> Generator[Any, Any, _Result]:
    """Pass on what the driver's steps wait for. While nothing comes it looks in, ten times a second."""
    end = None
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready:
                now = clock.ticks()
                end = end or now + patience.left(math.inf) + GRACE
                if now > end:
                    raise NoAnswer("the server does not answer")
            wanted = steps.send(ready)
    except StopIteration as done:
        result: _Result = done.value
        return result
