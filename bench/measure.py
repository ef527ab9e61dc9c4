#!/usr/bin/env python3
"""Print what the provider costs on this machine: CPU milliseconds per operation, with the share of bcrypt and RS256.

    python bench/measure.py                 # everything, about half a minute
    python bench/measure.py --seconds 5 --json

The application runs in this process, on a SQLite file with the production settings (WAL, synchronous=FULL, RS256,
bcrypt cost 12); requests are raw WSGI calls, so neither a web server's nor a client's work is in the figures. CPU time
is user and system time of this process: it says the same on a busy machine as on an idle one, give or take a few
per cent, which the clock on the wall does not.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import platform
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

from joserfc import jwt

from idp import crypto
from idp.accounts import registration
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR
from idp.app import create_app
from idp.migrations import runner
from idp.oidc.client_store import register_client
from idp.oidc.clients import ClientMetadata
from idp.oidc.keys import ensure_keys
from idp.settings import Settings
from idp.storage import database

PASSWORD = "correct horse battery staple"
REDIRECT_URI = "http://127.0.0.1:9/callback"
SCOPE = "openid profile email"
FORM = "application/x-www-form-urlencoded"
OWNER = Person("bench", "bench@example.org", "Bench", "Mark")
SECRET = "a secret of enough length"
BASIC = "Basic " + base64.b64encode(f"bench:{quote_plus(SECRET)}".encode()).decode()
APP = ClientMetadata(
    client_id="bench",
    client_name="Bench",
    redirect_uris=(REDIRECT_URI,),
    grant_types=("authorization_code", "refresh_token", "client_credentials"),
    scopes=("openid", "profile", "email", "offline_access"),
    is_trusted=True,
)


@dataclass
class Answer:
    """What the application answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header, or nothing."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def make_provider(folder: Path, **more: Any) -> Settings:
    """Make a provider with one person and one app; returns its settings."""
    settings = Settings(
        instance=folder,
        secret_key=crypto.new_token(),
        throttle_account_burst=10**6,
        throttle_address_burst=10**6,
        log_level="error",
        **more,
    )
    runner.upgrade(settings)
    with database.open_session(settings) as db:
        ensure_keys(db, settings, OPERATOR)
        registration.add_user(db, settings, OPERATOR, OWNER, PASSWORD)
        register_client(db, settings, OPERATOR, APP, secret=SECRET)
    return settings


class Bench:
    """A provider that has this person and this app, and one browser."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app = create_app(settings)
        self.cookies: dict[str, str] = {}
        self.verifier = ""
        self.person = "bench"

    # -- HTTP, without a wire -----------------------------------------------------------

    def call(self, method: str, url: str, form: dict[str, str] | None = None, authorization: str = "") -> Answer:
        """Call the application as a web server would."""
        path, _, query = url.removeprefix(self.settings.issuer).partition("?")
        body = urlencode(form or {}).encode()
        environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SCRIPT_NAME": "",
            "SERVER_NAME": "localhost", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "localhost:8000", "HTTP_USER_AGENT": "bench",
            "wsgi.url_scheme": "http", "wsgi.version": (1, 0),
            "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr, "wsgi.multithread": True,
            "wsgi.multiprocess": True, "wsgi.run_once": False, "CONTENT_LENGTH": str(len(body)),
            "HTTP_COOKIE": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        }  # fmt: skip
        if form is not None:
            environ["CONTENT_TYPE"] = FORM
        if authorization:
            environ["HTTP_AUTHORIZATION"] = authorization
        answer = Answer(0, [], b"")

        def start_response(
            status: str, headers: list[tuple[str, str]], _info: object = None
        ) -> Callable[[bytes], None]:
            answer.status, answer.headers = int(status[:3]), headers
            return lambda _data: None

        result = self.app(environ, start_response)
        answer.body = b"".join(result)
        if hasattr(result, "close"):
            result.close()
        for name, value in answer.headers:
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return answer

    # -- Operations ----------------------------------------------------------------------

    def authorize(self, scope: str = SCOPE) -> str:
        """Get a code, through the sign-in page when nobody is signed in."""
        self.verifier = secrets.token_urlsafe(32)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode({
            "response_type": "code", "client_id": "bench", "redirect_uri": REDIRECT_URI, "scope": scope,
            "state": secrets.token_urlsafe(12), "nonce": secrets.token_urlsafe(12),
            "code_challenge": challenge, "code_challenge_method": "S256",
        })  # fmt: skip
        answer = self.call("GET", f"{self.settings.issuer}/oauth/authorize?{query}")
        location = answer.header("Location")
        if location.startswith(self.settings.issuer):
            page = self.call("GET", location).body.decode()
            hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))
            form = {**hidden, "username": self.person, "password": PASSWORD}
            answer = self.call("POST", f"{self.settings.issuer}/sign-in", form)
            location = answer.header("Location")
            if location.startswith(self.settings.issuer):  # the password waited long: the rest is a request of its own
                answer = self.call("GET", location)
                location = answer.header("Location")
        assert location.startswith(REDIRECT_URI), (answer.status, location, answer.body[:300])
        return parse_qs(urlsplit(location).query)["code"][0]

    def token(self, **form: str) -> dict[str, str]:
        """Call the token endpoint."""
        answer = self.call("POST", "/oauth/token", form, BASIC)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def redeem(self, code: str) -> dict[str, str]:
        """Redeem a code."""
        return self.token(
            grant_type="authorization_code", code=code, redirect_uri=REDIRECT_URI, code_verifier=self.verifier
        )


def operations(bench: Bench) -> Iterator[tuple[str, Callable[[], object], Callable[[], object] | None]]:
    """Yield name, operation, and what prepares each repetition outside of the measurement."""
    tokens = bench.redeem(bench.authorize(f"{SCOPE} offline_access"))
    bearer = "Bearer " + tokens["access_token"]
    state = {"code": "", "refresh": tokens["refresh_token"]}

    def refresh() -> None:
        state["refresh"] = bench.token(grant_type="refresh_token", refresh_token=state["refresh"])["refresh_token"]

    yield "SSO login (authorize + token)", lambda: bench.redeem(bench.authorize()), None
    yield "  of it: authorization request", bench.authorize, None
    yield "  of it: token request", lambda: bench.redeem(state["code"]), lambda: state.update(code=bench.authorize())
    yield "refresh", refresh, None
    yield "client_credentials", lambda: bench.token(grant_type="client_credentials"), None
    yield "userinfo", lambda: bench.call("GET", "/oauth/userinfo", authorization=bearer), None
    yield (
        "introspection",
        lambda: bench.call("POST", "/oauth/introspect", {"token": tokens["access_token"]}, BASIC),
        None,
    )
    yield "discovery", lambda: bench.call("GET", "/.well-known/openid-configuration"), None
    yield "password sign-in (to tokens)", lambda: bench.redeem(bench.authorize()), bench.cookies.clear


def cpu_milliseconds(operation: Callable[[], object], prepare: Callable[[], object] | None, seconds: float) -> float:
    """Repeat an operation for a while and return its mean CPU time."""
    for _ in range(3):
        if prepare:
            prepare()
        operation()
    spent, count, end = 0.0, 0, time.monotonic() + seconds
    while time.monotonic() < end or count < 3:
        if prepare:
            prepare()
        before = time.process_time()
        operation()
        spent += time.process_time() - before
        count += 1
    return 1000 * spent / count


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each operation (default: 3)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    seconds = min(max(arguments.seconds, 0.1), 60.0)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(make_provider(Path(folder)))
        figures = {name: cpu_milliseconds(run, prepare, seconds) for name, run, prepare in operations(bench)}
        stored = crypto.hash_password(PASSWORD, bench.settings.bcrypt_cost)
        bcrypt = cpu_milliseconds(lambda: crypto.verify_password(PASSWORD, stored), None, seconds)
        with bench.app.app_context():
            key = bench.app.extensions["idp_provider"].signing_key("RS256")
            signature = cpu_milliseconds(
                lambda: jwt.encode({"alg": "RS256", "kid": key.kid}, {"sub": "x" * 300}, key), None, min(seconds, 1)
            )
            from idp.web import context  # noqa: PLC0415

            context.extension.engine.dispose()
    if arguments.json:
        print(json.dumps({**figures, "bcrypt": bcrypt, "signature": signature}, indent=1))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; SQLite file, WAL, FULL\n")
    print(f"{'operation':34}{'CPU ms':>9}   share of")
    for name, figure in figures.items():
        shares = []
        if "SSO" in name or "token request" in name or name == "refresh":
            shares.append(f"RS256 signature {100 * signature / figure:.0f} %")
        if "password" in name:
            shares.append(f"bcrypt {100 * bcrypt / figure:.0f} %, {figure - bcrypt:.1f} ms beside it")
        print(f"{name:34}{figure:9.3f}   {', '.join(shares)}")
    print(f"{'bcrypt, cost 12, alone':34}{bcrypt:9.3f}\n{'RS256 signature, alone':34}{signature:9.3f}")


if __name__ == "__main__":
    main()
