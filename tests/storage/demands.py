"""What a new schema demands that a program of before does not know of: it goes on writing as it always did."""

from typing import Any

from sqlalchemy import Engine, inspect

Tables = dict[str, dict[str, Any]]
HARMLESS = ("CASCADE", "SET NULL")  # what a new reference may do when its row is deleted


def read_tables(engine: Engine) -> Tables:
    """Return what a database says of its tables."""
    found = inspect(engine)
    return {
        name: {
            "columns": {each["name"]: each for each in found.get_columns(name)},
            "references": [
                (tuple(each["constrained_columns"]), each["referred_table"], each["options"].get("ondelete", ""))
                for each in found.get_foreign_keys(name)
            ],
            "unique": {tuple(each["column_names"]) for each in found.get_unique_constraints(name)}
            | {tuple(each["column_names"]) for each in found.get_indexes(name) if each["unique"]},
            "checks": {each["name"]: each["sqltext"] for each in found.get_check_constraints(name)},
        }
        for name in found.get_table_names()
    }


def find_demands(before: Tables, after: Tables) -> list[str]:
    """Return what a program for one schema does not survive in another; nothing if it may go on."""
    demands = [f"{table} is gone" for table in before if table not in after]
    for table, new in after.items():
        old = before.get(table)
        if old is None:
            demands += [
                f"{table} holds rows of {other} fast"
                for _, other, on_delete in new["references"]
                if other in before and on_delete not in HARMLESS
            ]
        else:
            demands += _of_columns(table, old["columns"], new["columns"])
            demands += _of_rules(table, old, new)
    return demands


def _of_columns(table: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    demands = [f"{table}.{name} is gone" for name in old if name not in new]
    for name, column in new.items():
        may_be_left_out = column["nullable"] or column["default"] is not None
        if name not in old:
            demands += [] if may_be_left_out else [f"{table}.{name} must be written"]
        elif str(column["type"]) != str(old[name]["type"]):
            demands.append(f"{table}.{name} has another type")
        elif old[name]["nullable"] and not column["nullable"]:
            demands.append(f"{table}.{name} must not be empty")
    return demands


def _of_rules(table: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Rules about columns that are new, and that nobody of before writes, bind nobody of before."""
    known = set(old["columns"])
    demands = [
        f"{table} ({', '.join(columns)}) must be unique"
        for columns in new["unique"] - old["unique"]
        if set(columns) <= known
    ]
    demands += [
        f"{table} ({', '.join(columns)}) must refer to {other}"
        for columns, other, _ in new["references"]
        if set(columns) <= known and (columns, other) not in [each[:2] for each in old["references"]]
    ]
    return demands + [
        f"{table} has another check {name}"
        for name, said in new["checks"].items()
        if said != old["checks"].get(name) and any(column in said for column in known)
    ]
