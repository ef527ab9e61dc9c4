"""Rules of the house that hold for every file."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.pages import ROOT

SOURCES = sorted((ROOT / "idp").rglob("*.py"))
NAMELESS = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "base", "misc", "shared", "core"}
ALLOWED_NAMES = {
    "idp/models/base.py",  # SQLAlchemy's own word for what all tables share
}

# What only one module may ask the system for: pattern to that module.
TIME = {"time.time", "time.monotonic", "time.perf_counter", "time.time_ns", "time.monotonic_ns", "time.process_time"}
TIME |= {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now"}
RANDOMNESS = {"secrets", "random", "uuid", "os.urandom"}
ENVIRONMENT = {"os.environ", "os.environb", "os.getenv"}
HOMES = {"idp/clock.py": TIME, "idp/crypto.py": RANDOMNESS, "idp/settings.py": ENVIRONMENT}
EXCEPTIONS = {
    ("idp/cli/database_copy.py", "os.environ"): "the environment that PostgreSQL's tools inherit",
    ("idp/cli/demo.py", "os.environ"): "the environment that child processes of the demo inherit",
    ("idp/processors.py", "random"): "where a process has its place is no secret, and the server has no cryptography",
    ("idp/serving/start.py", "os.environ"): "the environment that the server inherits from the command",
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def asked_of_the_system(path: Path) -> set[str]:
    """Return what a module reads of time, randomness and environment, by its dotted name."""
    watched = TIME | RANDOMNESS | ENVIRONMENT
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute):
            found.add(ast.unparse(node))
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found & watched


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_time_randomness_and_environment_have_one_reader_each(path):
    own = HOMES.get(relative(path), set())
    asked = asked_of_the_system(path) - own
    assert {name for name in asked if (relative(path), name) not in EXCEPTIONS} == set()


def test_each_exception_is_still_needed():
    assert {(name, each) for name, each in EXCEPTIONS if each not in asked_of_the_system(ROOT / name)} == set()


def test_the_readers_read():
    for name, watched in HOMES.items():
        assert asked_of_the_system(ROOT / name) & watched, name


def test_modules_are_named_for_what_they_do():
    names = [relative(path) for folder in ("idp", "streamlit_bridge") for path in (ROOT / folder).rglob("*.py")]
    assert len(names) > 100
    nameless = [name for name in names if NAMELESS & set(Path(name).with_suffix("").parts)]
    assert set(nameless) == ALLOWED_NAMES


def test_every_module_says_what_it_is():
    assert [relative(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text("utf-8")))] == []


def test_accounts_never_commit_but_for_the_throttle():
    """The caller owns the transaction; a charge must stay when what was charged for fails."""
    committing = {
        relative(path) for path in (ROOT / "idp" / "accounts").glob("*.py") if ".commit()" in path.read_text("utf-8")
    }
    assert committing == {"idp/accounts/throttle.py"}


def test_whatever_strangers_may_have_mailed_is_counted_for_its_mailbox():
    """All others who post mail know that its owner, or the operator, did what it tells of."""
    posting, uncounted = 0, set()
    for path in (ROOT / "idp" / "accounts").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = ast.unparse(node) if isinstance(node, ast.FunctionDef) else ""
            posting += "outbox.post(" in called
            if "outbox.post(" in called and "throttle.admits_mail(" not in called:
                uncounted.add(node.name)
    assert uncounted == {"confirm_change", "invite", "replace_password", "request_deletion"}
    assert posting > len(uncounted)


# -- Tools ------------------------------------------------------------------------------------


def run(*arguments: str) -> None:
    """In a process of its own: some of these tools rearrange the logging of theirs."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.tools
def test_layers_hold():
    run("-c", "from importlinter.cli import lint_imports_command as run; run(['--no-cache'])")


@pytest.mark.tools
def test_types_hold():
    run("-m", "mypy", "--platform", "linux")


@pytest.mark.tools
def test_types_hold_on_other_systems_too():
    """The type checker knows what Python has on none but one of them.

    Without libraries it takes an eighth of the time, and complains of what it does not know: of the same on each.
    """
    found = {}
    for platform in ("linux", "darwin", "win32"):
        options = ("--platform", platform, "--no-site-packages", "--cache-dir", os.devnull)
        command = [sys.executable, "-m", "mypy", *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        found[platform] = {line for line in done.stdout.splitlines() if ": error:" in line}
    assert all(found.values())  # it came to its end on each
    assert found["darwin"] - found["linux"] == found["win32"] - found["linux"] == set()


@pytest.mark.tools
def test_style_holds():
    run("-m", "ruff", "check", "--no-cache", "--quiet", ".")


@pytest.mark.tools
def test_form_holds():
    run("-m", "ruff", "format", "--no-cache", "--check", "--quiet", "idp", "streamlit_bridge", "tests", "bench")
