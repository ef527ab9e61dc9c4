"""What is wrong with a database's pages or its references, as far as it can be asked."""

import sqlite3
from collections.abc import Iterator

from sqlalchemy import and_, select, text
from sqlalchemy.orm import Session

from idp.cli import sqlite_work
from idp.models import Base


def find_damage(db: Session) -> list[str]:
    """Say what is wrong with the database."""
    own = sqlite_work.connection_of(db)
    return list(_damage_of_server(db)) if own is None else find_damage_of_sqlite(own)


def tell_undamaged(db: Session) -> str:
    """Say what `find_damage` has looked at where it found nothing: a server's pages are read by the server only."""
    if sqlite_work.connection_of(db) is not None:
        return "every page and every reference is whole"
    if db.scalar(text("SHOW data_checksums")) == "on":
        return "every reference is whole, and the server met no damaged page; only pg_amcheck reads them all"
    return "every reference is whole; pages have no checksums on this server: only pg_amcheck looks at them"


def find_damage_of_sqlite(connection: sqlite3.Connection) -> list[str]:
    """Say what is wrong with SQLite's pages and indexes; or, where they are well, with its references.

    Raises:
        sqlite3.DatabaseError: it is so damaged that it cannot be asked.
    """

    def ask() -> list[str]:
        damaged = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
        if damaged != ["ok"]:
            return damaged
        parentless = {row[0] for row in connection.execute("PRAGMA foreign_key_check")}
        return [_orphaned(table) for table in sorted(parentless)]

    return sqlite_work.ended_by_signals(connection, ask)


def _damage_of_server(db: Session) -> Iterator[str]:
    """References are enforced by triggers, which a superuser or a restore can switch off."""
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            parent = key.referred_table.alias()
            pairs = [(each.parent, parent.c[each.column.name]) for each in key.elements]
            has_parent = select(1).select_from(parent).where(*(own == other for own, other in pairs)).exists()
            is_orphan = and_(*(own.is_not(None) for own, _ in pairs), ~has_parent)
            if db.execute(select(1).select_from(table).where(is_orphan).limit(1)).first():
                yield _orphaned(table.name)
    counted = text("SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()")
    if failures := db.scalar(counted):
        yield (
            f"the server met {failures} damaged pages (checksum_failures in pg_stat_database; once they are mended, "
            "`SELECT pg_stat_reset()` forgets them)"
        )


def _orphaned(table: str) -> str:
    return f"{table} has rows without parents"
