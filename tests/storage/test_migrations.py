"""Models and migrations agree, and upgrading is safe: from nothing, twice, and many at once."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from idp import migrations
from idp.errors import NotReadyError
from idp.migrations import revisions, runner
from idp.models import Base
from idp.settings import Settings
from idp.storage.database import open_engine
from tests import postgresql
from tests.at_once import at_once
from tests.house import pages

Shape = dict[str, Any]
OF_THE_STEPS = {"alembic_version", revisions.STEPS.name}


def _shape(engine: Engine) -> Shape:
    """What a database looks like to one who asks it, names of constraints and all."""
    found = inspect(engine)
    return {
        table: {
            "columns": sorted((c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)),
            "primary key": found.get_pk_constraint(table)["name"],
            "checks": sorted(str(c["name"]) for c in found.get_check_constraints(table)),
            "unique": sorted(str(c["name"]) for c in found.get_unique_constraints(table)),
            "indexes": sorted((str(i["name"]), bool(i["unique"])) for i in found.get_indexes(table)),
            "foreign keys": sorted(
                (str(k["name"]), k["referred_table"], str(k["options"])) for k in found.get_foreign_keys(table)
            ),
        }
        for table in found.get_table_names()
        if table not in OF_THE_STEPS
    }


def test_models_and_migrations_agree(empty_database: Settings, engine: Engine) -> None:
    runner.upgrade(empty_database)
    with engine.connect() as connection:
        looked_at = {"include_name": lambda name, _kind, _parents: name != revisions.STEPS.name}
        differences = compare_metadata(MigrationContext.configure(connection, opts=looked_at), Base.metadata)
    assert differences == []


def test_a_migrated_database_looks_like_one_made_from_the_models(empty_database: Settings, engine: Engine) -> None:
    runner.upgrade(empty_database)
    migrated = _shape(engine)
    with engine.begin() as connection:
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
    assert migrated == _shape(engine)
    assert set(migrated) == set(Base.metadata.tables)


def test_upgrading_from_nothing_and_twice(empty_database: Settings, engine: Engine) -> None:
    assert migrations.current_revision(engine) is None
    assert not migrations.is_current(engine)
    with pytest.raises(NotReadyError, match="run `idp init`"):
        migrations.check_ready(engine)
    newest = migrations.newest_revision()
    assert runner.upgrade(empty_database) == (None, newest)
    assert runner.upgrade(empty_database) == (newest, newest)
    assert migrations.is_current(engine)
    migrations.check_ready(engine)


def test_many_at_once(empty_database: Settings, engine: Engine) -> None:
    with engine.connect():  # SQLite's journal mode is set by the first who comes
        pass
    results = at_once(lambda _: runner.upgrade(empty_database)[0], 4)
    assert sorted(map(str, results)) == [*[migrations.newest_revision()] * 3, "None"]
    assert migrations.is_current(engine)


def test_a_failing_step_leaves_nothing_behind(
    empty_database: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply: Callable[..., None] = command.upgrade

    def apply_and_fail(*arguments: Any) -> None:
        apply(*arguments)
        raise RuntimeError("the power went")

    monkeypatch.setattr(command, "upgrade", apply_and_fail)
    with pytest.raises(RuntimeError):
        runner.upgrade(empty_database)
    assert inspect(engine).get_table_names() == []


def test_older_and_newer_databases_are_told_apart(empty_database: Settings, engine: Engine) -> None:
    runner.upgrade(empty_database)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(revisions, "newest_revision", lambda: "9999")
        with pytest.raises(NotReadyError, match="older schema"):
            migrations.check_ready(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NotReadyError, match="newer schema"):
        migrations.check_ready(engine)
    with pytest.raises(NotReadyError, match="newer schema"):
        runner.upgrade(empty_database)


def test_every_step_can_be_taken_back(empty_database: Settings, engine: Engine) -> None:
    runner.upgrade(empty_database)
    with engine.connect() as connection:
        command.downgrade(runner.configuration(connection), "base")
        connection.commit()
    assert set(inspect(engine).get_table_names()) <= OF_THE_STEPS
    assert runner.upgrade(empty_database)[0] is None


def test_steps_are_one_line_numbered_from_one() -> None:
    steps = list(ScriptDirectory(str(revisions.FOLDER)).walk_revisions())[::-1]
    assert [step.revision for step in steps] == [f"{number:04}" for number in range(1, len(steps) + 1)]
    assert all(Path(step.path).name.startswith(f"{step.revision}_") for step in steps)
    assert revisions.known_revisions() == {step.revision for step in steps}  # read from the files' names alone
    assert revisions.newest_revision() == steps[-1].revision


def test_copying_a_table_does_not_cascade(tmp_path: Path, sqlite: Engine) -> None:
    """Later steps change SQLite's tables by copying: rows that hang on them must survive that."""
    settings = Settings(instance=tmp_path)
    runner.upgrade(settings)
    with sqlite.begin() as connection:
        connection.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
        connection.execute(
            text("CREATE TABLE child (id INTEGER PRIMARY KEY, up INTEGER REFERENCES parent ON DELETE CASCADE)")
        )
        connection.execute(text("INSERT INTO parent VALUES (1)"))
        connection.execute(text("INSERT INTO child VALUES (1, 1)"))
    with sqlite.connect() as connection:
        runner._lock(connection)
        connection.execute(text("CREATE TABLE copy (id INTEGER PRIMARY KEY, more TEXT)"))
        connection.execute(text("INSERT INTO copy SELECT id, '' FROM parent"))
        connection.execute(text("DROP TABLE parent"))
        connection.execute(text("ALTER TABLE copy RENAME TO parent"))
        runner._check_foreign_keys(connection)
        connection.commit()
        assert connection.scalar(text("SELECT count(*) FROM child")) == 1


def test_a_step_that_orphans_rows_is_refused(sqlite: Engine) -> None:
    with sqlite.begin() as connection:
        connection.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
        connection.execute(text("CREATE TABLE child (id INTEGER PRIMARY KEY, up INTEGER REFERENCES parent)"))
    with sqlite.connect() as connection:
        runner._lock(connection)
        connection.execute(text("INSERT INTO child VALUES (1, 1)"))
        with pytest.raises(NotReadyError, match="child"):
            runner._check_foreign_keys(connection)


def test_foreign_keys_are_indexed_or_small(empty_database: Settings, engine: Engine) -> None:
    """Removing a user must not read whole tables of sessions, grants and tokens."""
    runner.upgrade(empty_database)
    found = inspect(engine)
    for table in ("browser_session", "user_role", "consent", "authorization_grant"):
        leading = {index["column_names"][0] for index in found.get_indexes(table)}
        leading.add(found.get_pk_constraint(table)["constrained_columns"][0])
        assert "user_id" in leading, table


def test_the_version_is_kept_where_alembic_keeps_it(empty_database: Settings, engine: Engine) -> None:
    runner.upgrade(empty_database)
    with engine.connect() as connection:
        version = connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table("alembic_version")))
    assert version == migrations.newest_revision()


@postgresql.needed
def test_indexes_may_be_made_beforehand_as_the_documentation_says(tmp_path: Path) -> None:
    """Where tables are large, while the old program works: the step then finds nothing left to do."""
    page = pages.read("deployment.md")
    statements = re.findall(r"^CREATE INDEX CONCURRENTLY [^;]+;", page, re.MULTILINE)
    assert len(statements) > 10
    with postgresql.new_database() as url:
        settings = Settings(instance=tmp_path, secret_key="x" * 32, database_url=url)
        engine = open_engine(settings)
        with engine.connect() as connection:
            command.upgrade(runner.configuration(connection), "0005")
            connection.commit()
        with psycopg.connect(url, autocommit=True) as by_hand:
            for statement in statements:
                by_hand.execute(statement)
        made = _shape(engine)
        runner.upgrade(settings)
        upgraded = _shape(engine)
        engine.dispose()
    for table, shape in upgraded.items():
        assert set(shape["indexes"]) <= set(made[table]["indexes"]), table


@postgresql.needed
def test_a_servers_own_time_limit_ends_no_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for another upgrade, or an index of a large table, takes longer than any request may."""
    seen = []
    known = revisions.revision_of

    def revision_of(connection: sa.Connection) -> str | None:
        seen.append(connection.scalar(text("SHOW statement_timeout")))
        return known(connection)

    monkeypatch.setattr(revisions, "revision_of", revision_of)
    with postgresql.new_database() as url:
        limited = f"{url}?options=-c%20statement_timeout%3D1h"
        runner.upgrade(Settings(instance=tmp_path, secret_key="x" * 32, database_url=limited))
    assert seen == ["0"]
