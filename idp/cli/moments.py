"""Times as people write them at the command line: a span from now, or ISO 8601."""

import re
from datetime import UTC, datetime

import click

from idp import clock
from idp.clock import DAY

SPANS = {"s": 1, "m": 60, "h": 3_600, "d": DAY, "w": 7 * DAY}


def read_since(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int:
    """Read a span back from now, or a time, as seconds since the epoch; 0 when nothing was said.

    Raises:
        BadParameter: it is neither.
    """
    return 0 if value is None else max(0, _read(value, -1))


def read_expiry(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """Read a span from now, or a time, as seconds since the epoch; None when nothing was said.

    Raises:
        BadParameter: it is neither, or it is over.
    """
    if value is None:
        return None
    expires_at = _read(value, 1)
    if expires_at <= clock.now():
        raise click.BadParameter(f"{value!r} is over already")
    return expires_at


def _read(value: str, direction: int) -> int:
    """Read a span in a direction from now, or an ISO 8601 time (UTC when it names no zone)."""
    if span := re.fullmatch(r"(\d{1,9})([smhdw])", value):
        return clock.now() + direction * int(span[1]) * SPANS[span[2]]
    try:
        moment = datetime.fromisoformat(value)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{value!r} is neither a span such as 30m, 12h or 7d nor a time such as 2030-01-31T12:00Z"
        ) from None
