"""`idp serve`: refusals before it starts, and a real server that stops when it is told to."""

import contextlib
import json
import os
import re
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from typing import Any

import pytest

from idp.cli import serve
from idp.errors import NotReadyError
from idp.serving.start import Serving
from idp.settings import Settings
from tests.cli.conftest import Process, Run
from tests.ports import free_port
from tests.waiting import until


def get_when_ready(url: str, process: Process) -> Any:
    """Fetch JSON from a server that is about to start."""

    def look() -> Any:
        assert process.poll() is None, process.communicate()
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.loads(answer.read())
        except OSError:
            return None

    return until(look, "the server did not start")


def start_server(start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[Process, int]:
    """Start `idp serve` at a port of its own, and return both once it answers."""
    port = free_port()
    monkeypatch.setenv("IDP_ISSUER", f"http://127.0.0.1:{port}")
    process = start("serve", *options)
    get_when_ready(f"http://127.0.0.1:{port}/.well-known/openid-configuration", process)
    return process, port


@pytest.mark.parametrize(
    ("issuer", "port"),
    [
        ("http://localhost:8000", 8000),
        ("http://127.0.0.1:9201", 9201),
        ("http://localhost", 8000),
        ("https://login.example.org", 8000),
        ("https://login.example.org:8443", 8000),
    ],
)
def test_the_default_port_is_the_issuers_on_this_machine(issuer: str, port: int) -> None:
    assert serve.default_port(Settings(issuer=issuer)) == port


def test_a_taken_port(instance: Path, run: Run, taken_port: int) -> None:
    result = run("serve", "--port", str(taken_port))
    assert result.exit_code == 1
    assert f"Port {taken_port} is taken" in result.stderr


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_a_host_that_is_not_of_this_machine(instance: Path, run: Run, host: str) -> None:
    result = run("serve", "--host", host, "--port", str(free_port()))
    assert result.exit_code == 1
    assert host in result.stderr


def test_a_foreign_secret_key_is_noticed_before_it_starts(
    instance: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDP_SECRET_KEY", "the key of quite another instance than this")
    result = run("serve", "--port", str(free_port()))
    assert result.exit_code == 1
    assert "does not fit this database" in result.stderr


def test_serves_from_a_folder_that_is_gone(instance: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Such as that of a release which another has replaced."""
    port, gone = free_port(), tmp_path / "gone"
    monkeypatch.setenv("IDP_ISSUER", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("PYTHONPATH", os.getcwd(), prepend=":")
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with Popen([sys.executable, "-m", "idp", "serve"], stdout=PIPE, stderr=PIPE, text=True) as process:
        try:
            assert get_when_ready(f"http://127.0.0.1:{port}/readyz", process)
        finally:
            process.terminate()
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "ERROR" not in stderr


# As macOS is: without what only Linux has, and with processes started anew. What Python itself has of the system is
# loaded before.
LIKE_MACOS = """
import multiprocessing, os, socket, sys, sysconfig, urllib.request
sysconfig.get_config_vars()
multiprocessing.set_start_method("spawn", force=True)
for module, names in (
    (os, "posix_fallocate eventfd sched_getaffinity sched_setaffinity sched_setscheduler"), (socket, "TCP_INFO")
):
    for name in names.split():
        vars(module).pop(name, None)
sys.platform = "darwin"
"""


def test_serves_where_there_is_less_than_on_linux(
    instance: Path, start: Callable[..., Process], adjust: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    adjust(LIKE_MACOS)
    monkeypatch.setenv("IDP_METRICS_TOKEN", "whoever-collects-metrics")
    process, port = start_server(start, monkeypatch, "--workers", "2")
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics")
    request.add_header("Authorization", "Bearer whoever-collects-metrics")

    def count() -> bool:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return b"\nidp_processes 3\n" in answer.read()

    until(count, "the two web processes and the worker do not count together")
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "ERROR" not in stderr


def readiness(port: int) -> int:
    """Ask whether requests may be sent to a server."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return int(refusal.code)


@pytest.mark.skipif(sys.platform != "linux", reason="web processes share no memory with the server here")
@pytest.mark.parametrize(
    ("number", "ends"),
    [(signal.SIGTERM, "by itself"), (signal.SIGTERM, "at a second signal"), (signal.SIGHUP, "by itself")],
)
def test_says_that_it_will_stop_before_it_does(
    instance: Path,
    start: Callable[..., Process],
    adjust: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    ends: str,
) -> None:
    """A proxy that asks sends requests elsewhere by then; who comes meanwhile is answered."""
    adjust("import multiprocessing\nmultiprocessing.set_start_method('forkserver')\n")  # Python's own choice since 3.14
    drain = "10" if ends == "by itself" else "300"
    process, port = start_server(start, monkeypatch, "--no-worker", "--workers", "2", "--drain", drain)
    assert readiness(port) == 200
    process.send_signal(number)
    until(lambda: readiness(port) == 503, "it does not say so")
    assert get_when_ready(f"http://127.0.0.1:{port}/.well-known/openid-configuration", process)
    if ends == "at a second signal":
        process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert f"Stopping in {drain} seconds" in stderr


def test_a_hangup_that_is_ignored_stays_so(
    instance: Path, start: Callable[..., Process], adjust: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below `nohup` the server outlives its terminal, and settings stay those that it began with."""
    adjust("import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n")
    process, port = start_server(start, monkeypatch, "--no-worker")
    (instance / "idp.toml").write_text("no setting at all")
    os.killpg(process.pid, signal.SIGHUP)
    with pytest.raises(TimeoutExpired):
        process.wait(timeout=2)
    assert readiness(port) == 200
    process.send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert stderr.count("Spawning worker") == 1  # no other took its place


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="reads Linux's list of what a process has loaded")
def test_the_server_itself_loads_next_to_nothing(
    instance: Path, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lives for months beside those that answer: it keeps neither the application nor what it checked with."""
    process, _ = start_server(start, monkeypatch, "--no-worker")
    loaded = Path(f"/proc/{process.pid}/maps").read_text()
    assert "_granian" in loaded
    # Each of them has compiled parts, which a process maps: what does not show was not imported.
    for library in ("sqlalchemy", "sqlite3", "cryptography", "_bcrypt", "markupsafe"):
        assert library not in loaded
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert peak is not None
    assert int(peak[1]) < 40 * 1024  # 28 MiB where this was written; with the application it would be 80


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux lets a process choose its processors")
@pytest.mark.parametrize("is_default", [True, False])
def test_each_web_process_keeps_to_a_processor_of_its_own(
    instance: Path, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch, is_default: bool
) -> None:
    usable = os.sched_getaffinity(0)
    many = 1 if is_default else len(usable)
    process, _ = start_server(start, monkeypatch, "--no-worker", *(() if is_default else ("--workers", str(many))))

    def web_processes() -> list[int]:
        return [int(each) for each in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]

    def each_has_its_own() -> bool:
        kept = list(map(os.sched_getaffinity, web_processes()))
        return [len(each) for each in kept] == [1] * many and len(set().union(*kept)) == many

    until(each_has_its_own, "the web processes share processors")
    os.kill(killed := web_processes()[0], signal.SIGKILL)
    until(lambda: killed not in web_processes() and each_has_its_own(), "the one that took its place shares another's")
    assert os.sched_getaffinity(process.pid) == usable


def test_the_server_is_told_what_was_decided() -> None:
    serving = Serving("::1", 8080, 3, False, 5, "debug", "json")
    assert Serving.of_words(serving.words()) == serving
    assert Serving.of_words(serving._replace(has_worker=True).words()).has_worker


def test_a_stop_while_processes_still_load_is_not_missed(
    instance: Path, start: Callable[..., Process], adjust: Callable[[str], None]
) -> None:
    adjust("from idp.serving import server\nserver.STOP_WITHIN = 100\n")  # a slow machine loads them for a while first
    process = start("serve", "--port", str(free_port()), "--workers", "3", "--no-worker")
    shown = ""
    while "Spawning worker-3" not in shown:
        line = process.stderr.readline()
        assert line, shown
        shown += line
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=90)  # one that missed it would be killed later than that
    assert process.returncode == 0, shown + rest
    assert "ERROR" not in rest


def test_a_web_process_that_cannot_start_says_why_in_the_log(
    instance: Path, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDP_LOG_FORMAT", "json")
    process, _ = start_server(start, monkeypatch, "--no-worker")
    (instance / "idp.toml").write_text("brand = 1\n")  # by an operator who means to restart it later
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
    _, shown = process.communicate(timeout=120)  # starting it again does not mend that
    assert process.returncode == 1
    lines = [json.loads(line) for line in shown.splitlines()]  # each is an object
    told = next(line for line in lines if line["message"] == "A web process cannot start.")
    assert "unknown setting 'brand'" in told["exception"]


def is_free(port: int) -> bool:
    """Tell whether a server could begin at a port."""
    with contextlib.suppress(NotReadyError):
        serve.check_free("127.0.0.1", port)
        return True
    return False


@pytest.mark.parametrize("workers", ["1", "3"])
def test_a_killed_server_leaves_nothing_behind(
    instance: Path, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    process, port = start_server(start, monkeypatch, "--workers", workers)
    process.kill()
    process.communicate(timeout=120)  # ends when nobody holds stdout and stderr any more: neither processes nor worker
    until(lambda: is_free(port), "somebody listens still")


# Says in a file that a password is being hashed, and takes more than a second for it.
SLOW_HASH = """
import bcrypt, pathlib, time

quickly = bcrypt.checkpw


def slowly(*given):
    pathlib.Path({file!r}).touch()
    time.sleep(1)
    return quickly(*given)


bcrypt.checkpw = slowly
"""


@pytest.fixture
def hashing(tmp_path: Path) -> Path:
    """A file that is there as soon as somebody's password is being hashed."""
    return tmp_path / "hashing"


@pytest.fixture
def slow_sign_in(instance: Path, ada: str, hashing: Path, adjust: Callable[[str], None]) -> Callable[[int], bytes]:
    """Prepare a sign-in whose hash takes a second or more; gives the request."""

    def prepare(port: int) -> bytes:
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/sign-in", timeout=60)
        cookie = page.headers["Set-Cookie"].partition(";")[0]
        token = page.read().decode().split('name="csrf_token" value="')[1].partition('"')[0]
        body = f"username=nobody&password=wrong&csrf_token={token}"
        lines = (
            "POST /sign-in HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            f"Cookie: {cookie}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        return "\r\n".join((*lines, "", body)).encode()

    adjust(SLOW_HASH.format(file=str(hashing)))
    return prepare


@pytest.mark.parametrize(
    ("workers", "send", "number"),
    [
        ("1", os.kill, signal.SIGTERM),
        ("2", os.kill, signal.SIGINT),
        ("2", os.kill, signal.SIGHUP),
        ("1", os.killpg, signal.SIGINT),  # a terminal tells all
        ("1", os.killpg, signal.SIGHUP),
    ],
)
def test_serves_and_stops_when_the_request_at_hand_is_finished(
    start: Callable[..., Process],
    slow_sign_in: Callable[[int], bytes],
    hashing: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: str,
    send: Callable[[int, int], None],
    number: signal.Signals,
) -> None:
    process, port = start_server(start, monkeypatch, "--workers", workers)
    discovery = get_when_ready(f"http://127.0.0.1:{port}/.well-known/openid-configuration?code=hush", process)
    assert discovery["issuer"] == f"http://127.0.0.1:{port}"
    request = slow_sign_in(port)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(request)
        until(hashing.exists)
        send(process.pid, number)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 422"), answer[:200]
    assert b"</html>" in answer
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert not stdout
    assert "Listening at" in stderr
    assert "hush" not in stderr
    assert "ERROR" not in stderr
    assert "Python threads" not in stderr  # the server's advice, which does not fit a server that waits
