"""What `docs/examples` and the Procfile hold works: proxies refuse as they say, units are sound, commands exist."""

import http.server
import importlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from idp.serving import companion, server
from tests.environment import without_settings
from tests.house.pages import DOCS, ROOT
from tests.ports import free_port
from tests.waiting import until

EXAMPLES = DOCS / "examples"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CADDY = shutil.which("caddy")
AT_ONCE = 50  # requests of one address
SLOW_FORM = b"POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\na"
PAGE = b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
FORGED = "192.0.2.66"
# What the provider believes of a proxy, and what other programs do.
ABOUT_VISITORS = ("X-Forwarded-For", "X-Request-ID", "X-Forwarded-Proto", "X-Forwarded-Host")


class Provider(http.server.BaseHTTPRequestHandler):
    """Answers what the path says; nobody has to wait for it."""

    def do_GET(self) -> None:
        """Answer a number as status, and all other paths with 200; tell which headers arrived."""
        status = int(self.path[1:]) if self.path[1:].isdigit() else 200
        told = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items()).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(told)))
        if status == 503:
            self.send_header("Retry-After", "2")
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


Ask = Callable[..., socket.socket]


@pytest.fixture
def provider() -> Iterator[http.server.ThreadingHTTPServer]:
    """Something that answers in the provider's place."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider) as answering:
        thread = threading.Thread(target=answering.serve_forever)
        thread.start()
        yield answering
        answering.shutdown()
        thread.join()


@pytest.fixture
def start(
    provider: http.server.ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Ask]]:
    """Starts a proxy with its example. Bytes go through it from an address; the connection is returned."""
    monkeypatch.syspath_prepend(ROOT / "bench")
    proxies, places = importlib.import_module("proxies"), importlib.import_module("places")
    certificate, key = importlib.import_module("certificate").write_certificate(tmp_path, "proxy", "127.0.0.1")
    port, unencrypted_port = free_port(), free_port()
    behind = [f"127.0.0.1:{provider.server_port}"]
    with ExitStack() as opened:

        def send(address: str, request: bytes, *, is_encrypted: bool = True, ciphers: str = "") -> socket.socket:
            at = "127.0.0.1", port if is_encrypted else unencrypted_port
            connection = opened.enter_context(socket.create_connection(at, timeout=20, source_address=(address, 0)))
            if is_encrypted:
                trust = ssl.create_default_context(cafile=certificate)
                if ciphers:
                    trust.set_ciphers(ciphers)
                    trust.maximum_version = ssl.TLSVersion.TLSv1_2  # 1.3 has others, and none to choose
                connection = opened.enter_context(trust.wrap_socket(connection, server_hostname="127.0.0.1"))
            connection.sendall(request)
            return connection

        def start(name: str) -> Ask:
            command = proxies.PROXIES[name](tmp_path, "127.0.0.1", behind, certificate, key, (port, unencrypted_port))
            if name == "nginx":
                checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
                assert checked.returncode == 0, checked.stderr
            front = proxies.Proxy(tmp_path, places.on_loopback(name), command)
            opened.callback(front.stop)
            until(lambda: listens(port), f"{name} does not start")
            return send

        yield start


@pytest.fixture
def ask(start: Callable[[str], Ask]) -> Ask:
    """Sends through nginx."""
    return start("nginx")


@pytest.fixture(
    params=[
        pytest.param("nginx", marks=pytest.mark.skipif(not NGINX, reason="nginx is not installed")),
        pytest.param("caddy", marks=pytest.mark.skipif(not CADDY, reason="Caddy is not installed")),
    ]
)
def ask_either(start: Callable[[str], Ask], request: pytest.FixtureRequest) -> Ask:
    """Sends through nginx, then through Caddy."""
    return start(request.param)


def listens(port: int) -> bool:
    """Tell whether anybody does at a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def head(connection: socket.socket) -> tuple[int, list[str]]:
    """Return status and what `Retry-After` says, each time."""
    told = b""
    while b"\r\n\r\n" not in told and (more := connection.recv(4096)):
        told += more
    lines = told.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return int(lines[0].split()[1]), [line.partition(": ")[2] for line in lines if line.startswith("Retry-After")]


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
def test_whoever_sends_slowly_keeps_out_nobody_but_who_shares_the_address(ask):
    slow = [ask("127.9.0.1", SLOW_FORM) for _ in range(AT_ONCE)]
    refused = ask("127.9.0.1", SLOW_FORM)
    assert head(refused) == (429, ["5"])
    assert head(ask("127.9.0.1", PAGE)) == (429, ["5"])
    assert head(ask("127.9.0.2", PAGE)) == (200, [])
    for each in slow:
        each.close()
    until(lambda: head(ask("127.9.0.1", PAGE)) == (200, []), "places are not given back")


def test_people_are_told_when_to_come_back_where_nothing_answers(ask_either, provider):
    provider.shutdown()
    provider.socket.close()
    assert head(ask_either("127.9.0.1", PAGE)) == (503, ["5"])
    page = whole(ask_either("127.9.0.1", PAGE)).partition("\r\n\r\n")[2]
    assert page.strip() == "Signing in does not work just now. Please try again in a moment."


@pytest.mark.skipif(not NGINX, reason="nginx is not installed")
@pytest.mark.parametrize(("status", "after"), [(500, []), (503, ["2"]), (429, [])])
def test_nginx_leaves_the_provider_s_own_answers_as_they_are(ask, status, after):
    assert head(ask("127.9.0.1", PAGE.replace(b"/sign-in", f"/{status}".encode()))) == (status, after)


def whole(connection: socket.socket) -> str:
    """Return an answer to its end."""
    return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


def arrived(connection: socket.socket) -> list[tuple[str, str]]:
    """Return the headers with which the provider was asked."""
    told = whole(connection)
    names_and_values = (line.partition(": ") for line in told.partition("\r\n\r\n")[2].splitlines())
    return [(name, value) for name, _, value in names_and_values]


def test_no_visitor_can_say_where_they_come_from_however_they_spell_it(ask_either):
    """WSGI has one name for `X-Forwarded-For` and `X_Forwarded_For`, and who comes last counts."""
    spelled = [name.replace("-", "{}").format(*each) for name in ABOUT_VISITORS for each in product("-_", repeat=2)]
    assert {"X-Forwarded-For", "X_Forwarded_For", "X-Forwarded_For", "X_Forwarded-For"} <= set(spelled)
    claims = "".join(f"{name}: {FORGED}\r\n" for name in spelled).encode()
    headers = arrived(ask_either("127.9.0.1", PAGE.removesuffix(b"\r\n") + claims + b"\r\n"))
    assert [name for name, _ in headers if "_" in name] == []
    assert [value for name, value in headers if name.lower() == "x-forwarded-for"] == ["127.9.0.1"]
    [request_id] = [value for name, value in headers if name.lower() == "x-request-id"]
    assert request_id
    assert request_id != FORGED


def test_what_is_for_the_machine_itself_is_kept_from_visitors_at_the_root_and_below_an_issuers_path(ask_either):
    def status(path: str) -> int:
        return head(ask_either("127.9.0.1", PAGE.replace(b"/sign-in", path.encode())))[0]

    for name in ("metrics", "healthz", "readyz"):
        for path in (
            f"/{name}",
            f"/{name}?x=1",
            f"/login/{name}",
            f"/auth/login/{name}",
            f"/login/%{ord(name[0]):x}{name[1:]}",
        ):
            assert status(path) == 404, path
        assert status(f"/login/x{name}") == status(f"/{name}/x") == 200
        assert status(f"/brand/client/{name}") == status(f"/login/brand/client/{name}") == 200  # an app of that name


def test_from_http_people_are_led_to_https_and_apps_are_not(ask_either):
    def status(path: str) -> int:
        return head(ask_either("127.9.0.1", PAGE.replace(b"/sign-in", path.encode()), is_encrypted=False))[0]

    for below in ("", "/login", "/auth/login"):
        for path in ("/", "/sign-in", "/oauth/authorize?client_id=wiki", "/oauth/authorize/4711", "/oauth/end-session"):
            assert status(below + path) == 301, path
        for path in ("/oauth/token", "/oauth/par", "/oauth/userinfo", "/oauth/register/4711", "/api/v1/me"):
            assert status(below + path) == 403, path


def test_no_encryption_is_agreed_on_whose_padding_could_be_attacked(ask_either):
    assert head(ask_either("127.9.0.1", PAGE, ciphers="ECDHE+AESGCM")) == (200, [])
    with pytest.raises(ssl.SSLError):
        ask_either("127.9.0.1", PAGE, ciphers="ECDHE+AES:!AESGCM:!AESCCM")


@pytest.mark.skipif(not CADDY, reason="Caddy is not installed")
def test_caddy_takes_its_example(tmp_path):
    done = subprocess.run(
        [str(CADDY), "validate", "--adapter", "caddyfile", "--config", str(EXAMPLES / "Caddyfile")],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_units(tmp_path):
    for unit in (*EXAMPLES.glob("*.service"), *EXAMPLES.glob("*.timer")):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/idp/bin/idp ", f"{sys.executable} "))
    units = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    of_ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "idp" in line]
    assert (done.returncode, of_ours) == (0, [])  # a machine's own units may have faults


def test_the_unit_gives_a_server_the_time_that_it_takes_to_stop():
    drain = max(int(told) for told in re.findall(r"--drain (\d+)", (DOCS / "deployment.md").read_text("utf-8")))
    told = re.search(r"^TimeoutStopSec=(\d+)$", (EXAMPLES / "idp.service").read_text(), re.MULTILINE)
    assert told
    assert int(told[1]) >= drain + server.STOP_WITHIN + companion.STOP_WITHIN + 5
    assert f"`TimeoutStopSec` of the unit ({told[1]})" in " ".join((DOCS / "deployment.md").read_text("utf-8").split())


def test_a_command_on_the_server_gets_its_arguments_as_they_are_and_no_settings_among_them(tmp_path):
    """systemd takes `$$` for a dollar sign, and `$NAME` for a variable."""
    (tmp_path / "systemd-run").write_text('#!/bin/sh\nfor each; do printf "%s\\0" "$each"; done\n')
    (tmp_path / "systemd-run").chmod(0o755)
    done = subprocess.run(
        ["sh", str(EXAMPLES / "idp.sh"), "user", "add", "a $HOME  'b'", ""],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = done.stdout.split("\0")[:-1]
    assert told[told.index("/opt/idp/bin/idp") :] == ["/opt/idp/bin/idp", "user", "add", "a $$HOME  'b'", ""]
    assert {"User=idp", "EnvironmentFile=/etc/idp/environment", "IDP_INSTANCE=/var/lib/idp"} <= set(told)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may begin with a first process")
def test_what_an_image_runs_is_a_container_s_first_process(tmp_path):
    """The kernel sends it only signals that it handles, and leaves it the orphans of all others."""
    port = free_port()
    lines = dict(re.findall(r"^([A-Z]+) (.+)$", (EXAMPLES / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    check = json.loads(lines["HEALTHCHECK"].partition("CMD ")[2].replace("8000", str(port)))
    environ = without_settings()
    environ |= {"IDP_INSTANCE": str(tmp_path / "idp"), "IDP_ISSUER": "https://login.example.org"}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    first = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--"]
    with subprocess.Popen([*first, *json.loads(lines["CMD"].replace("8000", str(port)))], env=environ) as container:

        def is_healthy() -> bool:
            asked = subprocess.run(check, env=environ, stderr=subprocess.DEVNULL, check=False)
            return asked.returncode == 0

        try:
            until(is_healthy, "it does not get ready")
            inside = int(Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text())
            os.kill(inside, signal.SIGTERM)
            assert container.wait(60) == 0
        finally:
            container.kill()
    assert not listens(port)


def test_no_page_puts_the_settings_on_a_command_line():
    for page in DOCS.rglob("*.md"):
        assert not re.search(r"\$\(\s*(cat|<)\s*/etc/idp", page.read_text("utf-8")), page.name


def test_a_platform_makes_the_schema_before_it_starts_anything(tmp_path):
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    environ = without_settings()
    environ |= {"IDP_INSTANCE": str(tmp_path), "IDP_ISSUER": "https://login.example.org", "PYTHONPATH": str(ROOT)}

    def run(line: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *line.split()]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    before = run(f"{lines['worker']} --once")
    assert before.returncode
    assert "idp init" in before.stderr
    assert run(lines["release"]).returncode == 0
    assert run(f"{lines['worker']} --once").returncode == 0
