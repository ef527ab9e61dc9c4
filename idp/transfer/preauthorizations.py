"""Preauthorized addresses into the database, as `idp preauthorize` would put them there."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Engine, insert, or_, select
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import names
from idp.accounts.audit import Event
from idp.accounts.visitor import OPERATOR
from idp.models import AuditEvent, Preauthorization, User
from idp.storage.database import insert_into
from idp.transfer.candidates import Invitee
from idp.transfer.checking import permitted_roles
from idp.transfer.report import Kind, Report

BATCH = 500
_CLIENT_ID_MOST = 128


def write_preauthorizations(
    engine: Engine, report: Report, invitees: Iterable[Invitee], accounts_in_file: set[str]
) -> None:
    """Write preauthorizations, or with a dry run only find out what would happen.

    Args:
        engine: the database.
        report: counts and findings go here.
        invitees: as the file has them.
        accounts_in_file: keys of the addresses of the file's own accounts.
    """
    rows = _make_rows(report, invitees)
    for begin in range(0, len(rows), BATCH):
        _write_batch(engine, report, rows[begin : begin + BATCH], accounts_in_file)


def _make_rows(report: Report, invitees: Iterable[Invitee]) -> Sequence[dict[str, Any]]:
    """Make a row for each address and app; tell of those that can have none."""
    seen: set[tuple[str, str]] = set()
    rows: list[dict[str, Any]] = []
    for invitee in invitees:
        email, faults = names.check_email(invitee.email)
        if faults or len(invitee.client_id) > _CLIENT_ID_MOST:
            report.tell(Kind.BAD_PREAUTHORIZATION, invitee.email[:80], "", invitee.line)
            continue
        key = names.email_key(email)
        if (key, invitee.client_id) in seen:
            report.preauthorizations_unchanged += 1
            continue
        seen.add((key, invitee.client_id))
        rows.append(
            {
                "id": crypto.new_id(),
                "email": email,
                "email_key": key,
                "client_id": invitee.client_id,
                "roles": list(permitted_roles(report, email, invitee.roles, invitee.line)),
                "created_at": clock.now() if invitee.created_at is None else invitee.created_at,
                "expires_at": invitee.expires_at,
            }
        )
    return rows


def _write_batch(engine: Engine, report: Report, batch: Sequence[dict[str, Any]], accounts_in_file: set[str]) -> None:
    """Write the rows of those who have neither an account nor such a preauthorization yet."""
    keys = [row["email_key"] for row in batch]
    with Session(engine) as db, db.begin():
        owned = _owned(db, keys) | accounts_in_file
        for row in batch:
            if row["email_key"] in owned:
                report.tell(Kind.PREAUTHORIZATION_USED, row["email"])
        fresh = [row for row in batch if row["email_key"] not in owned]
        of_address = Preauthorization.email_key.in_(keys)
        pairs = db.execute(select(Preauthorization.email_key, Preauthorization.client_id).where(of_address))
        standing = {tuple(each) for each in pairs}
        missing = [row for row in fresh if (row["email_key"], row["client_id"]) not in standing]
        if missing and not report.is_dry_run:
            statement = insert_into(db, Preauthorization).on_conflict_do_nothing().returning(Preauthorization.id)
            written = set(db.execute(statement, missing).scalars())
            missing = [row for row in missing if row["id"] in written]
            if missing:
                db.execute(insert(AuditEvent), [_evidence(row) for row in missing])
    report.preauthorizations_created += len(missing)
    report.preauthorizations_unchanged += len(fresh) - len(missing)


def _evidence(row: dict[str, Any]) -> dict[str, Any]:
    """Make the row that `audit.record` would write, for many at once."""
    return {
        "at": clock.now(),
        "event": Event.PREAUTHORIZED.value,
        "client_id": row["client_id"] or None,
        "actor": OPERATOR.actor,
        "details": {"email": row["email"], "roles": row["roles"]},
    }


def _owned(db: Session, keys: Sequence[str]) -> set[str]:
    """Return which of the addresses belong to accounts: a registration that waits is none yet."""
    is_of_them = or_(User.email_key.in_(keys), User.username_key.in_(keys))
    found = db.execute(
        select(User.email_key, User.username_key).where(is_of_them, User.is_registration_pending.is_(False))
    )
    return {key for pair in found for key in pair}
