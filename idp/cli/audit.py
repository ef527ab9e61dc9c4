"""`idp audit`: what happened, and who did it."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import audit, users
from idp.accounts.audit import Event
from idp.cli import output
from idp.cli.instance import load_ready, open_ready
from idp.cli.moments import read_since
from idp.errors import NotFoundError
from idp.models import AuditEvent, User
from idp.storage.database import engine_of

LOOK_EVERY = 1.0  # seconds between two looks with --follow
MANY = 100_000  # events of half a minute
LATE = 30  # seconds after which a row cannot appear any more that was written by a slower transaction
_COLUMNS = ("at", "event", "actor", "user", "client", "address", "details")


@click.command(
    epilog="""
\b
Examples:
  idp audit --since 2h
  idp audit --event account:sign_in --user ada --json
  idp audit --client CLIENT_ID
""",
)
@click.option("--event", default="", help="A whole name, or its beginning up to a colon: account:sign_in.")
@click.option("--user", "username", default="", help="Only what concerns this user name, address or id.")
@click.option("--client", "client_id", default="", metavar="CLIENT_ID", help="Only what concerns this app.")
@click.option("--since", metavar="TIME", callback=read_since, help="Only since then: 2h, 7d, or an ISO 8601 time.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most the latest so many.")
@click.option("--follow", is_flag=True, help="Go on and print what happens, until Ctrl-C.")
@output.json_option
def command(event: str, username: str, client_id: str, since: int, limit: int, follow: bool, as_json: bool) -> None:
    """Print what happened, the latest last. With --follow, --json prints one object a line."""
    if event and not any(known == event or known.startswith(f"{event}:") for known in Event):
        raise click.UsageError(f"There is no event {event!r}. Events: {', '.join(Event)}")
    with open_ready() as (_settings, db):
        chosen = {"event": event, "user_id": _user_id(db, username), "client_id": client_id}
        recent = _seen(audit.list_events(db, since=clock.now() - LATE, limit=MANY))
        found = audit.list_events(db, **chosen, since=since, limit=limit)
        rows = _rows(db, found)
    if follow:
        _print_lines(found, rows, as_json)
        _follow(recent | _seen(found), chosen, as_json)
    elif as_json:
        output.data([audit.as_dict(each) for each in reversed(found)])
    elif found:
        output.table(_COLUMNS, rows)
    else:
        output.note("There is no such event.")


def _user_id(db: Session, username: str) -> str:
    """Find the user's id; evidence outlives the account, so the id of a removed one is taken as it is."""
    if not username:
        return ""
    user = users.find_user(db, username)
    if user is None and not re.fullmatch(r"[0-9a-f]{32}", username):
        raise NotFoundError(f"There is no user {username!r}: see `idp user list`; of one that is gone, name the id.")
    return username if user is None else user.id


def _follow(told: dict[int, int], chosen: Mapping[str, str], as_json: bool) -> None:
    """Print what is new, until somebody stops it.

    Args:
        told: ids, and times, of what was printed already or is not to be.
        chosen: which events, see `audit.list_events`.
    """
    with engine_of(load_ready()) as engine:
        while True:
            since = clock.now() - LATE
            with Session(engine) as db:
                found = audit.list_events(db, **chosen, since=since, limit=MANY)
                fresh = [each for each in found if each.id not in told]
                rows = _rows(db, fresh)
            _print_lines(fresh, rows, as_json)
            told = {key: at for key, at in told.items() if at >= since} | _seen(fresh)
            time.sleep(LOOK_EVERY)


def _seen(found: Sequence[AuditEvent]) -> dict[int, int]:
    return {each.id: each.at for each in found}


def _print_lines(found: Sequence[AuditEvent], rows: Sequence[Sequence[Any]], as_json: bool) -> None:
    for each, row in zip(reversed(found), rows, strict=True):
        if as_json:
            output.data_line(audit.as_dict(each))
        else:
            output.line(row)


def _rows(db: Session, found: Sequence[AuditEvent]) -> list[tuple[Any, ...]]:
    """Return events as people read them: the latest last, users by their names while they have any."""
    names = {each: user.username for each in {e.user_id for e in found if e.user_id} if (user := db.get(User, each))}
    return [
        (
            output.instant(each.at),
            each.event,
            each.actor,
            names.get(each.user_id or "", each.user_id),
            each.client_id,
            each.address,
            [_detail(name, value) for name, value in each.details.items() if value not in (None, "", [])],
        )
        for each in reversed(found)
    ]


def _detail(name: str, value: Any) -> str:
    return f"{name}={' '.join(map(str, value)) if isinstance(value, list) else value}"
