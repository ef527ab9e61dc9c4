"""The one table of rules for a client's metadata: what each field refuses, and what it takes."""

from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from idp.errors import InvalidInputError
from idp.oidc.client_rules import LIST_MOST, RULES, check_metadata
from idp.oidc.clients import DEVICE_CODE_GRANT, TOKEN_EXCHANGE_GRANT, ClientMetadata

CALLBACK = "https://app.example.org/callback"
EC = ECKey.generate_key("P-256", {"kid": "one"})
JWKS = {"keys": [EC.as_dict(private=False)]}
CODE = ("authorization_code",)
HYBRID = ("authorization_code", "implicit")
LONG = "https://app.example.org/" + "x" * 500


def metadata(**changes: Any) -> ClientMetadata:
    given: dict[str, Any] = {"client_id": "app", "client_name": "App", "redirect_uris": (CALLBACK,), **changes}
    return ClientMetadata(**given)


def faults(**changes: Any) -> dict[str, tuple[str, ...]]:
    try:
        check_metadata(metadata(**changes))
    except InvalidInputError as refused:
        return dict(refused.faults)
    return {}


def test_every_field_that_can_be_wrong_has_a_rule() -> None:
    switches = {
        *("is_trusted", "has_id_token_claims", "is_access_token_session_bound", "is_single_session"),
        *("may_send_unsigned_request_objects", "require_pushed_authorization_requests", "dpop_bound_access_tokens"),
        *("require_auth_time", "backchannel_logout_session_required", "frontchannel_logout_session_required"),
    }
    own = {"version", "client_secret_digest", "client_secret_sealed", "registration_token_digest", "created_at"}
    assert {field for field, _ in RULES} | switches | own == set(ClientMetadata.__dataclass_fields__)
    assert len({field for field, _ in RULES}) == len(RULES)


@pytest.mark.parametrize(
    ("application_type", "uri"),
    [
        ("web", CALLBACK),
        ("web", CALLBACK + "?tenant=1"),
        ("web", "http://localhost:8501/oauth2callback"),
        ("web", "http://127.0.0.1/"),
        ("web", "http://[::1]:9/"),
        ("native", CALLBACK),
        ("native", "http://127.0.0.1/callback"),
        ("native", "org.example.app:/callback"),
        ("native", "org.example.app://host/callback"),
    ],
)
def test_where_people_may_return_to(application_type: str, uri: str) -> None:
    assert faults(application_type=application_type, redirect_uris=(uri,)) == {}


@pytest.mark.parametrize(
    ("application_type", "uri", "told"),
    [
        ("web", "http://app.example.org/callback", "must be https"),
        ("native", "http://app.example.org/callback", "must be https"),
        ("web", "http://127.0.0.1.evil.example/", "must be https"),
        ("web", "org.example.app:/callback", "application_type native"),
        ("native", "myapp:/callback", "with a dot"),
        ("native", "javascript://app.example.org/%0aalert(1)", "with a dot"),
        ("native", "data:text/html,x", "with a dot"),
        ("web", CALLBACK + "#fragment", "fragment"),
        ("web", CALLBACK + "#", "fragment"),
        ("native", "org.example.app:/callback#x", "fragment"),
        ("web", "https://*.example.org/callback", "wildcard"),
        ("web", "https://app.example.org/*", "wildcard"),
        ("web", "https://user@app.example.org/", "user name"),
        ("web", "https://app.example.org@evil.example/", "user name"),
        ("web", "https:///callback", "names no host"),
        ("web", "https://app.example.org/" + "x" * 2_000, "at most"),
        ("web", "https://app.example.org:port/", "is no URI"),
        ("web", "https://[::1/", "is no URI"),
        ("web", "https://app.example.org/a b", "cannot have"),
        ("web", "https://app.example.org\\@evil.example/", "cannot have"),
        ("web", "https://äpp.example.org/", "cannot have"),
        ("web", "https://app.example.org/ä", "cannot have"),
        ("web", "https://app.example.org;img-src/", "cannot have"),
        ("web", "/callback", "with a dot"),
        ("web", "", "with a dot"),
    ],
)
def test_where_nobody_is_sent(application_type: str, uri: str, told: str) -> None:
    for field in ("redirect_uris", "post_logout_redirect_uris"):
        changes = {"redirect_uris": (CALLBACK,), "application_type": application_type, field: (uri,)}
        found = faults(**changes)
        assert set(found) == {field}
        assert told in found[field][0]


def test_tokens_in_a_fragment_go_over_https_only() -> None:
    """OIDC Registration section 2: a web app of the implicit grant has https, and no other host than its own."""
    hybrid: dict[str, Any] = {"grant_types": HYBRID, "response_types": ("code id_token",)}
    assert faults(**hybrid) == {}
    assert "redirect_uris" in faults(**hybrid, redirect_uris=("http://localhost/cb",))
    assert faults(**hybrid, redirect_uris=("http://localhost/cb",), application_type="native") == {}


@pytest.mark.parametrize(
    ("grants", "responses"),
    [
        (CODE, ("code",)),
        ((*CODE, "refresh_token"), ("code",)),
        (("implicit",), ("id_token", "id_token token")),
        (HYBRID, ("code id_token",)),
        (HYBRID, ("code token", "code id_token token", "code")),
        (("client_credentials",), ()),
    ],
)
def test_grants_and_response_types_that_agree(grants: tuple[str, ...], responses: tuple[str, ...]) -> None:
    assert faults(grant_types=grants, response_types=responses) == {}


@pytest.mark.parametrize(
    ("grants", "responses", "field"),
    [
        (CODE, ("id_token",), "response_types"),
        (("implicit",), ("code",), "response_types"),
        (CODE, ("code id_token",), "response_types"),
        (("implicit",), ("code id_token",), "response_types"),
        (HYBRID, ("code",), "grant_types"),
        (CODE, (), "grant_types"),
        (("refresh_token",), (), "grant_types"),
        ((), (), "grant_types"),
        (("password",), (), "grant_types"),
        (CODE, ("code", "token"), "response_types"),
    ],
)
def test_grants_and_response_types_that_do_not(grants: tuple[str, ...], responses: tuple[str, ...], field: str) -> None:
    assert field in faults(grant_types=grants, response_types=responses)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"client_id": ""}, "client_id", "1 to 128"),
    ({"client_id": "a b"}, "client_id", "1 to 128"),
    ({"client_name": " "}, "client_name", "1 to 100"),
    ({"client_name": "x" * 101}, "client_name", "1 to 100"),
    ({"client_name": "a\nb"}, "client_name", "cannot be shown"),
    ({"client_name": "x" + " " * 100}, "client_name", "1 to 100"),
    ({"client_name": "a\u202eb"}, "client_name", "cannot be shown"),
    ({"client_name": "a\u2028b"}, "client_name", "cannot be shown"),
    ({"client_name": "a<b"}, "client_name", "cannot be shown"),
    ({"client_name": "\u3164"}, "client_name", "cannot be shown"),  # a letter's place in Korean, and no letter
    ({"application_type": "desktop"}, "application_type", "web, native"),
    ({"redirect_uris": ()}, "redirect_uris", "at least one"),
    ({"redirect_uris": (CALLBACK,) * (LIST_MOST + 1)}, "redirect_uris", "At most"),
    ({"scopes": ("everything",)}, "scopes", "is no scope"),
    ({"scopes": ("registration",)}, "scopes", "client_credentials"),
    ({"token_endpoint_auth_method": "tls_client_auth"}, "token_endpoint_auth_method", "is no method"),
    ({"token_endpoint_auth_signing_alg": "none"}, "token_endpoint_auth_signing_alg", "is no algorithm"),
    ({"token_endpoint_auth_signing_alg": "HS256"}, "token_endpoint_auth_signing_alg", "is no algorithm"),
    ({"jwks": JWKS, "jwks_uri": CALLBACK}, "jwks", "not both"),
    ({"jwks": {"keys": []}}, "jwks", "no key"),
    ({"jwks": {"keys": [{"kty": "Q"}]}}, "jwks", "no key"),
    ({"jwks": {"keys": {}}}, "jwks", "no JWK Set"),
    ({"jwks": {"keys": [EC.as_dict(private=True)]}}, "jwks", "private"),
    ({"jwks": {"keys": [OctKey.generate_key(256).as_dict(private=True)]}}, "jwks", "private or symmetric"),
    ({"jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "!", "y": "!"}]}}, "jwks", "cannot be read"),
    ({"jwks_uri": "http://app.example.org/jwks"}, "jwks_uri", "must be https"),
    ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri", "no web address"),
    ({"jwks_uri": LONG}, "jwks_uri", "at most"),
    ({"jwks_uri": "https://*.example.org/jwks"}, "jwks_uri", "wildcard"),
    ({"logo_uri": "javascript:alert(1)"}, "logo_uri", "no web address"),
    ({"client_uri": "https://user:pass@a.example/"}, "client_uri", "user name"),
    ({"policy_uri": LONG}, "policy_uri", "at most"),
    ({"tos_uri": "data:text/html,x"}, "tos_uri", "no web address"),
    ({"contacts": ("\x1b[31m",)}, "contacts", "cannot be shown"),
    ({"contacts": ("x" * 201,)}, "contacts", "1 to 200"),
    ({"software_id": ""}, "software_id", "1 to 200"),
    ({"software_version": "x" * 101}, "software_version", "At most"),
    ({"subject_type": "secret"}, "subject_type", "is no subject type"),
    ({"sector_identifier_uri": "http://a.example/s"}, "sector_identifier_uri", "must be https"),
    ({"id_token_signed_response_alg": "none"}, "id_token_signed_response_alg", "is no algorithm"),
    ({"id_token_signed_response_alg": "HS256"}, "id_token_signed_response_alg", "is no algorithm"),
    ({"userinfo_signed_response_alg": "none"}, "userinfo_signed_response_alg", "is no algorithm"),
    (
        {"id_token_encrypted_response_alg": "RSA-OAEP", "id_token_encrypted_response_enc": "A128GCM"},
        "id_token_encrypted_response_alg",
        "needs keys",
    ),
    (
        {"userinfo_encrypted_response_alg": "RSA1_5", "userinfo_encrypted_response_enc": "A128GCM", "jwks": JWKS},
        "userinfo_encrypted_response_alg",
        "is no algorithm",
    ),
    ({"userinfo_encrypted_response_enc": "A128GCM"}, "userinfo_encrypted_response_enc", "needs userinfo_encrypted"),
    (
        {"id_token_encrypted_response_alg": "RSA-OAEP", "id_token_encrypted_response_enc": "ROT13", "jwks": JWKS},
        "id_token_encrypted_response_enc",
        "is no encryption",
    ),
    (
        {"id_token_encrypted_response_alg": "RSA-OAEP", "jwks": JWKS},
        "id_token_encrypted_response_alg",
        "is needed beside it",
    ),
    ({"token_endpoint_auth_method": "private_key_jwt"}, "token_endpoint_auth_method", "needs keys"),
    (
        {"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "RS256"},
        "token_endpoint_auth_signing_alg",
        "is no algorithm",
    ),
    ({"request_object_signing_alg": "none"}, "request_object_signing_alg", "for the operator"),
    ({"request_object_signing_alg": "RS256"}, "request_object_signing_alg", "needs keys"),
    ({"request_object_signing_alg": "XX"}, "request_object_signing_alg", "is no algorithm"),
    (
        {"request_object_signing_alg": "HS256", "token_endpoint_auth_method": "none"},
        "request_object_signing_alg",
        "needs a secret",
    ),
    (
        {
            "request_object_signing_alg": "none",
            "may_send_unsigned_request_objects": True,
            "require_signed_request_object": True,
            "jwks": JWKS,
        },
        "request_object_signing_alg",
        "contradicts",
    ),
    ({"require_signed_request_object": True}, "require_signed_request_object", "need keys"),
    ({"request_uris": ("http://a.example/r",)}, "request_uris", "must be https"),
    ({"default_max_age": -1}, "default_max_age", "number of seconds"),
    ({"default_max_age": 2**31}, "default_max_age", "number of seconds"),
    ({"default_acr_values": ("",)}, "default_acr_values", "1 to 200"),
    ({"initiate_login_uri": "http://a.example/login"}, "initiate_login_uri", "must be https"),
    ({"initiate_login_uri": "https://a.example/#x"}, "initiate_login_uri", "fragment"),
    ({"access_token_format": "paper"}, "access_token_format", "is no format"),
    ({"resources": ("files",)}, "resources", "absolute"),
    ({"resources": ("https://api.example.org/#x",)}, "resources", "absolute"),
    ({"resources": ("https://[::1/",)}, "resources", "is no URI"),
    ({"resources": (LONG,)}, "resources", "at most"),
    (
        {"protected_resources": ("https://api.example.org/",), "token_endpoint_auth_method": "none"},
        "protected_resources",
        "needs a secret",
    ),
    ({"access_token_lifetime": 9}, "access_token_lifetime", "10 seconds"),
    ({"backchannel_logout_uri": "https://a.example/#x"}, "backchannel_logout_uri", "fragment"),
    ({"backchannel_logout_uri": "http://a.example/"}, "backchannel_logout_uri", "must be https"),
    ({"frontchannel_logout_uri": "https://other.example.org/out"}, "frontchannel_logout_uri", "one of the redirect"),
    ({"frontchannel_logout_uri": "https://app.example.org:444/"}, "frontchannel_logout_uri", "one of the redirect"),
    (
        {"frontchannel_logout_uri": "http://localhost:9/", "redirect_uris": ("http://localhost/callback",)},
        "frontchannel_logout_uri",
        "one of the redirect",
    ),
    ({"frontchannel_logout_uri": "https://[::1/"}, "frontchannel_logout_uri", "is no URI"),
    (
        {"grant_types": ("client_credentials",), "response_types": (), "is_pkce_required": True},
        "is_pkce_required",
        "needs the grant",
    ),
    (
        {"token_endpoint_auth_method": "none", "grant_types": (*CODE, "client_credentials")},
        "grant_types",
        "no credentials",
    ),
    (
        {"token_endpoint_auth_method": "none", "grant_types": (*CODE, TOKEN_EXCHANGE_GRANT)},
        "grant_types",
        "cannot exchange",
    ),
]


@pytest.mark.parametrize(("changes", "field", "told"), REFUSED, ids=[f"{i}-{r[1]}" for i, r in enumerate(REFUSED)])
def test_what_a_field_refuses(changes: dict[str, Any], field: str, told: str) -> None:
    found = faults(**changes)
    assert set(found) == {field}
    assert told in found[field][0]


TAKEN: list[dict[str, Any]] = [
    {"jwks": JWKS},
    {"jwks": {"keys": [*JWKS["keys"], {"kty": "Q", "of": "the future"}]}},
    {"jwks": {"keys": [RSAKey.generate_key(2048).as_dict(private=False)]}, "request_object_signing_alg": "RS256"},
    {"jwks_uri": "https://app.example.org/jwks", "require_signed_request_object": True},
    {"jwks_uri": "http://127.0.0.1:9/jwks"},
    {"token_endpoint_auth_method": "private_key_jwt", "jwks": JWKS, "token_endpoint_auth_signing_alg": "ES256"},
    {"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "HS256"},
    {"jwks": JWKS, "id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A256GCM"},
    {"request_object_signing_alg": "none", "may_send_unsigned_request_objects": True},
    {"request_object_signing_alg": "HS256", "require_signed_request_object": True},
    {"request_uris": ("https://app.example.org/request#sha256",)},
    {"logo_uri": "http://app.example.org/logo.png"},
    {"frontchannel_logout_uri": "https://app.example.org:443/logout?a=b"},
    {"frontchannel_logout_uri": "http://localhost/logout", "redirect_uris": ("http://localhost:80/callback",)},
    {"frontchannel_logout_uri": "http://[::1]:9/logout", "redirect_uris": ("http://[0:0:0:0:0:0:0:1]:9/callback",)},
    {
        "frontchannel_logout_uri": "https://app.example.org/logout",
        "redirect_uris": ("org.example.app://host/callback", CALLBACK),
        "application_type": "native",
    },
    {"resources": ("https://api.example.org/files", "urn:example:files")},
    {"default_max_age": 0, "require_auth_time": True, "default_acr_values": ("1",)},
    {"subject_type": "pairwise", "redirect_uris": (CALLBACK, "https://app.example.org/other")},
    {"client_name": "Wetter-App für 日本"},
    {"grant_types": (DEVICE_CODE_GRANT, "refresh_token"), "response_types": (), "redirect_uris": ()},
]


@pytest.mark.parametrize("changes", TAKEN, ids=[f"{i}-{next(iter(t))}" for i, t in enumerate(TAKEN)])
def test_what_a_field_takes(changes: dict[str, Any]) -> None:
    assert faults(**changes) == {}


def test_pairwise_subjects_of_several_hosts_need_a_sector() -> None:
    """OIDC Core section 8.1: without it nobody could say which of the hosts the subjects belong to."""
    several = (CALLBACK, "https://other.example.org/callback")
    found = faults(subject_type="pairwise", redirect_uris=several)
    assert "sector_identifier_uri" in found["subject_type"][0]
    sector = "https://sector.example.org/uris.json"
    assert faults(subject_type="pairwise", redirect_uris=several, sector_identifier_uri=sector) == {}


@pytest.mark.parametrize(
    "changes", [{"subject_type": "pairwise"}, {"frontchannel_logout_uri": "https://app.example.org/logout"}]
)
def test_a_redirect_uri_that_is_none_is_a_fault_of_that_alone(changes: dict[str, Any]) -> None:
    found = faults(redirect_uris=("https://[::1/", CALLBACK), **changes)
    assert set(found) == {"redirect_uris"}


def test_every_fault_is_named_at_once() -> None:
    found = faults(client_name="", logo_uri="x", redirect_uris=("http://a.example/", "http://b.example/"))
    assert set(found) == {"client_name", "logo_uri", "redirect_uris"}
    assert len(found["redirect_uris"]) == 2


@pytest.mark.parametrize("secret", ["short", "x" * 513, "ümlaut" * 4, "with\nnewline" * 2])
def test_a_secret_that_is_brought_along(secret: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        check_metadata(metadata(), secret)
    assert set(refused.value.faults) == {"client_secret"}
