"""What each test's new provider would make anew, which took half of a test's time: routes, statements, estimates.

What comes of it depends on the route, on the statement and the kind of database, or on the password and its owner; all
providers of a run share it.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, event
from sqlalchemy.engine import Engine
from werkzeug.routing import Rule

from idp.accounts import password_policy


def share_routes() -> None:
    """Have Werkzeug compile a route once, for the routes of all applications."""
    compile_route: Callable[[Rule], None] = Rule.compile
    known: dict[Any, dict[str, Any]] = {}

    def compile_once(rule: Rule) -> None:
        assert rule.map is not None
        place = (rule.host, rule.subdomain, rule.map.host_matching, rule.merge_slashes)
        key = (rule.rule, place, tuple(sorted((rule.defaults or {}).items())), tuple(rule.map.converters.items()))
        if key not in known:
            compile_route(rule)
            found = {name: getattr(rule, name) for name in ("_parts", "_trace", "_converters", "arguments")}
            known[key] = found | {name: getattr(rule, name).__func__ for name in ("_build", "_build_unknown")}
            return
        for name, compiled in known[key].items():
            setattr(rule, name, compiled.__get__(rule) if name.startswith("_build") else compiled.copy())

    Rule.compile = compile_once  # type: ignore[method-assign]


def share_estimates() -> None:
    """Have a password estimated once: most accounts of tests have the same one, and the same owner."""
    score = lru_cache(password_policy._score)
    password_policy._score = lambda password, words: score(password, tuple(words))


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
    """Have SQLAlchemy compile a statement, and look for a type, once for each kind of database, not for each engine."""
    compiled = _Compiled()
    types: dict[Any, Any] = {}

    @event.listens_for(Engine, "engine_connect")
    def share(connection: Connection) -> None:
        connection.engine._compiled_cache = compiled
        dialect = connection.dialect
        dialect._type_memos = types.setdefault(_of_kind((dialect,)), dialect._type_memos)
