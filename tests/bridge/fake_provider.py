"""A tiny OpenID provider on loopback: enough for Streamlit's own login, the account API, and every refusal."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

from streamlit_bridge.fake_account_api import FakeAccountApi
from streamlit_bridge.fake_answers import FakePerson

ADA: dict[str, Any] = {
    "sub": "user-1",
    "preferred_username": "ada",
    "name": "Ada Lovelace",
    "given_name": "Ada",
    "family_name": "Lovelace",
    "email": "ada@example.org",
    "email_verified": True,
    "roles": ["editor"],
}


@dataclass
class Reply:
    """One scripted answer of the account API."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    raw: bytes | None = None


class FakeProvider:
    """The provider's state; tests change it and read what arrived."""

    def __init__(self) -> None:
        self.reply = Reply(body=dict(ADA))
        self.person = dict(ADA)
        self.metadata_reply: Reply | None = None
        self.has_account_api = True
        self.refuses_authorization = False
        self.refusal = ""
        self.refuses_exchange = False
        self.requests: list[tuple[str, dict[str, str], dict[str, list[str]]]] = []
        self.live_tokens: set[str] = set()
        self.enforces_tokens = False
        self.drops_connection = 0
        self.loses_answers: list[str] = []
        self.is_closing = threading.Event()
        self._codes: dict[str, dict[str, str]] = {}
        self._key: RSAKey | None = None
        provider = self

        class Handler(_Handler):
            state = provider

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.account_api = FakeAccountApi(self.issuer)
        # One object: what the account API changes is what GET /me answers.
        self.account_api.people["ada"] = FakePerson(self.reply.body, "correct horse battery")
        self.account_api.let_in("ada", "at_ada")
        self.metadata_url = f"{self.issuer}/.well-known/openid-configuration"
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.01), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.is_closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def count(self, path: str) -> int:
        return sum(1 for seen, _, _ in self.requests if seen == path)

    def refuse(self, status: int, code: str, **headers: str) -> None:
        self.reply = Reply(status, {"type": "about:blank", "title": code, "status": status, "code": code}, headers)

    @property
    def key(self) -> RSAKey:
        if self._key is None:
            private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            self._key = RSAKey.import_key(private, {"kid": "k1", "use": "sig", "alg": "RS256"})
        return self._key

    def describe(self) -> dict[str, Any]:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/end-session",
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "account_management_uri": f"{self.issuer}/account",
        }
        if self.has_account_api:
            document["account_api_endpoint"] = f"{self.issuer}/api/v1"
        return document

    def authorize(self, query: dict[str, list[str]]) -> str:
        back = {"state": query["state"][0]}
        if self.refuses_authorization:
            back |= {"error": "access_denied", "error_description": self.refusal}
        else:
            code = secrets.token_urlsafe(12)
            self._codes[code] = {"nonce": query["nonce"][0], "client_id": query["client_id"][0]}
            back["code"] = code
        return f"{query['redirect_uri'][0]}?{urlencode(back)}"

    def exchange(self, form: dict[str, list[str]]) -> Reply:
        if self.refuses_exchange:
            return Reply(400, {"error": "invalid_grant"})
        claimed = self._codes.pop(form["code"][0])
        now = int(time.time())
        claims = {**self.person, "iss": self.issuer, "aud": claimed["client_id"], "iat": now, "exp": now + 600}
        claims |= {"nonce": claimed["nonce"], "sid": "session-1", "auth_time": now}
        token = f"at_{secrets.token_urlsafe(24)}"
        self.live_tokens.add(token)
        self.account_api.let_in(self.person["preferred_username"], token)
        id_token = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.key)
        return Reply(body={"access_token": token, "token_type": "Bearer", "expires_in": 600, "id_token": id_token})


class _Handler(BaseHTTPRequestHandler):
    state: FakeProvider

    def log_message(self, *arguments: object) -> None:
        """Keep the tests' output clean."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, keep_blank_values=True)
        provider = self.state
        provider.requests.append((parts.path, dict(self.headers.items()), query))
        match parts.path:
            case "/.well-known/openid-configuration":
                self._send(provider.metadata_reply or Reply(body=provider.describe()))
            case "/api/v1/me":
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                if provider.enforces_tokens and token not in provider.live_tokens:
                    self._send(Reply(401, {"code": "invalid_token", "status": 401}))
                else:
                    self._send(provider.reply)
            case "/authorize":
                self._redirect(provider.authorize(query))
            case "/end-session":
                provider.live_tokens.clear()
                self._redirect(query["post_logout_redirect_uri"][0])
            case "/jwks":
                self._send(Reply(body={"keys": [provider.key.as_dict(private=False)]}))
            case "/account":
                self._send(Reply(raw=b"<title>My account</title>", headers={"Content-Type": "text/html"}))
            case _:
                self._send(Reply(404, {}))

    def do_POST(self) -> None:
        self._change()

    def do_PATCH(self) -> None:
        self._change()

    def _change(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        form = parse_qs(content.decode())
        provider = self.state
        provider.requests.append((self.path, dict(self.headers.items()), form))
        if provider.drops_connection:
            provider.drops_connection -= 1
            self.close_connection = True
            return
        if self.path == "/token" and form["grant_type"] != ["client_credentials"]:
            self._send(provider.exchange(form))
            return
        if self.path == "/token":
            answer = provider.account_api.grant(form["scope"][0])
        else:
            path = self.path.removeprefix("/api/v1")
            answer = provider.account_api.answer(self.command, path, self.headers, content)
            if path in provider.loses_answers:
                provider.loses_answers.remove(path)
                self.close_connection = True
                return
        self._send(Reply(answer.status, answer.document, dict(answer.headers), raw=None if answer.document else b""))

    def _redirect(self, location: str) -> None:
        self._send(Reply(302, headers={"Location": location}, raw=b""))

    def _send(self, reply: Reply) -> None:
        self.state.is_closing.wait(reply.delay)
        body = reply.raw if reply.raw is not None else json.dumps(reply.body).encode()
        try:
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass


def make_browser_cookie(token: bytes = b"0123456789abcdef") -> dict[str, str]:
    """Build Streamlit's cookie against cross-site requests for a browser with this token, with a fresh mask."""
    mask = secrets.token_bytes(4)
    masked = bytes(value ^ mask[index % 4] for index, value in enumerate(token))
    return {"_streamlit_xsrf": f"2|{mask.hex()}|{masked.hex()}|1700000000"}


def read_basic_credentials(headers: dict[str, str]) -> str:
    return base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
