"""What each test's new provider would compile anew, which took half of a test's time: its routes and its statements.

What comes of it depends on the route or the statement, and on the kind of database; all providers of a run share it.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Dialect, event
from sqlalchemy.engine import Engine
from werkzeug.routing import Rule


def share_routes() -> None:
    """Have Werkzeug compile a route's way to build addresses once, for the routes of all applications."""
    compile_builder: Callable[[Rule, bool], Any] = Rule._compile_builder
    known: dict[Any, Any] = {}

    def compile_once(rule: Rule, append_unknown: bool = True) -> Any:
        key = (append_unknown, tuple(rule._trace), tuple(sorted((rule.defaults or {}).items())))
        if key not in known:
            known[key] = compile_builder(rule, append_unknown)
        return known[key]

    Rule._compile_builder = compile_once  # type: ignore[method-assign]


class _Compiled(dict[Any, Any]):
    """Compiled statements by the kind of database, where SQLAlchemy looks for them by the engine."""

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__(_of_kind(key), compiled)

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_of_kind(key), default)


def _of_kind(key: tuple[Dialect, Any]) -> tuple[Any, ...]:
    dialect, *statement = key
    return (type(dialect), getattr(dialect, "_json_deserializer", None), *statement)


def share_statements() -> None:
    """Have SQLAlchemy compile a statement once for each kind of database, whatever the number of engines."""
    compiled = _Compiled()

    @event.listens_for(Engine, "engine_connect")
    def share(connection: Connection) -> None:
        connection.engine._compiled_cache = compiled
