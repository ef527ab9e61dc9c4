"""Rows into the database: batch by batch, each in a transaction of its own.

What was done is what the database holds: a run that was interrupted is run again, finds its accounts there, and goes
on behind them. Two runs at once do no harm either: who comes second with a name finds it taken, and looks again.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, RowMapping, insert, or_, select, update
from sqlalchemy.orm import Session

from idp import clock, crypto, processors
from idp.accounts import roles
from idp.accounts.audit import Event
from idp.accounts.visitor import OPERATOR
from idp.models import AuditEvent, User, UserRole
from idp.settings import Settings
from idp.storage.database import insert_into
from idp.transfer.checking import Row
from idp.transfer.report import Kind, Report

BATCH = 500
MOST_HASHED = 50  # passwords a batch: at bcrypt's pace this is some seconds' work, and all that a crash can lose
_ROUNDS = 5


@dataclass(frozen=True)
class Writer:
    """Writes accounts.

    Args:
        engine: the database.
        settings: bcrypt's cost is taken from here.
        report: counts and findings go here, batch by batch, so that it is true at any time.
        source: what the audit names as the accounts' origin.
        is_update: whether names and roles of accounts that exist are brought to what the file says.
    """

    engine: Engine
    settings: Settings
    report: Report
    source: str
    is_update: bool = False

    def write(self, rows: Iterable[Row]) -> None:
        """Write all rows, or with a dry run only find out what would happen.

        Args:
            rows: they are taken as they come, never all at once.
        """
        for batch in _batches(rows):
            self._write_batch(batch)

    def _write_batch(self, batch: Sequence[Row]) -> None:
        waiting = batch
        for _ in range(_ROUNDS):
            with Session(self.engine) as db:
                fresh, known = self._judge(db, waiting)
            if self.report.is_dry_run:
                self.report.created += len(fresh)
                self._update(known)
                return
            _hash_passwords(fresh, self.settings.bcrypt_cost)
            with Session(self.engine) as db, db.begin():
                written = _insert(db, fresh, self.source)
            self.report.created += len(written)
            self._update(known)
            waiting = [row for row in fresh if row.columns["id"] not in written]
            if not waiting:
                return
        for row in waiting:  # whoever takes a name away five times in a row is no other import
            self.report.leave_out(Kind.USERNAME_TAKEN, row.columns["username"], "", row.line)

    def _judge(self, db: Session, batch: Sequence[Row]) -> tuple[list[Row], list[tuple[Row, RowMapping]]]:
        """Part a batch into rows that are new and rows whose account is there; conflicts are told."""
        standing = _standing(db, batch)
        by_name = {each["username_key"]: each for each in standing}
        by_email = {each["email_key"]: each for each in standing}
        skeletons = {each["username_skeleton"] for each in standing}
        ids = {each["id"] for each in standing}
        fresh: list[Row] = []
        known: list[tuple[Row, RowMapping]] = []
        for row in batch:
            new = row.columns
            namesake = by_name.get(new["username_key"]) or by_email.get(new["username_key"])
            neighbour = by_email.get(new["email_key"]) or by_name.get(new["email_key"])
            if any(each is not None and each["is_registration_pending"] for each in (namesake, neighbour)):
                self.report.leave_out(Kind.REGISTRATION_PENDING, new["username"], new["email"], row.line)
            elif namesake is not None and namesake["email_key"] == new["email_key"]:
                known.append((row, namesake))
            elif namesake is not None:
                self.report.leave_out(Kind.USERNAME_TAKEN, new["username"], new["email"], row.line)
            elif neighbour is not None:
                told = f"{new['email']} belongs to {neighbour['username']!r}"
                self.report.leave_out(Kind.ADDRESS_TAKEN, new["username"], told, row.line)
            elif new["username_skeleton"] in skeletons:
                self.report.leave_out(Kind.LOOK_ALIKE, new["username"], "", row.line)
            else:
                if new["id"] in ids:
                    new["id"] = crypto.new_id()
                    self.report.tell(Kind.NEW_ID, new["username"], "", row.line)
                fresh.append(row)
        return fresh, known

    def _update(self, known: Sequence[tuple[Row, RowMapping]]) -> None:
        """Count accounts that exist; with `is_update`, bring their names and roles to what the file says."""
        if not self.is_update or not known:
            self.report.unchanged += len(known)
            return
        with Session(self.engine) as db, db.begin():
            held = roles.roles_of_many(db, [standing["id"] for _, standing in known])
            changed = 0
            for row, standing in known:
                new_names = _changed_names(row, standing)
                before = held[standing["id"]]
                after = before if row.roles is None else sorted(row.roles)
                if not new_names and before == after:
                    continue
                changed += 1
                if self.report.is_dry_run:
                    continue
                if new_names:
                    values = {**new_names, "updated_at": clock.now()}
                    db.execute(update(User).where(User.id == standing["id"]).values(values))
                roles.change_roles(
                    db, OPERATOR, standing["id"], add=set(after) - set(before), remove=set(before) - set(after)
                )
        self.report.updated += changed
        self.report.unchanged += len(known) - changed


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    plain = 0
    for row in rows:
        batch.append(row)
        plain += bool(row.password)
        if len(batch) == BATCH or plain == MOST_HASHED:
            yield batch
            batch, plain = [], 0
    if batch:
        yield batch


def _standing(db: Session, batch: Sequence[Row]) -> Sequence[RowMapping]:
    """Return the accounts that have a name, a look, an address or an id of the batch: one statement."""
    keys = {row.columns["username_key"] for row in batch} | {row.columns["email_key"] for row in batch}
    return (
        db.execute(
            select(
                User.id,
                User.username,
                User.username_key,
                User.username_skeleton,
                User.email_key,
                User.given_name,
                User.family_name,
                User.is_registration_pending,
            ).where(
                or_(
                    User.username_key.in_(keys),
                    User.email_key.in_(keys),
                    User.username_skeleton.in_([row.columns["username_skeleton"] for row in batch]),
                    User.id.in_([row.columns["id"] for row in batch]),
                )
            )
        )
        .mappings()
        .all()
    )


def _hash_passwords(rows: Sequence[Row], cost: int) -> None:
    """Put hashes in the place of plain text, many at a time: bcrypt is slow by design, and lets other threads run."""
    plain = [row for row in rows if row.password]
    with ThreadPoolExecutor(processors.count()) as threads:
        hashed = threads.map(lambda row: crypto.hash_password(row.password, cost), plain)
        for row, digest in zip(plain, hashed, strict=True):
            row.columns["password_hash"], row.password = digest, ""


def _insert(db: Session, fresh: Sequence[Row], source: str) -> set[str]:
    """Insert accounts with roles and evidence, and return the ids of those whose name and address were still free."""
    if not fresh:
        return set()
    # In one order everywhere, or two imports on PostgreSQL could wait for each other.
    columns = [row.columns for row in sorted(fresh, key=lambda row: str(row.columns["username_key"]))]
    statement = insert_into(db, User).on_conflict_do_nothing().returning(User.id)
    written = set(db.execute(statement, columns).scalars())
    held = [{"user_id": row.columns["id"], "role": role} for row in fresh for role in row.roles or ()]
    if held := [each for each in held if each["user_id"] in written]:
        db.execute(insert(UserRole), held)
    now = clock.now()
    evidence = [each for row in fresh if row.columns["id"] in written for each in _evidence(row, now, source)]
    if evidence:
        db.execute(insert(AuditEvent), evidence)
    return written


def _evidence(row: Row, now: int, source: str) -> Iterator[dict[str, Any]]:
    """Make the rows that `audit.record` would write, for many at once."""
    told = {"at": now, "user_id": row.columns["id"], "actor": OPERATOR.actor}
    about = {"username": row.columns["username"], "roles": sorted(row.roles or ()), "source": source}
    yield {**told, "event": Event.ACCOUNT_CREATED.value, "details": about}
    if row.columns["disabled_at"] is not None:
        yield {**told, "event": Event.ACCOUNT_DISABLED.value, "details": {"source": source}}


def _changed_names(row: Row, standing: RowMapping) -> dict[str, str]:
    """Return the names that the file has and that differ; a name that it does not have takes none away."""
    return {
        name: row.columns[name]
        for name in ("given_name", "family_name")
        if row.columns[name] and row.columns[name] != standing[name]
    }
