"""The keys at a client's `jwks_uri`: an address of a stranger's choice, which leads nowhere that it should not."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import ECKey
from sqlalchemy.orm import Session

from idp.oidc import client_keys, clients, outgoing
from idp.oidc.client_keys import ClientKeys
from idp.oidc.clients import ClientMetadata
from idp.oidc.presented_jwts import JwtRefused
from idp.settings import Settings
from tests.document_server import DocumentServer

KEY = ECKey.generate_key("P-256", {"kid": "one"})
JWKS = json.dumps({"keys": [KEY.as_dict(private=False)]})


@pytest.fixture
def reason(settings: Settings) -> Callable[..., str]:
    """Return why the keys at an address cannot be had, or nothing when they can."""

    def ask(uri: str, in_force: Settings = settings) -> str:
        client = ClientMetadata(client_id="app", client_name="App", jwks_uri=uri)
        try:
            assert [key.kid for key in ClientKeys(in_force).public_keys(None, client)] == ["one"]
        except JwtRefused as refused:
            return str(refused)
        return ""

    return ask


def test_keys_are_fetched(document_server: DocumentServer, reason: Callable[..., str]) -> None:
    assert reason(document_server.put("/jwks", JWKS, "application/json")) == ""


@pytest.mark.parametrize(
    "unknown",
    [
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
        {"kty": "EC", "crv": "BP-256", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "Ed999", "x": "AA"},
        {"kty": "EC", "crv": ["P-256"], "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {**KEY.as_dict(private=False), "kid": "two", "use": "tls"},
        {**KEY.as_dict(private=False), "kid": "two", "use": None},
    ],
    ids=["unknown type", "unknown curve", "curve of no name", "no curve", "no point", "too short", "tls", "no use"],
)
def test_keys_that_are_none_for_us_are_passed_over(
    document_server: DocumentServer, reason: Callable[..., str], unknown: dict[str, Any]
) -> None:
    """RFC 7517 section 5: an app may publish keys for others beside those for us."""
    published = json.dumps({"keys": [unknown, KEY.as_dict(private=False)]})
    assert reason(document_server.put("/jwks", published, "application/json")) == ""


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:192.168.0.1]", "[fd00::1]"]
)
def test_not_from_inside_our_network(settings: Settings, reason: Callable[..., str], host: str) -> None:
    public = replace(settings, issuer="https://login.example.org")
    assert "private network" in reason(f"https://{host}/jwks", public)


def test_not_from_where_a_redirect_leads(document_server: DocumentServer, reason: Callable[..., str]) -> None:
    document_server.put("/inside", JWKS, "application/json")
    assert "302" in reason(document_server.redirect("/jwks", document_server.url("/inside")))
    assert document_server.asked == ["/jwks"]


def test_not_without_end(document_server: DocumentServer, reason: Callable[..., str]) -> None:
    padded = json.dumps({**json.loads(JWKS), "x": "y" * outgoing.ANSWER_MOST})
    assert "too long" in reason(document_server.put("/jwks", padded, "application/json"))


def test_not_for_ever(
    document_server: DocumentServer, reason: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "WHOLE_TIMEOUT", 0.5)
    assert "takes too long" in reason(document_server.drip("/jwks", every=0.05))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"keys": {}}',
        '{"keys": ["x"]}',
        "[" * 30_000,
        json.dumps({"keys": [KEY.as_dict(private=True)]}),
        json.dumps({"keys": [{"kty": "RSA", "n": "!", "e": "AQAB"}]}),
        json.dumps({"keys": [KEY.as_dict(private=False)] * 21}),
    ],
    ids=lambda content: content[:16],
)
def test_not_what_is_no_jwk_set(document_server: DocumentServer, reason: Callable[..., str], content: str) -> None:
    assert "no JWK Set" in reason(document_server.put("/jwks", content, "application/json"))


def test_keys_that_are_known_outlive_a_bad_answer(
    document_server: DocumentServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever breaks the app's web server does not lock the app out."""
    keys = ClientKeys(settings)
    client = ClientMetadata(
        client_id="app", client_name="App", jwks_uri=document_server.put("/jwks", JWKS, "application/json")
    )
    first: Any = keys.public_keys(None, client)
    monkeypatch.setattr(client_keys, "REFETCH_AFTER", 0)
    document_server.put("/jwks", "{}", "application/json")
    assert keys.public_keys(None, client, fetch_anew=True) == first


def test_keys_that_run_out_once_a_request_has_asked_last_until_it_ends(
    document_server: DocumentServer, settings: Settings, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then it may have written what others wait for."""
    monkeypatch.setattr(client_keys, "KEPT_FOR", 0)
    monkeypatch.setattr(client_keys, "REFETCH_AFTER", 0)
    keys, uri = ClientKeys(settings), document_server.put("/jwks", JWKS, "application/json")
    client = ClientMetadata(client_id="app", client_name="App", jwks_uri=uri)
    for _ in range(2):
        keys.public_keys(db, client)
    keys.public_keys(None, client)
    assert document_server.asked == ["/jwks"] * 2
    keys.public_keys(None, client, fetch_anew=True)
    assert document_server.asked == ["/jwks"] * 3


def test_keys_of_ever_more_clients_are_not_all_kept(
    document_server: DocumentServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "KEPT_MOST", 3)
    keys, uri = ClientKeys(settings), document_server.put("/jwks", JWKS, "application/json")
    for number in range(10):
        for of_client in ({"jwks": json.loads(JWKS)}, {"jwks_uri": uri}):
            client = ClientMetadata(client_id=f"app-{number}", client_name="App", **of_client)
            assert [key.kid for key in keys.public_keys(None, client)] == ["one"]
    kept = [each for each in vars(keys).values() if isinstance(each, dict)]
    assert [len(each) for each in kept] == [1, 1, 1]
