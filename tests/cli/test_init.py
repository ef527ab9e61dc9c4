"""`idp init`: what it makes, that it is safe to repeat, and that two at once do not hurt each other."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from idp import settings
from idp.cli import init
from idp.migrations import revisions
from idp.oidc import keys
from idp.storage.database import open_session
from tests.cli.conftest import Process, Run


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_makes_all_of_it_and_says_so(empty: Path, succeed: Run) -> None:
    result = succeed("init")
    assert not result.stdout
    for told in ("instance folder", "secret key", "database", "signing keys", "Ready"):
        assert told in result.stderr
    assert _mode(empty) == 0o700
    assert _mode(empty / "secret_key") == 0o600
    assert _mode(empty / "idp.sqlite3") == 0o600
    loaded = settings.load()
    assert len(loaded.secret_key) >= 43
    assert loaded.secret_key not in result.stderr
    with open_session(loaded) as db:
        assert set(keys.load_keys(db, loaded).active) == set(keys.ALGORITHMS)


def test_may_be_repeated(instance: Path, succeed: Run) -> None:
    secret = (instance / "secret_key").read_bytes()
    result = succeed("init")
    assert "nothing was left to do" in result.stderr
    assert (instance / "secret_key").read_bytes() == secret
    with open_session(settings.load()) as db:
        assert len(keys.list_keys(db)) == len(keys.ALGORITHMS)


def test_closes_a_folder_that_was_open(empty: Path, succeed: Run) -> None:
    empty.mkdir()
    empty.chmod(0o755)  # whatever the umask is
    (empty / "README.md").write_text("kept")
    assert "0700" in succeed("init").stderr
    assert _mode(empty) == 0o700
    assert (empty / "README.md").read_text() == "kept"


def test_two_at_once_make_one_instance(empty: Path, start: Callable[..., Process]) -> None:
    told = []
    for process in [start("init") for _ in range(2)]:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
        told.append(stderr)
    assert sum("Made the secret key" in each for each in told) == 1
    assert sum("Made the database" in each for each in told) == 1
    with open_session(settings.load()) as db:
        assert len(keys.list_keys(db)) == len(keys.ALGORITHMS)


def test_a_secret_key_from_the_environment_is_used_and_not_written(
    empty: Path, succeed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDP_SECRET_KEY", "a secret key that came from the environment")
    succeed("init")
    assert not (empty / "secret_key").exists()
    assert "nothing was left to do" in succeed("init").stderr


def test_an_empty_secret_key_in_the_environment_is_refused(
    empty: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDP_SECRET_KEY", "")
    result = run("init")
    assert result.exit_code == 1
    assert "IDP_SECRET_KEY" in result.stderr
    assert not empty.exists()


def test_a_lost_secret_key_is_not_replaced(instance: Path, run: Run) -> None:
    (instance / "secret_key").unlink()
    result = run("init")
    assert result.exit_code == 1
    assert "restore" in result.stderr
    assert not (instance / "secret_key").exists()


@pytest.mark.parametrize("content", [None, b""])
def test_a_lost_database_is_not_made_anew(instance: Path, run: Run, succeed: Run, content: bytes | None) -> None:
    (instance / "idp.sqlite3").unlink()
    if content is not None:
        (instance / "idp.sqlite3").write_bytes(content)
    result = run("init")
    assert result.exit_code == 1
    assert f"this instance had one: {instance / 'secret_key'} is there still" in result.stderr
    assert "`idp restore`" in result.stderr
    assert not list(instance.glob("idp.sqlite3-*"))
    (instance / "secret_key").rename(instance / "secret_key.old")
    assert "Made the database" in succeed("init").stderr


@pytest.mark.parametrize("command", [("doctor",), ("user", "list")])
def test_nor_is_an_emptied_one_that_another_command_has_opened(
    instance: Path, run: Run, succeed: Run, command: tuple[str, ...]
) -> None:
    """Opened, it is not of no size any more."""
    (instance / "idp.sqlite3").write_bytes(b"")
    result = run(*command)
    assert result.exit_code == 1
    assert "no tables: run `idp init` if it is new, and `idp restore` if it had some" in result.output
    assert (instance / "idp.sqlite3").stat().st_size
    result = run("init")
    assert result.exit_code == 1
    assert f"this instance had one: {instance / 'secret_key'} is there still" in result.stderr
    assert not list(instance.glob("idp.sqlite3-*"))
    (instance / "secret_key").rename(instance / "secret_key.old")
    assert "Made the database" in succeed("init").stderr


def test_a_database_that_a_restore_put_aside_is_named(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDP_SECRET_KEY", (instance / "secret_key").read_text().strip())
    (instance / "secret_key").unlink()
    (instance / "idp.sqlite3").rename(instance / "idp.sqlite3.before-restore-1795955129-4ff712")
    (instance / "idp.sqlite3.before-restore-1795955129-4ff712-wal").touch()
    result = run("init")
    assert result.exit_code == 1
    assert "give idp.sqlite3.before-restore-1795955129-4ff712 its name back" in result.stderr
    assert not (instance / "idp.sqlite3").exists()


@pytest.mark.parametrize("step", ["_upgrade", "_with_secret_key", "_make_keys"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_interrupted_init_is_taken_up_again(
    empty: Path, run: Run, succeed: Run, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    do = getattr(init, step)

    def stop(loaded: settings.Settings) -> None:
        if moment == "after":
            do(loaded)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(init, step, stop)
        assert run("init").exit_code == 130
    assert "Ready" in succeed("init").stderr
    with open_session(settings.load()) as db:
        assert len(keys.list_keys(db)) == len(keys.ALGORITHMS)


def test_a_new_instance_takes_a_secret_key_that_was_made_elsewhere(
    empty: Path, succeed: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("a secret key that came from a secret store")
    monkeypatch.setenv("IDP_SECRET_KEY_FILE", str(tmp_path / "key"))
    assert "Made the database" in succeed("init").stderr


def test_an_empty_secret_key_file_is_not_written_over(instance: Path, run: Run) -> None:
    (instance / "secret_key").write_text("")
    result = run("init")
    assert result.exit_code == 1
    assert "is empty" in result.stderr
    assert (instance / "secret_key").read_text() == ""


def test_a_foreign_secret_key_is_noticed(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_SECRET_KEY", "the key of quite another instance than this")
    result = run("init")
    assert result.exit_code == 1
    assert "does not fit this database" in result.stderr


def test_a_half_written_secret_key_is_taken_away(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        init.write_new(tmp_path / "secret_key", "clé")
    assert not (tmp_path / "secret_key").exists()


def test_a_newer_database_is_left_alone(instance: Path, database: Session, run: Run) -> None:
    database.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.commit()
    for arguments in (("init",), ("user", "list")):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "newer schema (9999)" in result.stderr


def test_an_older_database_asks_for_init(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "newest_revision", lambda: "0999")
    result = run("user", "list")
    assert result.exit_code == 1
    assert "run `idp init` to upgrade" in result.stderr


def test_an_instance_folder_that_cannot_be_made(empty: Path, run: Run) -> None:
    empty.write_text("a file")
    result = run("init")
    assert result.exit_code == 1
    assert str(empty) in result.stderr
