"""What each step asks of the programs before it, and what a database that is newer tells a program."""

from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from idp import migrations
from idp.errors import NotReadyError
from idp.migrations import revisions, runner
from idp.settings import Settings
from idp.storage.database import open_engine
from tests.storage.demands import find_demands, read_tables


def test_programs_before_go_on_with_each_new_schema(tmp_path: Path) -> None:
    """Servers are replaced one by one: a step only adds, or says for whom it is too much."""
    engine = open_engine(Settings(instance=tmp_path, secret_key="x" * 32))
    before, demands = read_tables(engine), {}
    for step in list(ScriptDirectory(str(runner.FOLDER)).walk_revisions())[::-1]:
        with engine.connect() as connection:
            runner._lock(connection)
            command.upgrade(runner.configuration(connection), step.revision)
            connection.commit()
        after = read_tables(engine)
        if not hasattr(step.module, "oldest_program"):
            demands[step.revision] = find_demands(before, after)
        before = after
    engine.dispose()
    assert len(before) > 10
    assert {revision: asked for revision, asked in demands.items() if asked} == {}


@pytest.mark.parametrize(
    ("change", "demand"),
    [
        ("DROP TABLE leaf", "leaf is gone"),
        ("ALTER TABLE tree DROP COLUMN kind", "tree.kind is gone"),
        ("ALTER TABLE tree RENAME COLUMN kind TO sort", "tree.kind is gone"),
        ("CREATE UNIQUE INDEX one ON tree (kind)", "tree (kind) must be unique"),
        ("CREATE TABLE nest (id INTEGER PRIMARY KEY, tree INTEGER REFERENCES tree)", "nest holds rows of tree fast"),
        ("DROP TABLE leaf; CREATE TABLE leaf (id INTEGER PRIMARY KEY, tree INTEGER NOT NULL)", "leaf.tree must not be"),
        ("DROP TABLE leaf; CREATE TABLE leaf (id INTEGER PRIMARY KEY, tree TEXT)", "leaf.tree has another type"),
        (
            "DROP TABLE leaf; CREATE TABLE leaf (id INTEGER PRIMARY KEY, tree INTEGER, n INTEGER NOT NULL)",
            "leaf.n must",
        ),
        (
            "DROP TABLE leaf; CREATE TABLE leaf (id INTEGER PRIMARY KEY, tree INTEGER REFERENCES tree)",
            "leaf (tree) must refer to tree",
        ),
        (
            "DROP TABLE leaf; CREATE TABLE leaf (id INTEGER PRIMARY KEY, tree INTEGER CONSTRAINT few CHECK (tree < 9))",
            "leaf has another check few",
        ),
    ],
    ids=range(10),
)
def test_what_is_too_much_is_found(sqlite: Engine, change: str, demand: str) -> None:
    [found] = _demands_of(sqlite, change)
    assert demand in found


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE tree ADD COLUMN height INTEGER",
        "ALTER TABLE tree ADD COLUMN height INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE tree ADD COLUMN height INTEGER CHECK (height > 0)",
        "CREATE INDEX some ON tree (kind)",
        "CREATE TABLE nest (id INTEGER PRIMARY KEY, t INTEGER, FOREIGN KEY(t) REFERENCES tree (id) ON DELETE CASCADE)",
        "ALTER TABLE leaf ADD COLUMN nest INTEGER REFERENCES tree (id) ON DELETE SET NULL",
    ],
    ids=range(6),
)
def test_what_only_adds_is_not(sqlite: Engine, change: str) -> None:
    assert _demands_of(sqlite, change) == []


def _demands_of(engine: Engine, change: str) -> list[str]:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE tree (id INTEGER PRIMARY KEY, kind TEXT)"))
        connection.execute(text("CREATE TABLE leaf (id INTEGER PRIMARY KEY, tree INTEGER)"))
    before = read_tables(engine)
    with engine.begin() as connection:
        for statement in change.split("; "):
            connection.execute(text(statement))
    return find_demands(before, read_tables(engine))


def test_each_step_is_noted_for_programs_that_do_not_know_it(empty_database: Settings, engine: Engine) -> None:
    runner.upgrade(empty_database)
    with engine.connect() as connection:
        noted = {row.revision: row.oldest_program for row in connection.execute(revisions.STEPS.select())}
    assert set(noted) == revisions.known_revisions()
    assert all(oldest <= revision for revision, oldest in noted.items())
    steps = {each.revision: each.module for each in ScriptDirectory(str(runner.FOLDER)).walk_revisions()}
    for revision, oldest in noted.items():
        said = getattr(steps[revision], "oldest_program", None)
        assert oldest == said if said else oldest in ("0001", *noted.values())


def test_a_step_that_is_too_much_says_so_for_all_that_come_after(
    empty_database: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = ScriptDirectory(str(runner.FOLDER))
    monkeypatch.setattr(ScriptDirectory, "from_config", lambda _config: scripts)
    monkeypatch.setattr(scripts.get_revision("0003").module, "oldest_program", "0003", raising=False)
    runner.upgrade(empty_database)
    with engine.connect() as connection:
        noted = {row.revision: row.oldest_program for row in connection.execute(revisions.STEPS.select())}
    assert [noted[revision] for revision in ("0001", "0002", "0003", "0004")] == ["0001", "0001", "0003", "0003"]


@pytest.mark.parametrize(("oldest", "is_served"), [("0001", True), ("newest", True), ("9998", False), ("", False)])
def test_a_newer_database_says_whom_it_serves(
    empty_database: Settings, engine: Engine, oldest: str, is_served: bool
) -> None:
    newest = migrations.newest_revision()
    runner.upgrade(empty_database)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        if oldest:
            revisions.note_step(connection, "9999", newest if oldest == "newest" else oldest)
    if is_served:
        assert migrations.check_ready(engine) == "9999"
        assert runner.upgrade(empty_database) == ("9999", "9999")
        assert migrations.current_revision(engine) == "9999"
        return
    for act in (lambda: migrations.check_ready(engine), lambda: runner.upgrade(empty_database)):
        with pytest.raises(NotReadyError, match=r"newer schema .9999. than this program works with"):
            act()


def test_a_newer_database_without_notes_serves_nobody(empty_database: Settings, engine: Engine) -> None:
    runner.upgrade(empty_database)
    with engine.begin() as connection:
        revisions.STEPS.drop(connection)
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NotReadyError, match="install the release"):
        migrations.check_ready(engine)
