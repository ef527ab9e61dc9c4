"""What attackers send, and what must hold of every answer, whatever was sent."""

import json
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Flask
from werkzeug.test import TestResponse

import idp
from idp.oidc.authorization_checks import READ
from tests.relying_party import RelyingParty

EVIL = "https://evil.example.net/steal"
MARK = "hostile-mark"  # part of all markup that attackers send: it must never become an element or an attribute
CACHEABLE = ("/.well-known/", "/oauth/jwks", "/oauth/check-session", "/brand/", "/client-logo")

# Values that break readers: empty, huge, NUL, no UTF-8, half characters, quotes, new lines, JSON, digits of others.
VALUES: tuple[bytes, ...] = (
    b"",
    b" ",
    b"x" * 20_000,
    b"\x00",
    b"a\x00b",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\"'`\\",
    b"' OR '1'='1' --",
    b"a\r\nSet-Cookie: hostile=1\r\n\r\n<p>",
    b"a\nb",
    f"<script>{MARK}</script>".encode(),
    f'"><img src=x onerror={MARK}>'.encode(),
    b"{{ 7 * 7 }}${7*7}#{7*7}%s%n{0.__class__}",
    b'{"a": [1, null, {"b": "\\ud800"}]}',
    b"[" * 9_000,
    b'{"userinfo":' * 2_000,
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b"9" * 5_000,
    "٣٤".encode(),
    "\u202e\ufeff\U000e0001".encode(),
    b"javascript:alert(1)",
    b"//evil.example.net",
    EVIL.encode(),
    b"http://[::1",
    b"urn:ietf:params:oauth:request_uri:x",
    b"..%2f..%2fetc%2fpasswd",
    b"eyJhbGciOiJub25lIn0.e30.",
    b"a.b.c",
    b"....",
    b"openid openid  openid",
    b"none login",
    b"true",
)

# The registry of OAuth errors (IANA) as far as our endpoints may answer with them.
ERRORS = {
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
    *("invalid_scope", "access_denied", "unsupported_response_type", "server_error", "temporarily_unavailable"),
    *("invalid_token", "insufficient_scope", "unsupported_token_type", "invalid_redirect_uri"),
    *("invalid_client_metadata", "invalid_software_statement", "unapproved_software_statement"),
    *("interaction_required", "login_required", "account_selection_required", "consent_required"),
    *("invalid_request_uri", "invalid_request_object", "request_not_supported", "request_uri_not_supported"),
    *("registration_not_supported", "unmet_authentication_requirements", "invalid_target", "invalid_dpop_proof"),
    *("use_dpop_nonce", "authorization_pending", "slow_down", "expired_token"),
}


@cache
def parameter_names() -> tuple[str, ...]:
    """Return every parameter that the protocol reads, as its source says: what is new is attacked by itself."""
    folder = Path(idp.__file__).parent
    sources = [*folder.glob("oidc/**/*.py"), *folder.glob("web/protocol/*.py")]
    reading = re.compile(
        r"\b(?:payload|parameters|form|sent|beside)\.(?:get|required|get_all|check_single)\(\"([a-z_]+)\""
    )
    found = {name for source in sources for name in reading.findall(source.read_text())}
    return tuple(sorted({*found, *READ, "request", "request_uri", "client_secret", "token_type_hint"}))


def protocol_rules(app: Flask) -> Iterator[tuple[str, str]]:
    """Walk the endpoints of the protocol: each path, its variables filled in, and each of its methods."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("protocol.") or rule.rule.startswith("/device"):
            for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
                yield re.sub(r"<[^>]*>", "x" * 43, rule.rule), method


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect it."""
        self.found.append((tag, dict(attrs)))


def assert_harmless(response: TestResponse, rp: RelyingParty) -> None:
    """No fault of ours, no way to a stranger, no markup or header of the attacker's, nothing kept by caches."""
    what = f"{response.request.method} {response.request.path} {response.status_code}: {response.text[:600]}"
    assert response.status_code < 500, what
    assert "hostile=1" not in str(response.headers), what
    if not response.request.path.startswith(CACHEABLE):
        assert "no-store" in response.headers.get("Cache-Control", ""), what
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    is_post_to_app = 'id="authorization-response"' in response.text if response.mimetype == "text/html" else False
    assert response.headers["Referrer-Policy"] == ("strict-origin" if is_post_to_app else "no-referrer")
    if "Location" in response.headers:
        assert_way_home(response, rp)
    if response.mimetype == "text/html":
        assert_no_markup(response)
    elif response.mimetype in ("application/json", "application/problem+json") and response.data:
        assert_told_properly(response)


def assert_way_home(response: TestResponse, rp: RelyingParty) -> None:
    """A redirect leads to a page of ours, or to where the app registered."""
    location = response.headers["Location"]
    assert response.status_code == 303
    assert location.isascii()
    assert location.isprintable()
    if rp.is_ours(location):
        return
    registered = (*rp.metadata.redirect_uris, *rp.metadata.post_logout_redirect_uris)
    assert location.partition("?")[0].partition("#")[0] in registered, location
    target = urlsplit(location)
    answer = dict(parse_qsl(target.query or target.fragment, keep_blank_values=True))
    if location.startswith(rp.redirect_uri):
        assert answer["iss"] == rp.issuer, "RFC 9207: whoever answers says who it is"
    if "error" in answer:
        assert_error(answer["error"], answer.get("error_description", ""))


def assert_no_markup(response: TestResponse) -> None:
    """What was sent is text on a page, and nothing but text."""
    for tag, attributes in Elements(response.text).found:
        assert tag not in ("img", "object", "embed", "base") or MARK not in str(attributes)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("href", "action", "formaction", "src"):
            assert not re.match(r"\s*(javascript|data|vbscript):", attributes.get(name) or "", re.IGNORECASE)
    assert f"<script>{MARK}" not in response.text
    assert "<script" not in response.text or "script-src 'sha256-" in response.headers["Content-Security-Policy"]


def assert_told_properly(response: TestResponse) -> None:
    """What programs get says what is wrong in the words of its specification."""
    body: Any = json.loads(response.data)
    if response.status_code in (200, 201) or body == {}:
        return
    if response.mimetype == "application/problem+json":
        assert {"type", "title", "status", "code", "detail"} <= set(body)
        is_ours = not response.request.path.startswith("/api/")  # that API tells all of its faults so
        assert not is_ours or response.status_code in (404, 405, 413, 415, 429), body
        return
    assert_error(body["error"], body.get("error_description", ""))
    assert "Location" not in response.headers


def assert_error(error: str, description: str) -> None:
    """RFC 6749 sections 4.1.2.1 and 5.2: a registered code, and ASCII without quotes and backslashes."""
    assert error in ERRORS, error
    assert all(" " <= c <= "~" and c not in '"\\' for c in description), description
