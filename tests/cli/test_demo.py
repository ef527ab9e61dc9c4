"""`idp demo`: what it refuses, and the whole of it with real processes."""

import importlib.util
import shutil
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from idp import signals
from idp.cli import children, demo
from idp.cli.children import Child, Children
from idp.cli.demo import DemoApp
from idp.errors import IdpError
from tests.cli.conftest import Process, Run
from tests.ports import free_port


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the demo puts its throw-away instance."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.mark.parametrize("which", ["--port", "--app-port", "--second-app-port"])
def test_a_taken_port_is_named(run: Run, temporary: Path, taken_port: int, which: str) -> None:
    ports = {"--port": free_port(), "--app-port": free_port(), "--second-app-port": free_port(), which: taken_port}
    result = run("demo", *(word for name, port in ports.items() for word in (name, str(port))))
    assert result.exit_code == 1
    assert f"Port {taken_port} is taken" in result.stderr
    assert not list(temporary.iterdir())


def test_ports_must_differ(run: Run) -> None:
    assert run("demo", "--port", "9000", "--app-port", "9000").exit_code == 2


@pytest.mark.parametrize("missing", ["streamlit", "httpx", "streamlit_bridge"])
def test_without_streamlit_the_extra_is_named(run: Run, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else found(name))
    result = run("demo")
    assert result.exit_code == 1
    assert "streamlit-idp[demo]" in result.stderr


def test_the_demo_script_is_found() -> None:
    assert demo.find_demo_script().is_file()


def test_passwords_are_readable_and_differ() -> None:
    made = {demo.readable_password() for _ in range(50)}
    assert len(made) == 50
    assert all(set(password) <= {*"abcdefghijklmnopqrstuvwxyz-"} and len(password) == 23 for password in made)


def test_the_second_app_has_a_port_of_its_own_by_default() -> None:
    context = demo.command.make_context("demo", ["--second-app-port", "--port", "9"])
    given = {"script": None, "role_names": (), "port": 9, "app_port": 8501, "second_app_port": 8502}
    assert context.params == given


@pytest.mark.parametrize("script", ["missing.py", "."])
def test_an_app_that_is_not_there_is_refused(run: Run, script: str) -> None:
    assert run("demo", script).exit_code == 2


@pytest.mark.parametrize(("role", "told"), [("Team Lead", "'Team Lead'"), ("", "''"), ("ada", "leave out a --role")])
def test_a_role_that_can_be_nobodys_is_refused(run: Run, role: str, told: str) -> None:
    refused = run("demo", "--role", role)
    assert (refused.exit_code, told in refused.stderr) == (2, True)


def test_an_app_of_ones_own_runs_where_it_is_and_finds_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, work, throw_away = (tmp_path / name for name in ("home", "work", "throw-away"))
    (work / "pages").mkdir(parents=True)
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    app = DemoApp("Your app", "localhost", 9)
    child = demo.streamlit_child(app, Path("pages", "main.py"), throw_away, {}, is_own=True)
    flags = list(zip(child.arguments, child.arguments[1:], strict=False))
    secrets = [Path(value).parent.parent for flag, value in flags if flag == "--secrets.files"]
    assert secrets == [home, work, work / "pages", throw_away]  # what tells it of the provider counts most
    assert ("run", str(work / "pages" / "main.py")) in flags
    assert ("--server.fileWatcherType", "auto") in flags
    assert ("--server.baseUrlPath", "") in flags
    assert child.folder == work


@pytest.mark.parametrize(("variable", "told"), [("", ""), ("NO_PROXY", "intranet,"), ("no_proxy", "intranet,")])
def test_no_proxy_stands_between_provider_and_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, told: str
) -> None:
    for name in ("NO_PROXY", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.org:3128")
    if variable:
        monkeypatch.setenv(variable, "intranet")
    environ = demo._environment(tmp_path, 8000)
    assert environ["NO_PROXY"] == environ["no_proxy"] == f"{told}localhost,127.0.0.1"
    assert environ["http_proxy"] == "http://proxy.example.org:3128"  # an app of one's own may need it


def test_a_hangup_that_is_ignored_stays_so(run: Run, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below `nohup` the demo outlives its terminal."""
    found: list[object] = []
    monkeypatch.setattr(demo, "_run", lambda *_, **__: found.append(signal.getsignal(signals.HANGUP)))
    before = signal.signal(signals.HANGUP, signal.SIG_IGN)
    try:
        run("demo", "--port", str(free_port()), "--app-port", str(free_port()))
    finally:
        signal.signal(signals.HANGUP, before)
    assert found == [signal.SIG_IGN]


def _child(folder: Path, script: str) -> Child:
    arguments = (sys.executable, "-c", script)
    return Child(name="child", arguments=arguments, folder=folder, environ={}, answers_at="http://127.0.0.1:1/")


def test_a_child_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Children(tmp_path) as running:
        running.start(_child(tmp_path, "import sys; print('a sad story'); sys.exit(3)"))
        with pytest.raises(IdpError) as told:
            running.wait_until_all_answer()
    assert "exit code 3" in told.value.message
    assert "a sad story" in told.value.message


def test_a_child_that_never_answers_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "START_WITHIN", 0.2)
    with Children(tmp_path) as running:
        running.start(_child(tmp_path, "import time; time.sleep(60)"))
        with pytest.raises(IdpError, match="did not answer"):
            running.wait_until_all_answer()


def test_a_child_that_will_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "STOP_WITHIN", 0.2)
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('up', 'w'); time.sleep(60)"
    with Children(tmp_path) as running:
        running.start(_child(tmp_path, script))
        while not (tmp_path / "up").exists():
            time.sleep(0.02)
        process = running._running["child"][1]
    assert process.returncode == -signal.SIGKILL


def test_the_folder_goes_as_soon_as_its_files_are_closed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows files stay as long as somebody has them open."""
    remove, tries = shutil.rmtree, []

    def refuse_at_first(folder: Path, *, ignore_errors: bool) -> None:
        tries.append(ignore_errors)
        if len(tries) > 2:
            remove(folder)

    monkeypatch.setattr("shutil.rmtree", refuse_at_first)
    with demo._throw_away_folder() as folder:
        (folder / "file").touch()
    assert list(temporary.iterdir()) == []
    assert tries == [True, True, True]


def test_a_folder_that_stays_is_told(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove = shutil.rmtree
    monkeypatch.setattr(demo, "REMOVED_WITHIN", -1)
    monkeypatch.setattr(
        "shutil.rmtree", lambda folder, *, ignore_errors: remove(folder / "nowhere", ignore_errors=ignore_errors)
    )
    with pytest.raises(FileNotFoundError), demo._throw_away_folder():
        pass


@pytest.mark.parametrize(("number", "is_own"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_the_whole_of_it(
    empty: Path, temporary: Path, tmp_path: Path, start: Callable[..., Process], number: signal.Signals, is_own: bool
) -> None:
    pytest.importorskip("streamlit")
    script = tmp_path / "main.py"
    script.write_text("import streamlit as st\n\nst.login()\n")
    port, app_port, second_port = free_port(), free_port(), free_port()
    ports = ("--port", str(port), "--app-port", str(app_port), "--second-app-port", str(second_port))
    process = start("demo", *ports, *((str(script), "--role", "editor", "--role", "reports:view") if is_own else ()))
    shown = ""
    while ("reports.view" if is_own else "bob") not in shown:
        line = process.stdout.readline()
        assert line, process.communicate()
        shown += line
    urls = (f"http://localhost:{app_port}", f"http://127.0.0.1:{second_port}", f"http://localhost:{port}")
    for url in urls:
        assert url in shown
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert answer.status == 200
    assert "admin" in shown
    assert is_own == ("Your app" in shown)
    assert is_own == any(line.startswith("editor ") for line in shown.splitlines())
    folders = list(temporary.glob("idp-demo-*"))
    assert len(folders) == 1
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert not folders[0].exists()
    for each in (port, app_port, second_port):
        with closing(socket.socket()) as probe:
            assert probe.connect_ex(("127.0.0.1", each)) != 0
    assert not empty.exists()  # an operator's own instance has no part in it
