"""How the provider talks to its database: SQLite by default, PostgreSQL by a setting."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, exc
from sqlalchemy.dialects.postgresql import Insert as PostgresqlInsert
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import Insert as SqliteInsert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import DeclarativeBase, Session

from idp import compact_json
from idp.settings import Settings
from idp.storage import postgresql, sqlite


def engine_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments for `create_engine`."""
    own = sqlite.engine_options() if settings.is_sqlite else postgresql.engine_options()
    # An error's text would carry addresses and digests into the log.
    return {
        "hide_parameters": True,
        "json_serializer": compact_json.text,
        "json_deserializer": compact_json.read,
        **own,
    }


def open_engine(settings: Settings) -> Engine:
    """Open the database for a command or the worker; the web application has its own by Flask-SQLAlchemy."""
    engine = create_engine(settings.sqlalchemy_url, **engine_options(settings))
    prepare_engine(engine)
    return engine


def prepare_engine(engine: Engine) -> None:
    """Give an engine this project's habits. Safe to call more than once."""
    {"sqlite": sqlite, "postgresql": postgresql}[engine.dialect.name].prepare_engine(engine)


EitherInsert = SqliteInsert | PostgresqlInsert
# An INSERT that may say what to do on a conflict: both engines have it, SQLAlchemy's own `insert` not.
INSERTS: Mapping[str, Callable[[Any], EitherInsert]] = {"sqlite": sqlite_insert, "postgresql": postgresql_insert}


def insert_into(db: Session, table: type[DeclarativeBase]) -> EitherInsert:
    """Begin an INSERT that may say what to do on a conflict."""
    return INSERTS[db.get_bind().dialect.name](table)


def is_fault_of_storage(error: BaseException) -> bool:
    """Tell whether the database is away, locked, full, read-only or broken; what was asked of it was right.

    Args:
        error: what SQLAlchemy raised.
    """
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.InternalError | exc.TimeoutError):
        return True  # InternalError: PostgreSQL answers a write so while it is a read-only standby
    # Exactly this class: SQLite's "file is not a database" and "disk image is malformed".
    return type(error) is exc.DatabaseError or bool(getattr(error, "connection_invalidated", False))


@contextmanager
def engine_of(settings: Settings) -> Iterator[Engine]:
    """Open the database for the block, and close every connection to it when that ends."""
    engine = open_engine(settings)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def open_session(settings: Settings) -> Iterator[Session]:
    """Open a session that commits when the block ends well and rolls back when it does not."""
    with engine_of(settings) as engine, Session(engine, expire_on_commit=False) as session, session.begin():
        yield session
