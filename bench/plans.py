"""How the database means to answer a statement, and which tables it would read from end to end for that."""

import json
import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from idp.models import Base

# Operators make these; none of them grows with people or with what people do.
SMALL = {"client", "client_logo", "initial_access_token", "signing_key"}
GROWING = frozenset(Base.metadata.tables) - SMALL
NOTHING = 100.0  # in PostgreSQL's own measure: a hundred pages read in a row
_EXPLAINED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


def whole_tables(connection: Connection, sql: str, parameters: Any, *, is_small: bool = True) -> set[str]:
    """Return the growing tables that a statement would read from end to end; it is not run.

    Args:
        is_small: PostgreSQL reads a table of a few rows whole whatever indexes there are, so it is told to avoid that:
            what is left is what it cannot avoid. Otherwise it chooses, and what it reckons to be next to nothing counts
            as nothing.
    """
    if not sql.lstrip().upper().startswith(_EXPLAINED):
        return set()
    if isinstance(parameters, list):
        parameters = tuple(parameters)
    if connection.dialect.name == "sqlite":
        plan = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", parameters)]
        scanned = {found[1] for step in plan if (found := re.match(r"SCAN (\w+)", step))}
    else:
        if is_small:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        told = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sql}", parameters).scalar()
        plan = told if isinstance(told, list) else json.loads(str(told))
        scanned = set(_scanned(plan[0]["Plan"], 0.0 if is_small else NOTHING))
    return {re.sub(r"_\d+$", "", name) for name in scanned} & GROWING


def _scanned(node: dict[str, Any], least: float) -> Iterator[str]:
    kind = node["Node Type"]
    if node["Total Cost"] < least:
        return
    if kind == "Seq Scan" or (kind in ("Index Scan", "Index Only Scan") and "Index Cond" not in node):
        yield str(node["Relation Name"])
    if kind == "Bitmap Heap Scan" and any("Index Cond" not in each for each in _bitmaps(node)):
        yield str(node["Relation Name"])
    for child in node.get("Plans", ()):
        yield from _scanned(child, least)


def _bitmaps(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for child in node.get("Plans", ()):
        if child["Node Type"] == "Bitmap Index Scan":
            yield child
        yield from _bitmaps(child)
