"""`idp client add --metadata`, `update` and `show`: one document for all."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from joserfc.jwk import ECKey
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from idp.cli.client import SHOWN
from idp.cli.client_explained import explain
from idp.cli.client_options import FIELDS, GROUPS, MEMBERS
from idp.models import AuditEvent, Client
from idp.oidc import client_document, client_store
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings
from tests.cli.conftest import Run
from tests.document_server import DocumentServer

CALLBACK = "https://wiki.example.org/callback"
Show = Callable[[], dict[str, Any]]


@pytest.fixture
def wiki(instance: Path, succeed: Run) -> Result:
    """An app with the id `wiki`."""
    return succeed("client", "add", "Wiki", "--redirect-uri", CALLBACK, "--id", "wiki", "--json")


@pytest.fixture
def show(succeed: Run) -> Show:
    return lambda: dict(json.loads(succeed("client", "show", "wiki", "--json").stdout))


def test_every_member_has_an_option() -> None:
    told = {client_document._MEMBER_NAMES.get(field, field) for field in FIELDS} - {"client_name"}
    assert told == set(MEMBERS)
    assert len(MEMBERS) == len(set(MEMBERS))
    fields = {*FIELDS, "client_id", "version", "created_at"}
    secret = {"client_secret_digest", "client_secret_sealed", "registration_token_digest"}
    assert fields | secret == set(ClientMetadata.__dataclass_fields__)


def test_the_help_shows_them_in_groups(instance: Path, succeed: Run) -> None:
    for command in ("add", "update"):
        told = succeed("client", command, "--help").stdout
        assert [told.index(f"{group}:") for group in GROUPS] == sorted(told.index(f"{group}:") for group in GROUPS)
        for choices in GROUPS.values():
            assert all(choice.flag in told for choice in choices)


def test_an_update_changes_what_is_named_and_nothing_else(wiki: Result, succeed: Run, show: Show) -> None:
    before = show()
    result = succeed("client", "update", "wiki", "--trusted", "--logo-uri", "https://wiki.example.org/l.png")
    assert "Changed logo_uri, is_trusted." in result.stderr
    assert not result.stdout
    after = show()
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"is_trusted", "logo_uri", "version"}
    assert after["version"] == before["version"] + 1


def test_a_list_takes_the_place_of_the_one_before(wiki: Result, succeed: Run, show: Show) -> None:
    new = ("--redirect-uri", "https://a.example.org/", "--redirect-uri", "https://b.example.org/")
    succeed("client", "update", "wiki", *new, "--name", "Notes")
    assert show()["redirect_uris"] == ["https://a.example.org/", "https://b.example.org/"]
    assert show()["client_name"] == "Notes"


def test_what_is_cleared_is_as_if_it_had_never_been_said(wiki: Result, succeed: Run, show: Show) -> None:
    before = show()
    given = ("--trusted", "--logo-uri", "https://wiki.example.org/l.png", "--default-max-age", "0", "--contact", "Ada")
    succeed("client", "update", "wiki", *given)
    assert show()["default_max_age"] == 0
    cleared = ("is_trusted", "logo_uri", "default_max_age", "contacts")
    succeed("client", "update", "wiki", *(part for name in cleared for part in ("--clear", name)))
    assert {**show(), "version": 0} == {**before, "version": 0}


def test_nothing_to_change_changes_nothing(wiki: Result, succeed: Run, show: Show) -> None:
    before = show()
    assert "Nothing was to be changed" in succeed("client", "update", "wiki", "--redirect-uri", CALLBACK).stderr
    assert show() == before


def test_a_document_goes_round(wiki: Result, succeed: Run, show: Show, tmp_path: Path) -> None:
    """What `show --json` prints is what `add --metadata` takes."""
    key = ECKey.generate_key("P-256", {"kid": "one"}).as_dict(private=False)
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [key]}))
    options = (
        *("--jwks", str(tmp_path / "keys.json"), "--access-token-format", "jwt", "--resource", "urn:api"),
        *("--subject-type", "pairwise", "--single-session", "--initiate-login-uri", "https://wiki.example.org/go"),
        *("--grant", "authorization_code", "--grant", "refresh_token"),
    )
    succeed("client", "update", "wiki", *options)
    document = show()
    (tmp_path / "wiki.json").write_text(json.dumps(document))
    path = str(tmp_path / "wiki.json")
    again = json.loads(succeed("client", "add", "--metadata", path, "--json").stdout)
    own = {"client_id", "version", "created_at", "client_secret"}
    assert {k: v for k, v in again.items() if k not in own} == {k: v for k, v in document.items() if k not in own}
    assert again["client_id"] != "wiki"
    named = json.loads(succeed("client", "add", "Other", "--metadata", path, "--trusted", "--json").stdout)
    assert (named["client_name"], named["is_trusted"]) == ("Other", True)


def test_a_document_as_it_was_shown_changes_nothing(wiki: Result, succeed: Run, show: Show, tmp_path: Path) -> None:
    """What was left to a setting is left to it, so that a change of the setting counts for this app, too."""
    path = tmp_path / "wiki.json"
    path.write_text(json.dumps(show()), "utf-8")
    assert "Nothing was to be changed." in succeed("client", "update", "wiki", "--metadata", str(path)).stderr


def test_a_document_changes_what_it_names(wiki: Result, succeed: Run, show: Show, tmp_path: Path) -> None:
    succeed("client", "update", "wiki", "--logo-uri", "https://wiki.example.org/l.png", "--contact", "Ada")
    path = tmp_path / "change.json"
    path.write_text(json.dumps({"logo_uri": None, "scope": "openid email", "client_name#de": "Notizen", "x": 1}))
    succeed("client", "update", "wiki", "--metadata", str(path))
    assert show()["logo_uri"] is None
    assert show()["scopes"] == ["openid", "email"]
    assert show()["contacts"] == ["Ada"]


def test_an_app_that_gets_a_secret_is_told_it_once(wiki: Result, succeed: Run, database: Session) -> None:
    secret = json.loads(wiki.stdout)["client_secret"]
    succeed("client", "update", "wiki", "--public")
    assert client_store.get_client(database, "wiki").client_secret_digest is None
    database.rollback()
    told = json.loads(succeed("client", "update", "wiki", "--auth-method", "client_secret_post", "--json").stdout)
    assert told["client_secret"] != secret
    assert client_store.get_client(database, "wiki").has_secret(told["client_secret"])
    assert "client_secret" not in json.loads(succeed("client", "update", "wiki", "--trusted", "--json").stdout)


def test_an_update_is_written_down(wiki: Result, succeed: Run, database: Session) -> None:
    succeed("client", "update", "wiki", "--trusted", "--public")
    event = database.scalars(select(AuditEvent).where(AuditEvent.event == "client:registration:change")).one()
    assert (event.actor, event.client_id) == ("operator", "wiki")
    assert event.details == {"fields": ["token_endpoint_auth_method", "is_trusted"]}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--redirect-uri", "http://wiki.example.org/"), 1, "must be https"),
        (("--redirect-uri", "org.example.app:/callback"), 1, "application_type native"),
        (("--clear", "redirect_uris"), 1, "redirect_uris:"),
        (("--clear", "client_secret_digest"), 2, "--clear client_secret_digest"),
        (("--grant", "implicit", "--response-type", "id_token"), 1, "turned off"),
        (("--auth-method", "client_secret_post", "--public"), 2, "--auth-method"),
        (("--name", "x" * 101), 1, "client_name:"),
        (("--jwks", "/nowhere"), 2, "--jwks"),
        (("--metadata", "/nowhere"), 2, "--metadata"),
        (("--sector-identifier-uri", "https://127.0.0.1:9/"), 1, "sector_identifier_uri:"),
    ],
)
def test_refusals_change_nothing(
    wiki: Result, run: Run, show: Show, arguments: tuple[str, ...], code: int, told: str
) -> None:
    before = show()
    result = run("client", "update", "wiki", *arguments)
    assert result.exit_code == code
    assert told in result.stderr
    assert show() == before


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "JSON object"),
        ("{", "no JSON"),
        ("\xff", "no JSON"),
        ('{"redirect_uris": "https://a.example/"}', "redirect_uris: Must be a list"),
        ('{"grant_types": "implicit"}', "grant_types: Must be a list"),
    ],
)
def test_a_document_that_is_none(wiki: Result, run: Run, tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "document.json"
    path.write_bytes(content.encode("latin-1"))
    for command in (("update", "wiki"), ("add", "Other")):
        result = run("client", *command, "--metadata", str(path))
        assert result.exit_code == 1
        assert told in result.stderr


def test_an_app_needs_a_name(instance: Path, run: Run) -> None:
    result = run("client", "add", "--redirect-uri", CALLBACK)
    assert result.exit_code == 2
    assert "NAME" in result.stderr


def test_no_such_app(instance: Path, run: Run) -> None:
    result = run("client", "update", "nobody", "--trusted")
    assert result.exit_code == 1
    assert "There is no client 'nobody': see `idp client list`." in result.stderr


def test_a_sector_is_asked(wiki: Result, succeed: Run, run: Run, show: Show) -> None:
    several = ("--redirect-uri", CALLBACK, "--redirect-uri", "https://other.example.org/")
    assert "sector_identifier_uri" in run("client", "update", "wiki", *several, "--subject-type", "pairwise").stderr
    with DocumentServer() as documents:
        sector = documents.put("/sector", json.dumps([CALLBACK, several[3]]), "application/json")
        options = (*several, "--subject-type", "pairwise", "--sector-identifier-uri", sector)
        succeed("client", "update", "wiki", *options)
        assert documents.asked == ["/sector"]
    assert show()["subject_type"] == "pairwise"


# -- What show explains ---------------------------------------------------------------------------


def test_show_explains_what_an_app_may_do(wiki: Result, succeed: Run) -> None:
    told = succeed("client", "show", "wiki").stdout
    for sentence in (
        "The operator registered it as a web app, on ",
        "Confidential: it proves who it is by a secret",
        "People sign in to it with a code",
        "For people it may ask for openid, profile, email, roles.",
        "Not trusted: each person is asked",
        "PKCE is taken where it is offered.",
        "ID tokens: RS256, good for 1 hour, claims come from userinfo.",
        "Userinfo: JSON.",
        "Access tokens: opaque, good for 10 minutes.",
        "It has registered no public keys.",
        "It is not told when a session ends.",
    ):
        assert sentence in told
    assert CALLBACK in told


def test_show_explains_what_an_app_may_do_with_accounts(instance: Path, succeed: Run) -> None:
    url = "http://localhost:8501"
    client_id = json.loads(succeed("client", "add-streamlit", "Tea", "--url", url, "--json").stdout)["client_id"]
    told = succeed("client", "show", client_id).stdout
    for sentence in ("sees all that is on file of its people", "may register people", "mailed what they forgot"):
        assert sentence in told
    assert "one-time passwords" not in told
    succeed("client", "add", "Desk", "--id", "desk", "--grant", "client_credentials", "--scope", "recovery:password")
    assert "one-time passwords for all accounts" in succeed("client", "show", "desk").stdout


def test_show_explains_what_the_options_change(instance: Path, succeed: Run, tmp_path: Path) -> None:
    options = (
        *("--public", "--trusted", "--session-bound", "--access-token-lifetime", "300"),
        *("--id-token-claims", "--signing-algorithm", "ES256"),
        *("--access-token-format", "jwt", "--resource", "urn:api", "--dpop-required", "--pushed-requests-required"),
        *("--jwks-uri", "https://app.example.org/jwks", "--signed-requests-required", "--unsigned-requests-allowed"),
        *("--subject-type", "pairwise", "--grant", "authorization_code", "--grant", "refresh_token"),
        *("--registration-policy", "open", "--registration-domain", "example.org", "--registration-role", "guest"),
        *("--max-concurrent-users", "5", "--single-session", "--initiate-login-uri", "https://app.example.org/go"),
        *(
            "--backchannel-logout-uri",
            "https://app.example.org/b",
            "--frontchannel-logout-uri",
            "https://app.example.org/f",
        ),
    )
    succeed("client", "add", "App", "--redirect-uri", "https://app.example.org/cb", "--id", "app", *options)
    told = succeed("client", "show", "app").stdout
    for sentence in (
        "Public: it proves nothing",
        "gets none: that takes the scope offline_access",
        "Trusted: nobody is asked",
        "Requests without PKCE are refused.",
        "It must push its requests (PAR).",
        "It must sign its requests (JAR).",
        "nobody signed (alg none)",
        "ID tokens: ES256, good for 1 hour, with profile claims in them.",
        "Access tokens: JWT, bound to its key (DPoP), good as long as the browser session, and for 5 minutes at most.",
        "It may ask for tokens for urn:api.",
        "People have a subject that no other app knows them by.",
        "Its public keys are fetched from https://app.example.org/jwks.",
        "(back-channel)",
        "(front-channel)",
        "Registration there is open",
        "Only addresses of example.org",
        "It may give guest",
        "It takes in 5 people at once.",
        "signed out of it here",
        "People start it from their account page, at https://app.example.org/go.",
    ):
        assert sentence in told


OTHERWISE: dict[str, object] = {
    "client_name": "Other",
    "application_type": "native",
    "token_endpoint_auth_method": "private_key_jwt",
    "grant_types": ("authorization_code", "implicit"),
    "response_types": ("code", "id_token"),
    "access_token_format": "jwt",
    "subject_type": "public",
    "jwks": {"keys": []},
    "registration_policy": "closed",
}
ANYWAY = {"backchannel_logout_session_required", "frontchannel_logout_session_required"}  # every app is told which


@pytest.mark.parametrize("field", sorted({*FIELDS} - ANYWAY))
def test_show_leaves_nothing_out(field: str) -> None:
    """Whatever an app may be told to be, what is shown of it is another than before."""
    app = ClientMetadata(
        client_id="app",
        client_name="App",
        grant_types=("authorization_code", "implicit", "refresh_token"),
        scopes=("openid", "offline_access"),
        subject_type="pairwise",
        **{f"{what}_encrypted_response_alg": "RSA-OAEP-256" for what in ("id_token", "userinfo")},
    )
    kinds = {bool: True, int: 7, tuple: ("https://x.example.org/",)}
    value = OTHERWISE.get(field, kinds.get(type(getattr(app, field)), "https://x.example.org/"))
    value = 7 if field.endswith(("_lifetime", "_age", "_users")) else value
    changed = replace(app, **{field: value})

    def told(client: ClientMetadata) -> list[object]:
        return [*(getattr(client, name) for name in SHOWN), *explain(client, Settings())]

    assert told(changed) != told(app)


def test_show_tells_nothing_of_people_where_nobody_signs_in(instance: Path, succeed: Run) -> None:
    succeed("client", "add", "Nightly job", "--id", "job", "--grant", "client_credentials")
    told = succeed("client", "show", "job").stdout
    assert "Nobody signs in to it." in told
    for topic in ("consent", "PKCE", "ID tokens", "subject", "sign-out"):
        assert topic not in told


def test_show_tells_of_pkce_where_there_are_codes(instance: Path, succeed: Run) -> None:
    succeed("client", "add", "TV", "--id", "tv", "--public", "--grant", "urn:ietf:params:oauth:grant-type:device_code")
    told = succeed("client", "show", "tv").stdout
    assert "each person is asked" in told
    assert "PKCE" not in told


def test_list_tells_who_registered_itself(wiki: Result, succeed: Run, database: Session) -> None:
    client = client_store.get_client(database, "wiki")
    assert not client.is_self_registered
    database.execute(update(Client).values(registration_token_digest="0" * 64))
    database.commit()
    assert "confidential, self-registered" in succeed("client", "list").stdout
    assert json.loads(succeed("client", "list", "--json").stdout)[0]["is_self_registered"] is True
    assert "It registered itself as a web app, on " in succeed("client", "show", "wiki").stdout
