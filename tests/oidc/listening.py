"""An app that listens for logout tokens on a real socket, and checks what it hears."""

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jws

from tests.relying_party import RelyingParty
from tests.serving import serving

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass
class App:
    """An app's route for logout tokens, on a real socket.

    Attributes:
        answers: nothing is answered while it is cleared.
    """

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    tokens: list[str] = field(default_factory=list)
    requests: int = 0
    answers: threading.Event = field(default_factory=threading.Event)


@contextmanager
def listening() -> Iterator[App]:
    """Run the app for the length of the block."""
    app = App()
    app.answers.set()

    class Route(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            app.requests += 1
            app.tokens += form.get("logout_token", [])
            app.answers.wait()
            with contextlib.suppress(OSError):  # the provider has heard enough, or was killed
                self.send_response(app.status)
                for name, value in app.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(app.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Route)
    app.url = f"http://127.0.0.1:{server.server_address[1]}/backchannel-logout"
    with serving(server):
        try:
            yield app
        finally:
            app.answers.set()


def read_logout_token(token: str, rp: RelyingParty) -> dict[str, Any]:
    """Check a logout token as OpenID Connect Back-Channel Logout 1.0 section 2.6 says; returns its claims."""
    header = jws.extract_compact(token.encode()).headers()
    expected = rp.metadata.id_token_signed_response_alg or "RS256"
    assert header["typ"] == "logout+jwt"
    assert header["alg"] == expected
    key = next(key for key in rp.keys().keys if key.kid == header["kid"])
    claims: dict[str, Any] = json.loads(jws.deserialize_compact(token, key, algorithms=[expected]).payload)
    assert claims["iss"] == rp.issuer
    assert claims["aud"] == rp.metadata.client_id
    assert claims["events"] == {EVENT: {}}
    assert "nonce" not in claims
    assert claims["exp"] > claims["iat"]
    assert claims["jti"]
    return claims
