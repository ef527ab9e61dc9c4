"""Lines of a log that nobody wrote (CWE-117), and logos and keys that are something else (RFC 7591 section 5)."""

import io
import json
import logging

import pytest
from joserfc.jwk import ECKey, RSAKey

from idp import logs
from idp.oidc.pictures import recognise
from tests.oidc.hostile.attacking import assert_harmless
from tests.oidc.hostile.forging import part
from tests.oidc.registering import party, registered

FORGED = "2026-01-01T00:00:00Z ERROR idp: forged"
LINE = "%(asctime)s %(levelname)s %(name)s:%(reference)s %(message)s"


@pytest.fixture(params=[logs.UtcFormatter, logs.JsonFormatter], ids=["text", "json"])
def log(request):
    """What the provider writes, in either form."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(request.param(LINE))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


def test_no_line_of_the_log_is_a_visitor_s(log, target):
    """Log forging (CWE-117): a new line, a return or a terminal's escape in whatever is logged."""
    for end in ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028", "\x1b[2K"):
        hostile = f"x{end}{FORGED}"
        for path in ("/oauth/authorize/", "/brand/client/", "/outbox/", "/"):
            target.browser.get(path + hostile)
            target.browser.delete(path + hostile)
        target.browser.post("/oauth/token", data={"grant_type": hostile, "client_id": hostile})
        target.browser.get("/account", headers={"Accept-Language": "x"}, query_string={"next": hostile})
        target.send(request_uri=f"https://x.example/{hostile}", client_id=target.metadata.client_id)
        target.browser.get("/sign-in", query_string={"i": hostile})
    text = log.getvalue()
    assert "forged" in text, "paths are logged"
    for line in text.splitlines():
        assert not line.startswith("2026-01-01"), line
    assert "\x1b" not in text


def test_no_line_of_the_log_is_as_long_as_a_visitor_likes(log, target):
    """Filling the disk with lines: of a path the log says the beginning, and so of a parameter that it names."""
    target.browser.get("/oauth/authorize/" + "x" * 20_000)
    target.browser.get("/oauth/end-session", query_string={"x" * 20_000: ["1", "2"]})
    lines = [line for line in log.getvalue().splitlines() if "xxx" in line]
    assert len(lines) == 2
    assert max(map(len, lines)) < 1_000


NO_PICTURES = (
    *(b"", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"<html><script>alert(1)</script>"),
    *(b"%PDF-1.7", b"<?xml version='1.0'?><svg/>", b"GIF89", b"\x89PNG", b"\xff\xd8\xff", b"BM" + b"\x00" * 60),
    *(b"RIFF\x00\x00\x00\x00WEBP", b"RIFF\x00\x00\x00\x00WEBPVP8 x", b"\x1f\x8b\x08" + b"\x00" * 60),
    *(b"\xff\xd8\xff\xe0" + b"\xff" * 3_000, b"\xff\xd8" + b"\xff\xe0\x00\x00" * 500),
)


@pytest.mark.parametrize("content", NO_PICTURES)
def test_logos_that_are_no_pictures(content):
    """Script in a logo (RFC 7591 section 5): told by its bytes, whatever it says of itself; what is cut is none."""
    assert recognise(content) is None


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (2**31 - 1).to_bytes(4, "big") * 2,
        b"GIF89a\xff\xff\xff\xff",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x00" * 8,
    ],
)
def test_logos_that_unfold_to_more_than_a_browser_can_bear(content):
    """Decompression bomb for other people's browsers: a few bytes that claim to be millions of pixels."""
    assert recognise(content).is_too_large


ENCRYPTED = ("RSA-OAEP-256", "ECDH-ES")
ODD_KEYS = (
    {"kty": "RSA", "n": part(b"\xff" * 16), "e": "AQAB", "use": "enc"},
    {"kty": "RSA", "n": part(b"\xff" * 4_000), "e": "AQAB", "use": "enc"},
    {"kty": "RSA", "n": part(b"\xfe" * 256), "e": "Ag", "use": "enc"},
    {"kty": "OKP", "crv": "X25519", "x": part(b"\x00" * 32), "use": "enc"},
    {"kty": "OKP", "crv": "X25519", "x": part(b"\x01" + b"\x00" * 31), "use": "enc"},
    {"kty": "OKP", "crv": "Ed25519", "x": part(b"\x01" * 32)},
    {**ECKey.generate_key("P-256").as_dict(private=False), "use": "sig"},
    {**ECKey.generate_key("P-256").as_dict(private=False), "use": ["enc"], "alg": {}, "key_ops": "x", "kid": 5},
    {**RSAKey.generate_key(2048).as_dict(private=False), "use": "sig"},
)


@pytest.mark.parametrize("algorithm", ENCRYPTED)
def test_keys_that_nothing_can_be_encrypted_to(app, ada, algorithm):
    """Hostile keys of an app that wants its tokens encrypted (RFC 7516 section 11): refused, or no token."""
    for key in ODD_KEYS:
        document = {"redirect_uris": ["https://app.example.org/callback"], "jwks": {"keys": [key]}}
        raw = json.dumps({**document, "id_token_encrypted_response_alg": algorithm}).encode()
        response = app.test_client().post("/oauth/register", data=raw, content_type="application/json")
        if response.status_code == 400:
            continue
        assert response.status_code == 201, response.text
        rp = party(app, response.json)
        sent = rp.send()
        assert_harmless(sent, rp)
        if "error=" in sent.headers.get("Location", ""):
            continue
        code = rp.authorize(sent=sent).parameters.get("code")
        if code is None:
            continue  # refused at the app's address
        answer = rp.request_tokens(code)
        assert_harmless(answer, rp)
        assert answer.status_code == 400 or answer.json["id_token"].count(".") == 4, "never in clear"


def test_registered_logos_are_called_by_nobody_s_browser(app, ada):
    """Tracking by a logo (RFC 7591 section 5): no page loads it from the app's host."""
    told = registered(
        app,
        logo_uri="https://evil.example.net/pixel.png",
        client_uri="https://evil.example.net/",
    )
    rp = party(app, told)
    page = rp.sign_in_page()
    consent = rp.sign_in(page)
    for each in (page, consent):
        assert "evil.example.net/pixel" not in each.text
