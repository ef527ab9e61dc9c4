"""What holds for every command: help, exit codes, which stream carries what."""

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from idp import __version__, cli
from idp.cli import NOUNS, main
from idp.cli import config as config_noun
from tests.cli.conftest import PASSWORD, Process, Run

CONTRACT = {
    "init": (),
    "serve": ("--host", "--port", "--workers"),
    "worker": ("--once",),
    "config": ("--json",),
    "doctor": ("--json",),
    "user add": ("--email", "--first-name", "--last-name", "--role", "--password-stdin"),
    "user list": ("--json",),
    "user show": ("--json",),
    "user disable": (),
    "user enable": (),
    "user set-password": ("--password-stdin",),
    "user roles": ("--add", "--remove", "--json"),
    "client add": (
        "--redirect-uri",
        "--post-logout-redirect-uri",
        "--public",
        "--trusted",
        "--scope",
        "--grant",
        "--id",
        "--secret-stdin",
        "--json",
    ),
    "client list": ("--json",),
    "client show": ("--json",),
    "client remove": (),
    "client rotate-secret": (),
    "client add-streamlit": ("--url", "--secrets", "--force"),
    "keys list": ("--json",),
    "keys rotate": (),
    "audit": ("--event", "--user", "--since", "--limit", "--json", "--follow"),
    "demo": ("--port", "--app-port"),
}

NEEDS_INSTANCE = (
    ("user", "list"),
    ("user", "show", "ada"),
    ("user", "disable", "ada"),
    ("user", "enable", "ada"),
    ("user", "set-password", "ada", "--password-stdin"),
    ("user", "roles", "ada"),
    ("user", "add", "ada", "--email", "ada@example.org", "--password-stdin"),
    ("client", "list"),
    ("client", "show", "x"),
    ("client", "remove", "x"),
    ("client", "rotate-secret", "x"),
    ("client", "add", "x", "--redirect-uri", "https://x.example.org/cb"),
    ("client", "add-streamlit", "x", "--url", "http://localhost:8501"),
    ("keys", "list"),
    ("keys", "rotate"),
    ("audit",),
    ("worker", "--once"),
    ("serve",),
)


def _command(words: str) -> click.Command:
    command: click.Command = main
    for word in words.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None, words
        command = found
    return command


@pytest.mark.parametrize("words", CONTRACT)
def test_every_promised_command_has_its_promised_options(words: str) -> None:
    options = {option for parameter in _command(words).params for option in parameter.opts}
    assert options >= set(CONTRACT[words])


@pytest.mark.parametrize("words", CONTRACT)
def test_every_command_explains_itself(run: Run, words: str) -> None:
    result = run(*words.split(), "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage:")
    assert all(parameter.help for parameter in _command(words).params if isinstance(parameter, click.Option))


@pytest.mark.parametrize("words", CONTRACT)
def test_whatever_lists_speaks_json(words: str) -> None:
    if words.rsplit(maxsplit=1)[-1] in ("list", "show", "roles", "audit", "config", "doctor"):
        assert "--json" in {option for parameter in _command(words).params for option in parameter.opts}


@pytest.mark.parametrize("words", ["", "user", "import", "client", "client token", "mail", "keys"])
def test_a_list_of_commands_says_whole_sentences(run: Run, words: str) -> None:
    """In a terminal of 80 columns, where what is longer would be cut."""
    assert "..." not in run(*words.split(), "--help").stdout.partition("Commands:")[2].partition("Examples:")[0]


def test_options_in_groups_are_options_only(run: Run) -> None:
    told = run("client", "update", "--help").stdout
    assert "\n  --name" in told
    assert "\n  CLIENT_ID" not in told


def test_help_names_every_noun_and_the_exit_codes(run: Run) -> None:
    shown = run("--help").stdout
    assert all(f"  {noun}" in shown for noun in NOUNS)
    assert "Exit codes:" in shown
    assert "130" in shown


LIBRARIES = ("alembic", "authlib", "cryptography", "flask", "granian", "joserfc", "sqlalchemy")


@pytest.mark.parametrize("word", ["--help", "--version"])
def test_what_needs_no_library_loads_none(instance: Path, word: str) -> None:
    program = "import sys; from idp.cli import main; main([sys.argv[1]], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, word], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "idp.cli.faults" in loaded
    assert not loaded & set(LIBRARIES)


@pytest.mark.parametrize("module", ["idp.app", "idp.cli.worker"])
def test_neither_web_process_nor_worker_loads_what_takes_the_schemas_steps(module: str) -> None:
    program = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program, module], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert module in loaded
    assert not loaded & {"alembic", "mako", "idp.migrations.runner", "zxcvbn"}


def test_version(run: Run) -> None:
    assert __version__ in run("--version").stdout


@pytest.mark.parametrize("arguments", [("nonsense",), ("user", "nonsense"), ("user", "add"), ("serve", "--port", "x")])
def test_a_wrong_command_line_ends_with_2(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert not result.stdout
    assert "Usage:" in result.stderr


@pytest.mark.parametrize("arguments", NEEDS_INSTANCE)
def test_commands_before_init_name_the_command_that_helps(empty: Path, run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments, stdin="correct horse battery staple")
    assert result.exit_code == 1
    assert not result.stdout
    assert "idp init" in result.stderr
    assert not empty.exists()


def test_the_folder_that_was_looked_in_is_named(empty: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IDP_INSTANCE")
    monkeypatch.chdir(empty.parent)
    told = run("user", "list").stderr
    assert f"The instance '{empty}' is not initialised yet: run `idp init`, or set IDP_INSTANCE" in told


def test_a_secret_key_that_went_missing_is_no_new_instance(instance: Path, run: Run) -> None:
    (instance / "secret_key").unlink()
    told = run("user", "list").stderr
    assert f"The secret key {instance / 'secret_key'} is missing." in told
    assert "bring it back" in told
    assert "bring it back" in run("doctor").stdout


@pytest.mark.parametrize("command", ["backup", "export"])
def test_a_folder_that_a_file_is_to_go_to_is_named(instance: Path, run: Run, command: str) -> None:
    result = run(command, str(instance / "none" / "file"))
    assert result.exit_code == 2
    assert f"There is no folder {instance / 'none'}: make it first." in result.stderr


def test_a_database_that_went_missing_is_not_made_anew(instance: Path, run: Run) -> None:
    (instance / "idp.sqlite3").unlink()
    result = run("user", "list")
    assert result.exit_code == 1
    assert "run `idp init`" in result.stderr
    assert not (instance / "idp.sqlite3").exists()


def test_a_file_that_is_no_database_is_named_as_such(instance: Path, run: Run) -> None:
    (instance / "idp.sqlite3").write_text("this is no database, however long one looks at it" * 100)
    result = run("user", "list")
    assert result.exit_code == 1
    assert "not a database" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_fault_of_the_configuration_is_told(empty: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_ISSUER", "http://login.example.org")
    monkeypatch.setenv("IDP_PROXY_HOPS", "many")
    monkeypatch.setenv("IDP_BRANDNAME", "x")
    result = run("config")
    assert result.exit_code == 1
    assert "issuer" in result.stderr
    assert "proxy_hops" in result.stderr
    assert "IDP_BRANDNAME" in result.stderr


def test_a_database_url_that_is_none_is_named(instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_DATABASE_URL", "postgresql://user:hush@host:port/name")
    result = run("user", "list")
    assert result.exit_code == 1
    assert "database_url" in result.stderr
    assert "hush" not in result.stderr


def test_a_server_that_is_away_is_told_without_its_password(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("IDP_DATABASE_URL", "postgresql://somebody:hushhush@127.0.0.1:1/idp")
    result = run("user", "list")
    assert result.exit_code == 1
    assert "database" in result.stderr
    assert "hushhush" not in result.stderr


def _raising(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "Stopped."),
        (EOFError(), 1, "no answer"),
        (PermissionError(13, "Permission denied", "/somewhere"), 1, "/somewhere"),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (sqlite3.OperationalError("database or disk is full"), 1, "database or disk is full"),
        (ModuleNotFoundError("No module named 'psycopg'", name="psycopg"), 1, "streamlit-idp[postgres]"),
    ],
)
def test_expected_errors_become_a_message_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, run: Run, error: BaseException, code: int, told: str
) -> None:
    monkeypatch.setattr(config_noun, "command", _raising(error))
    result = run("config")
    assert result.exit_code == code
    assert told in result.stderr
    assert "Traceback" not in result.stderr


def test_faults_of_the_program_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_noun, "command", _raising(ZeroDivisionError()))
    result: Result = CliRunner().invoke(main, ["config"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_other_programs_may_embed_the_group(instance: Path) -> None:
    result: Result = CliRunner().invoke(main, ["config"], standalone_mode=False)
    assert result.exit_code == 0


def test_as_a_process(instance: Path) -> None:
    words = (sys.executable, "-m", "idp", "config", "--json")
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert not done.stderr


TELLING = """
import logging
from idp.cli import ending
with ending.tidied():
    for fault in (KeyboardInterrupt("a signal"), OSError("a fault")):
        try:
            raise fault
        except BaseException:
            logging.getLogger("sqlalchemy.pool").exception("closing a connection")
"""


def test_a_signal_is_not_told_as_a_fault() -> None:
    """It may come while a connection is closed, and SQLAlchemy writes down what comes then."""
    told = subprocess.run(
        (sys.executable, "-c", TELLING), capture_output=True, text=True, timeout=60, check=True
    ).stderr
    assert told.count("closing a connection\n") == 1
    assert "a fault" in told
    assert "a signal" not in told


def test_ctrl_c_as_a_process_ends_with_130(instance: Path, start: Callable[..., Process]) -> None:
    process = start("audit", "--follow", "--json")
    process.stdout.readline()  # it runs by now
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == cli.INTERRUPTED
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("user add ada --email ada@example.org", "use --password-stdin"),
        ("user add ada --email ada@example.org --password-stdin", "Nothing came on stdin"),
        ("import accounts -", "This is not JSON"),
        ("keys rotate --now", "nothing was done"),
    ],
)
def test_a_closed_stdin_holds_nothing(instance: Path, arguments: str, told: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m idp {arguments} <&-"], capture_output=True, text=True, check=False
    )
    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_stdout_takes_everything(instance: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {sys.executable} -m idp export >&-"], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "Exported 0 accounts.\n")


def test_letters_that_a_terminal_has_not_are_written_as_numbers(
    instance: Path, ada: str, succeed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed(
        "user", "add", "wang", "--email", "wang@example.org", "--first-name", "王", "--password-stdin", stdin=PASSWORD
    )
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    shown = subprocess.run([sys.executable, "-m", "idp", "user", "show", "wang"], capture_output=True, check=True)
    assert rb"\u738b" in shown.stdout
