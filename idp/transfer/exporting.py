"""Every account with all that belongs to it, for another instance: what `accounts_file` reads again."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from idp.accounts import preauthorization, roles
from idp.models import User
from idp.transfer.checking import KEPT_COLUMNS

FORMAT = "streamlit-idp accounts"
VERSION = 1
# The lines of a document, between those of accounts and of preauthorizations.
HEAD = f'{{"format": "{FORMAT}", "version": {VERSION}, "accounts": ['
BETWEEN = '], "preauthorizations": ['
END = "]}"
_PAGE = 500


def begin_snapshot(db: Session) -> None:
    """Let everything that this session reads from now on be of one moment, whatever others write meanwhile."""
    if db.get_bind().dialect.name == "postgresql":
        db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    else:
        db.execute(text("BEGIN"))


def count_accounts(db: Session) -> int:
    """Return how many accounts there are."""
    count = select(func.count()).select_from(User).where(User.is_registration_pending.is_(False))
    return db.scalar(count) or 0


def export_accounts(db: Session) -> Iterator[dict[str, Any]]:
    """Yield every account in the order of the user names: its columns that have a value, and its roles.

    A registration that waits for its confirmation is no account yet.
    """
    columns = [User.__table__.columns[name] for name in KEPT_COLUMNS]
    after = ""
    while True:
        page = (
            db.execute(
                select(*columns, User.username_key)
                .where(User.username_key > after, User.is_registration_pending.is_(False))
                .order_by(User.username_key)
                .limit(_PAGE)
            )
            .mappings()
            .all()
        )
        held = roles.roles_of_many(db, [row["id"] for row in page])
        for row in page:
            yield {
                **{name: row[name] for name in KEPT_COLUMNS if row[name] not in (None, False)},
                "roles": held[row["id"]],
            }
        if len(page) < _PAGE:
            return
        after = page[-1]["username_key"]


def export_preauthorizations(db: Session) -> Iterator[dict[str, Any]]:
    """Yield every preauthorization, also those which registrations hold that are not confirmed yet."""
    pending = User.is_registration_pending.is_(True) & User.claimed_preauthorization.is_not(None)
    waiting = select(User.claimed_preauthorization).where(pending).order_by(User.email_key)
    held = (each for claimed in db.scalars(waiting.execution_options(yield_per=_PAGE)) for each in claimed or ())
    listed = (each.as_dict() for each in preauthorization.each_preauthorization(db))
    for each in chain(held, listed):
        yield {key: each.get(key) for key in ("email", "client_id", "roles", "created_at", "expires_at")}
