"""Statements that are built once and run often: what a request on a hot path asks of the database.

Building a statement, finding it in SQLAlchemy's cache and wrapping its result costs twenty times what SQLite needs to
answer it. A `Prepared` statement is written with SQLAlchemy like any other, compiled at its first use for each engine,
and from then on goes straight to the driver, on the connection and in the transaction of the session that it is given.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from sqlalchemy import BindParameter, Dialect, Executable, bindparam
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from idp.storage.lean_session import LeanSession, as_sqlalchemys
from idp.storage.postgresql import is_of_standby

Row = Mapping[Any, Any]  # a row by the names of its columns
_Process = Callable[[Any], Any]


def value(name: str, type_: TypeEngine[Any] | None = None) -> BindParameter[Any]:
    """Mark the place of a value in a statement that is to be prepared.

    Args:
        name: by which the value is given; in an UPDATE none of the table's columns may have it.
        type_: of the value, where no column beside it tells.
    """
    return bindparam(name, type_=type_, required=False)


class Prepared:
    """A statement with `value`s to be given at each run.

    Args:
        statement: a SELECT, or an INSERT, UPDATE or DELETE with or without RETURNING; or one for each kind of engine,
            by its name, where they differ.
        columns: for an INSERT without `values`: the columns that it is given.
    """

    def __init__(
        self, statement: Executable | Mapping[str, Executable], *, columns: Sequence[str] | None = None
    ) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def first(self, db: Session, **values: Any) -> Row | None:
        """Run it and return its first row, or None."""
        _, rows = self._run(db, values)
        return rows[0] if rows else None

    def scalar(self, db: Session, **values: Any) -> Any:
        """Run it and return the first column of its first row, or None."""
        _, rows = self._run(db, values)
        return next(iter(rows[0].values())) if rows else None

    def run(self, db: Session, **values: Any) -> int:
        """Run it and return how many rows it changed."""
        count, _ = self._run(db, values)
        return count

    def statement_for(self, engine: str) -> Executable:
        """Return the statement that one kind of engine is sent.

        Args:
            engine: `sqlite` or `postgresql`.
        """
        return self._statement[engine] if isinstance(self._statement, Mapping) else self._statement

    def _run(self, db: Session, values: Mapping[str, Any]) -> tuple[int, Sequence[Row]]:
        if isinstance(db, LeanSession) and not db.in_transaction():
            connection = db.lean_connection()
        else:  # SQLAlchemy has begun a transaction of its own: there may be objects to write, or a savepoint to make
            db.flush()
            connection = db.connection()
        name = connection.dialect.name
        compiled = self._compiled.get(name)
        if compiled is None:
            compiled = self._compiled[name] = _Compiled(self.statement_for(name), self._columns, connection.dialect)
        return compiled.run(connection, values)


class _Compiled:
    """A statement as one kind of engine takes it."""

    def __init__(self, statement: Executable, columns: Sequence[str] | None, dialect: Dialect) -> None:
        compiled: Any = statement.compile(  # type: ignore[attr-defined]
            dialect=dialect, column_keys=columns, compile_kwargs={"render_postcompile": True}
        )
        self._sql = str(compiled)
        self._order: Sequence[str] | None = compiled.positiontup if compiled.positional else None
        required = {name for bind, name in compiled.bind_names.items() if bind.required}  # columns of an INSERT
        self._taken: Set[str] = compiled.params.keys()
        self._values = {name: compiled.params[name] for name in self._taken - required}  # which it brings along
        self._into: Sequence[tuple[str, _Process]] = tuple(compiled._bind_processors.items())
        types = ((entry.keyname, entry.type.dialect_impl(dialect)) for entry in compiled._result_columns)
        found = [(name, type_.result_processor(dialect, None)) for name, type_ in types]
        self._names: Sequence[str] = tuple(name for name, _ in found)
        self._out_of: Sequence[tuple[str, _Process]] = tuple((name, process) for name, process in found if process)

    def run(self, connection: Connection, values: Mapping[str, Any]) -> tuple[int, Sequence[Row]]:
        """Send it to the driver; returns how many rows it changed, and those that it gave."""
        sent = {**self._values, **values}
        if sent.keys() != self._taken:
            raise TypeError(f"not the values of this statement: {', '.join(sent.keys() ^ self._taken)}")
        for name, process in self._into:
            sent[name] = process(sent[name])
        parameters: Any = sent if self._order is None else [sent[name] for name in self._order]
        cursor = connection.connection.cursor()
        try:
            for listener in connection.dispatch.before_cursor_execute:
                listener(connection, cursor, self._sql, parameters, None, False)
            cursor.execute(self._sql, parameters)
            given = cursor.fetchall() if self._names else ()
        except Exception as fault:
            raise _raised(connection, self._sql, fault) from fault
        finally:
            count = cursor.rowcount
            cursor.close()
        rows = [dict(zip(self._names, each)) for each in given]  # noqa: B905 - as many as were asked for
        for name, process in self._out_of:
            for row in rows:
                row[name] = process(row[name])
        return count, rows


def _raised(connection: Connection, sql: str, fault: Exception) -> BaseException:
    """Return what to raise for a driver's error, and give the connection up where it is of no use any more."""
    driver: Any = connection.dialect.loaded_dbapi
    is_gone = isinstance(fault, driver.Error) and (
        connection.dialect.is_disconnect(fault, connection.connection.driver_connection, None) or is_of_standby(fault)
    )
    if is_gone:
        connection.invalidate(fault)
    return as_sqlalchemys(connection.dialect, fault, sql, is_gone=is_gone)
