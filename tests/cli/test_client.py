"""`idp client`: add, list, show, remove, rotate-secret."""

import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey
from sqlalchemy.orm import Session

from idp.oidc import client_store, clients
from tests.cli.conftest import Run

CALLBACK = "https://wiki.example.org/callback"


def test_add_prints_id_and_secret_once(instance: Path, succeed: Run, database: Session) -> None:
    result = succeed("client", "add", "Wiki", "--redirect-uri", CALLBACK)
    shown = dict(line.split() for line in result.stdout.splitlines())
    assert client_store.get_client(database, shown["client_id"]).has_secret(shown["client_secret"])
    assert shown["client_secret"] not in result.stderr
    for again in (("list", "--json"), ("show", shown["client_id"]), ("show", shown["client_id"], "--json")):
        told = succeed("client", *again).stdout
        assert shown["client_secret"] not in told
        assert "digest" not in told


def test_defaults(instance: Path, succeed: Run) -> None:
    shown = json.loads(succeed("client", "add", "Wiki", "--redirect-uri", CALLBACK, "--json").stdout)
    assert shown["grant_types"] == ["authorization_code"]
    assert shown["scopes"] == ["openid", "profile", "email", "roles"]
    assert shown["token_endpoint_auth_method"] == "client_secret_basic"
    assert not any(shown[flag] for flag in ("is_trusted", "is_pkce_required", "has_id_token_claims"))


def test_a_device_needs_no_redirect_uri(instance: Path, succeed: Run) -> None:
    grants = ("--grant", clients.DEVICE_CODE_GRANT, "--grant", "refresh_token")
    shown = json.loads(succeed("client", "add", "Television", "--public", *grants, "--json").stdout)
    assert shown["redirect_uris"] == []
    assert shown["scopes"] == ["openid", "profile", "email", "roles", "offline_access"]
    told = succeed("client", "show", shown["client_id"]).stdout
    assert "It connects devices that show no browser" in told
    assert "It may stay signed in without the person" in told


def test_a_scripted_set_up(instance: Path, succeed: Run, database: Session) -> None:
    secret = "bench-secret-of-enough-length"
    arguments = [
        "client",
        "add",
        "bench",
        "--id",
        "bench",
        "--secret-stdin",
        "--trusted",
        "--redirect-uri",
        "http://127.0.0.1:9/cb",
    ]
    for grant in clients.GRANT_TYPES:
        arguments += ["--grant", grant]
    for scope in ("openid", "profile", "email", "offline_access", "account"):
        arguments += ["--scope", scope]
    succeed(*arguments, stdin=secret)
    client = client_store.get_client(database, "bench")
    assert client.has_secret(secret)
    assert client.is_trusted
    assert client.grant_types == clients.GRANT_TYPES
    assert client.scopes == ("openid", "profile", "email", "offline_access", "account")


def test_every_choice_is_kept(instance: Path, succeed: Run) -> None:
    lifetimes = ("--access-token-lifetime", "60", "--id-token-lifetime", "61", "--refresh-token-lifetime", "62")
    links = ("--client-uri", "https://a.example.org", "--logo-uri", "https://b.example.org")
    legal = ("--policy-uri", "https://c.example.org", "--tos-uri", "https://d.example.org")
    uris = ("--redirect-uri", CALLBACK, "--redirect-uri", CALLBACK, "--redirect-uri", "http://localhost/cb")
    scopes = ("--scope", "openid email", "--scope", "email")
    flags = ("--pkce-required", "--id-token-claims", "--session-bound")
    methods = ("--auth-method", "client_secret_post", "--signing-algorithm", "ES256")
    after = ("--post-logout-redirect-uri", "https://wiki.example.org/")
    grants = ("--grant", "refresh_token", "--grant", "authorization_code")
    domains = ("--registration-domain", "example.org", "--registration-domain", "example.com")
    people = ("--registration-policy", "preauthorized", "--registration-role", "reader", "--max-concurrent-users", "5")
    sessions = ("--single-session", "--backchannel-logout-uri", "https://wiki.example.org/logout")
    sessions = (*sessions, "--frontchannel-logout-uri", "https://wiki.example.org/signed-out")
    policies = (*domains, *people, *sessions)
    arguments = (*uris, *after, *scopes, *grants, *methods, *flags, *lifetimes, *links, *legal, *policies)
    client_id = json.loads(succeed("client", "add", "Wiki", *arguments, "--json").stdout)["client_id"]
    shown = json.loads(succeed("client", "show", client_id, "--json").stdout)
    expected = {
        "redirect_uris": [CALLBACK, "http://localhost/cb"],
        "post_logout_redirect_uris": ["https://wiki.example.org/"],
        "scopes": ["openid", "email"],
        "token_endpoint_auth_method": "client_secret_post",
        "is_pkce_required": True,
        "has_id_token_claims": True,
        "is_access_token_session_bound": True,
        "id_token_signed_response_alg": "ES256",
        "access_token_lifetime": 60,
        "id_token_lifetime": 61,
        "refresh_token_lifetime": 62,
        "grant_types": ["refresh_token", "authorization_code"],
        "client_uri": "https://a.example.org",
        "logo_uri": "https://b.example.org",
        "policy_uri": "https://c.example.org",
        "tos_uri": "https://d.example.org",
        "registration_policy": "preauthorized",
        "registration_domains": ["example.org", "example.com"],
        "registration_roles": ["reader"],
        "max_concurrent_users": 5,
        "is_single_session": True,
        "backchannel_logout_uri": "https://wiki.example.org/logout",
        "frontchannel_logout_uri": "https://wiki.example.org/signed-out",
    }
    assert {name: shown[name] for name in expected} == expected


@pytest.mark.parametrize("how", [("--public",), ("--auth-method", "none")])
def test_a_public_client_has_no_secret(instance: Path, succeed: Run, run: Run, how: tuple[str, ...]) -> None:
    arguments = ("--redirect-uri", "org.example.app:/callback", *how)
    shown = json.loads(succeed("client", "add", "Phone", *arguments, "--json").stdout)
    assert shown["client_secret"] is None
    assert shown["token_endpoint_auth_method"] == "none"
    rotated = run("client", "rotate-secret", shown["client_id"])
    assert rotated.exit_code == 1
    assert "public" in rotated.stderr


def test_refresh_tokens_come_with_the_scope_that_asks_for_them(instance: Path, succeed: Run) -> None:
    grants = ("--grant", "authorization_code", "--grant", "refresh_token")
    shown = json.loads(succeed("client", "add", "Wiki", "--redirect-uri", CALLBACK, *grants, "--json").stdout)
    assert "offline_access" in shown["scopes"]


def test_a_device_asks_for_what_an_app_asks_for(instance: Path, succeed: Run) -> None:
    shown = json.loads(
        succeed("client", "add", "Oven", "--public", "--grant", clients.DEVICE_CODE_GRANT, "--json").stdout
    )
    assert shown["scopes"] == ["openid", "profile", "email", "roles"]
    assert shown["redirect_uris"] == []


def test_a_job_needs_no_redirect_uri(instance: Path, succeed: Run) -> None:
    shown = json.loads(succeed("client", "add", "Job", "--grant", "client_credentials", "--json").stdout)
    assert shown["response_types"] == []
    assert shown["scopes"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 1, "redirect_uris:"),
        (("--redirect-uri", "http://wiki.example.org/cb"), 1, "must be https"),
        (("--redirect-uri", "https://*.example.org/cb"), 1, "wildcard"),
        (("--redirect-uri", CALLBACK, "--scope", "everything"), 1, "scopes:"),
        (("--redirect-uri", CALLBACK, "--id", "a b"), 1, "client_id:"),
        (("--redirect-uri", CALLBACK, "--access-token-lifetime", "1"), 1, "access_token_lifetime:"),
        (("--redirect-uri", CALLBACK, "--logo-uri", "javascript:alert(1)"), 1, "logo_uri:"),
        (("--redirect-uri", CALLBACK, "--scope", "registration"), 1, "need the grant client_credentials"),
        (("--redirect-uri", CALLBACK, "--registration-domain", "no domain"), 1, "registration_domains:"),
        (("--redirect-uri", CALLBACK, "--registration-role", "no role"), 1, "registration_roles:"),
        (("--redirect-uri", CALLBACK, "--max-concurrent-users", "0"), 1, "max_concurrent_users:"),
        (("--redirect-uri", CALLBACK, "--max-concurrent-users", "3000000000"), 1, "max_concurrent_users:"),
        (("--redirect-uri", CALLBACK, "--backchannel-logout-uri", "http://wiki.example.org"), 1, "must be https"),
        (("--redirect-uri", CALLBACK, "--backchannel-logout-uri", "org.example:/x"), 1, "no web address"),
        (("--redirect-uri", CALLBACK, "--registration-policy", "ajar"), 2, "--registration-policy"),
        (("--redirect-uri", CALLBACK, "--grant", "password"), 2, "--grant"),
        (("--redirect-uri", CALLBACK, "--public", "--auth-method", "client_secret_post"), 2, "--auth-method"),
        (("--redirect-uri", CALLBACK, "--public", "--secret-stdin"), 2, "--secret-stdin"),
        (("--redirect-uri", CALLBACK, "--secret-stdin"), 1, "client_secret:"),
    ],
)
def test_refusals_name_what_is_wrong(
    instance: Path, run: Run, arguments: tuple[str, ...], code: int, told: str
) -> None:
    result = run("client", "add", "Wiki", *arguments, stdin="short")
    assert result.exit_code == code
    assert told in result.stderr
    assert not result.stdout
    assert json.loads(run("client", "list", "--json").stdout) == []


def test_an_id_that_is_taken(instance: Path, succeed: Run, run: Run) -> None:
    arguments = ("client", "add", "Wiki", "--redirect-uri", CALLBACK, "--id", "wiki")
    succeed(*arguments)
    result = run(*arguments)
    assert result.exit_code == 1
    assert "There is a client 'wiki' already." in result.stderr


def test_list(instance: Path, succeed: Run) -> None:
    assert "no apps yet" in succeed("client", "list").stderr
    succeed("client", "add", "Wiki", "--redirect-uri", CALLBACK, "--id", "wiki", "--trusted")
    shown = json.loads(succeed("client", "list", "--json").stdout)
    assert [each["client_id"] for each in shown] == ["wiki"]
    table = succeed("client", "list").stdout
    assert "confidential, trusted" in table


def test_a_name_that_would_write_on_the_terminal_is_refused(instance: Path, run: Run) -> None:
    refused = run("client", "add", "Wiki\x1b[31m", "--redirect-uri", CALLBACK)
    assert refused.exit_code == 1
    assert "cannot be shown" in refused.stderr


def test_remove_and_rotate(instance: Path, succeed: Run, run: Run, database: Session) -> None:
    succeed("client", "add", "Wiki", "--redirect-uri", CALLBACK, "--id", "wiki")
    rotated = json.loads(succeed("client", "rotate-secret", "wiki", "--json").stdout)
    assert client_store.get_client(database, "wiki").has_secret(rotated["client_secret"])
    assert "client_secret" in succeed("client", "rotate-secret", "wiki").stdout
    assert "Removed Wiki (wiki)." in succeed("client", "remove", "wiki").stderr
    for action in ("remove", "show", "rotate-secret"):
        result = run("client", action, "wiki")
        assert result.exit_code == 1
        assert "There is no client 'wiki': see `idp client list`." in result.stderr


def test_keys_come_from_a_file(instance: Path, succeed: Run, tmp_path: Path, database: Session) -> None:
    key = ECKey.generate_key("P-256", {"kid": "one"}).as_dict(private=False)
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [key]}), "utf-8")
    added = ("client", "add", "Wiki", "--redirect-uri", CALLBACK, "--auth-method", "private_key_jwt")
    shown = json.loads(succeed(*added, "--jwks", str(file), "--json").stdout)
    assert shown["client_secret"] is None
    assert client_store.get_client(database, shown["client_id"]).jwks == {"keys": [key]}
    uri = "https://wiki.example.org/keys"
    assert json.loads(succeed(*added, "--jwks-uri", uri, "--json").stdout)["jwks_uri"] == uri


def test_a_file_that_holds_no_keys_is_refused(instance: Path, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text("{", "utf-8")
    added = ("client", "add", "Wiki", "--redirect-uri", CALLBACK, "--auth-method", "private_key_jwt", "--jwks")
    assert "no JSON" in run(*added, str(file)).stderr
    file.write_text("[]", "utf-8")
    assert "JWK Set" in run(*added, str(file)).stderr
