"""Whatever stands in a client's document: it is read, or it is refused by name; nothing else ever happens."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.errors import InvalidInputError
from idp.oidc import client_document
from idp.oidc.client_document import OF_OPERATOR, OF_SOFTWARE
from idp.oidc.client_rules import check_metadata
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings

FIELDS = (*OF_SOFTWARE, *OF_OPERATOR)
MEMBERS = [client_document._MEMBER_NAMES.get(field, field) for field in FIELDS]
BLANK = ClientMetadata(client_id="app", client_name="", redirect_uris=("https://app.example.org/",))

odd_texts = st.sampled_from(
    ["", "\x00", "\ud800", "a" * 5_000, "https://[", "https://a:b/", "//", "code token", "urn:x", "https://ä.example/"]
)
texts = st.one_of(st.text(max_size=20), odd_texts, st.sampled_from(["https://app.example.org/x", "code", "none"]))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=8,
)
jwks = st.dictionaries(
    st.just("keys"), st.lists(st.dictionaries(st.sampled_from(["kty", "n", "e", "x", "crv"]), values))
)
documents = st.dictionaries(st.one_of(st.sampled_from(MEMBERS), texts), st.one_of(values, jwks), max_size=8)


def read(document: dict[str, Any]) -> tuple[ClientMetadata | None, dict[str, tuple[str, ...]]]:
    """Read and check a document; returns the client or the faults."""
    try:
        client = client_document.read(document, BLANK, FIELDS)
        check_metadata(client)
    except InvalidInputError as refused:
        return None, dict(refused.faults)
    return client, {}


@given(documents)
def test_a_document_is_read_or_refused_by_name(document: dict[str, Any]) -> None:
    client, faults = read(document)
    assert (client is None) is bool(faults)
    assert all(sentence for sentences in faults.values() for sentence in sentences)
    if client is None:
        return
    told = client_document.describe(client, Settings(), FIELDS)
    assert None not in told.values()
    assert client_document.read(json.loads(json.dumps(told)), client, FIELDS).redirect_uris == client.redirect_uris


@given(st.binary(max_size=200))
def test_bytes_are_a_document_or_refused(raw: bytes) -> None:
    try:
        document = client_document.parse(raw)
    except InvalidInputError as refused:
        document = dict.fromkeys(refused.faults)
        raw = b"metadata"
    assert isinstance(document, dict)
    assert raw != b"metadata" or set(document) == {"metadata"}


def test_what_a_client_says_and_what_the_operator_decides_do_not_meet() -> None:
    assert not set(OF_SOFTWARE) & set(OF_OPERATOR)
    secret = {"client_secret_digest", "client_secret_sealed", "registration_token_digest"}
    assert set(OF_SOFTWARE) | set(OF_OPERATOR) | secret | {"client_id", "version", "created_at"} == set(
        ClientMetadata.__dataclass_fields__
    )


def test_a_document_goes_round_unchanged() -> None:
    client = client_document.read(
        {
            "client_name": "App",
            "scope": "openid email",
            "redirect_uris": ["https://app.example.org/", "https://app.example.org/"],
            "grant_types": ["authorization_code", "refresh_token"],
            "default_max_age": 0,
            "require_auth_time": True,
            "jwks": {"keys": []},
        },
        BLANK,
        FIELDS,
    )
    assert client.redirect_uris == ("https://app.example.org/",)
    assert client.scopes == ("openid", "email")
    assert client_document.read(client_document.describe(client, Settings(), FIELDS), BLANK, FIELDS) == (
        client_document.read({"id_token_signed_response_alg": "RS256"}, client, FIELDS)
    )


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("default_max_age", True),
        ("default_max_age", "60"),
        ("require_auth_time", 1),
        ("redirect_uris", "https://app.example.org/"),
        ("contacts", [1]),
        ("jwks", "{}"),
        ("jwks", {"keys": [{"kid": "\x00"}]}),
        *(("jwks", {"keys": [{"kid": half}]}) for half in ("\ud800", "\ud83d", "\udbff", "\udc00", "\udfff")),
    ],
)
def test_what_a_member_cannot_be(member: str, value: Any) -> None:
    with pytest.raises(InvalidInputError) as refused:
        client_document.read({member: value}, BLANK, FIELDS)
    assert set(refused.value.faults) == {member}


def test_a_key_may_have_any_name_that_is_text() -> None:
    jwks = {"keys": [{"kid": "🔑 Schlüssel \\ud800"}]}
    assert client_document.read({"jwks": jwks}, BLANK, FIELDS).jwks == jwks


def test_a_client_is_told_that_it_has_none_of_what_others_have_by_default() -> None:
    job = replace(BLANK, redirect_uris=(), grant_types=("client_credentials",), response_types=())
    told = client_document.describe(job, Settings(), FIELDS)
    assert (told["redirect_uris"], told["response_types"]) == ([], [])
    assert not {"client_name", "contacts", "jwks"} & set(told)


@pytest.mark.parametrize("uri", ["https://app.example.org/", f"https://{'a' * 60}.{'b' * 60}.example.org/"])
def test_a_client_without_a_name_gets_that_of_its_host(uri: str) -> None:
    client = client_document.read({"client_uri": "https://[::1/", "redirect_uris": [uri]}, BLANK, FIELDS)
    assert client.client_name == uri.split("/")[2][:100]


def test_how_content_is_encrypted_is_the_clients_choice() -> None:
    said = {"id_token_encrypted_response_alg": "ECDH-ES", "userinfo_encrypted_response_alg": "ECDH-ES"}
    client = client_document.read({**said, "userinfo_encrypted_response_enc": "A256GCM"}, BLANK, FIELDS)
    assert client.id_token_encrypted_response_enc == "A128CBC-HS256"  # OIDC Registration section 2
    assert client.userinfo_encrypted_response_enc == "A256GCM"
    again = client_document.read({"userinfo_encrypted_response_alg": "ECDH-ES+A128KW"}, client, FIELDS)
    assert again.userinfo_encrypted_response_enc == "A256GCM"


def test_what_goes_with_a_response_type_goes_with_it() -> None:
    hybrid = replace(
        BLANK,
        grant_types=("authorization_code", "implicit", "refresh_token"),
        response_types=("code id_token",),
    )
    client = client_document.read({"response_types": ["code"]}, hybrid, FIELDS)
    assert set(client.grant_types) == {"authorization_code", "refresh_token"}


@pytest.mark.parametrize(
    ("said", "grants", "responses"),
    [
        ({}, ("authorization_code",), ("code",)),
        ({"response_types": ["code id_token"]}, ("authorization_code", "implicit"), ("code id_token",)),
        ({"response_types": ["token id_token"]}, ("implicit",), ("id_token token",)),
        ({"grant_types": ["implicit"]}, ("implicit",), ("id_token",)),
        ({"grant_types": ["client_credentials"]}, ("client_credentials",), ()),
        ({"grant_types": ["authorization_code", "implicit"]}, ("authorization_code", "implicit"), ("code",)),
    ],
)
def test_one_kind_of_grant_follows_from_the_other(
    said: dict[str, Any], grants: tuple[str, ...], responses: tuple[str, ...]
) -> None:
    client = client_document.read(said, BLANK, FIELDS)
    assert (client.grant_types, client.response_types) == (grants, responses)
