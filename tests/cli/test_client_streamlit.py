"""`idp client add-streamlit`: what it registers, what it writes, and what it never writes over."""

import json
import os
import stat
import tomllib
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from idp.oidc import client_store
from tests.cli.conftest import Run

URL = "http://localhost:8501"
ADD = ("client", "add-streamlit", "Tea House", "--url", URL)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """Where the app's secrets go; neither file nor folder is there yet."""
    return tmp_path / "app" / ".streamlit" / "secrets.toml"


def _client_ids(run: Run) -> list[str]:
    return [each["client_id"] for each in json.loads(run("client", "list", "--json").stdout)]


def test_writes_what_streamlit_needs(instance: Path, succeed: Run, secrets: Path, database: Session) -> None:
    result = succeed(*ADD, "--secrets", str(secrets))
    auth = tomllib.loads(secrets.read_text())["auth"]
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert auth["redirect_uri"] == "http://localhost:8501/oauth2callback"
    assert auth["server_metadata_url"] == "http://localhost:8000/.well-known/openid-configuration"
    assert auth["expose_tokens"] == ["access"]
    assert auth["client_kwargs"]["scope"] == "openid profile email roles account"
    assert len(auth["cookie_secret"]) >= 43
    assert auth["client_secret"] not in result.output
    client = client_store.get_client(database, auth["client_id"])
    assert client.has_secret(auth["client_secret"])
    assert client.redirect_uris == client.post_logout_redirect_uris == (auth["redirect_uri"],)
    assert client.client_name == "Tea House"
    assert client.grant_types == ("authorization_code", "client_credentials")
    assert client.scopes == (*auth["client_kwargs"]["scope"].split(), "registration", "recovery")


def test_with_policies_and_passwords_to_hand_out(instance: Path, succeed: Run, database: Session) -> None:
    policies = (
        "--registration-policy",
        "preauthorized",
        "--registration-role",
        "reader",
        "--max-concurrent-users",
        "3",
    )
    shown = json.loads(succeed(*ADD, "--recovery-password", *policies, "--single-session", "--json").stdout)
    assert shown["auth"]["client_kwargs"]["scope"] == "openid profile email roles account"
    client = client_store.get_client(database, shown["client_id"])
    assert client.scopes[-3:] == ("registration", "recovery", "recovery:password")
    assert (client.max_concurrent_users, client.is_single_session) == (3, True)
    rules = client.registration_rules
    assert (rules.policy, rules.domains, rules.roles, rules.client_id) == (
        "preauthorized",
        (),
        ("reader",),
        client.client_id,
    )


def test_without_a_file_the_section_goes_to_stdout(instance: Path, succeed: Run, database: Session) -> None:
    result = succeed(*ADD)
    auth = tomllib.loads(result.stdout)["auth"]
    assert client_store.get_client(database, auth["client_id"]).has_secret(auth["client_secret"])
    assert auth["client_secret"] not in result.stderr


def test_json(instance: Path, succeed: Run, secrets: Path) -> None:
    shown = json.loads(succeed(*ADD, "--json").stdout)
    assert set(shown) == {"client_id", "client_secret", "auth"}
    shown = json.loads(succeed(*ADD, "--secrets", str(secrets), "--json").stdout)
    assert set(shown) == {"client_id", "secrets_file"}


def test_the_rest_of_a_file_stays_to_the_letter(instance: Path, succeed: Run, secrets: Path) -> None:
    before = '# mine\nkey   =  "value"   # as it was\n\n[database]\r\nurl = "x"\r\n'
    secrets.parent.mkdir(parents=True)
    secrets.write_bytes(before.encode())
    secrets.chmod(0o644)
    succeed(*ADD, "--secrets", str(secrets))
    assert secrets.read_bytes().decode().startswith(before)
    assert tomllib.loads(secrets.read_text())["auth"]["redirect_uri"]
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


@pytest.mark.parametrize("section", ['[auth]\nclient_id = "old"\n', '[auth.google]\nclient_id = "g"\n', 'auth = "x"\n'])
def test_never_over_an_auth_section(instance: Path, run: Run, secrets: Path, section: str) -> None:
    secrets.parent.mkdir(parents=True)
    secrets.write_text(section)
    result = run(*ADD, "--secrets", str(secrets))
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert secrets.read_text() == section
    assert _client_ids(run) == []


def test_force_writes_over_it_and_names_the_client_before(instance: Path, succeed: Run, secrets: Path) -> None:
    succeed(*ADD, "--secrets", str(secrets))
    before = tomllib.loads(secrets.read_text())["auth"]["client_id"]
    secrets.write_text(secrets.read_text() + '\n[auth.google]\nclient_id = "g"\n')
    result = succeed(*ADD, "--secrets", str(secrets), "--force")
    auth = tomllib.loads(secrets.read_text())["auth"]
    assert auth["client_id"] != before
    assert auth["google"] == {"client_id": "g"}
    assert f"idp client remove {before}" in result.stderr


def test_force_over_what_is_no_section(instance: Path, succeed: Run, secrets: Path) -> None:
    secrets.parent.mkdir(parents=True)
    secrets.write_text('auth = "x"\n')
    succeed(*ADD, "--secrets", str(secrets), "--force")
    assert tomllib.loads(secrets.read_text())["auth"]["client_id"]


def test_a_file_that_is_no_toml_is_left_alone(instance: Path, run: Run, secrets: Path) -> None:
    secrets.parent.mkdir(parents=True)
    secrets.write_text("this is = = no toml")
    result = run(*ADD, "--secrets", str(secrets), "--force")
    assert result.exit_code == 1
    assert "no TOML" in result.stderr
    assert secrets.read_text() == "this is = = no toml"
    assert _client_ids(run) == []


def test_bytes_that_are_not_utf_8(instance: Path, run: Run, secrets: Path) -> None:
    secrets.parent.mkdir(parents=True)
    secrets.write_bytes(b'key = "\xff"')
    assert run(*ADD, "--secrets", str(secrets)).exit_code == 1
    assert secrets.read_bytes() == b'key = "\xff"'


def test_nothing_is_registered_when_the_file_cannot_be_written(instance: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    result = run(*ADD, "--secrets", str(tmp_path / "file" / "secrets.toml"))
    assert result.exit_code == 1
    assert _client_ids(run) == []


def test_nothing_is_registered_when_the_disk_is_full(
    instance: Path, run: Run, secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        result = run(*ADD, "--secrets", str(secrets))
    assert result.exit_code == 1
    assert "No space left" in result.stderr
    assert list(secrets.parent.iterdir()) == []
    assert _client_ids(run) == []


@pytest.mark.parametrize("before", [None, "key = 1\n"])
def test_the_file_is_put_back_when_the_database_fails(
    instance: Path, run: Run, secrets: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    if before:
        secrets.parent.mkdir(parents=True)
        secrets.write_text(before)

    def fail(_session: Session) -> None:
        raise OSError(5, "Input/output error", "idp.sqlite3")

    with monkeypatch.context() as patch:
        patch.setattr(Session, "commit", fail)
        assert run(*ADD, "--secrets", str(secrets)).exit_code == 1
    assert (secrets.read_text() if secrets.exists() else None) == before
    assert _client_ids(run) == []


def test_a_link_is_followed(instance: Path, succeed: Run, secrets: Path, tmp_path: Path) -> None:
    secrets.parent.mkdir(parents=True)
    secrets.symlink_to(tmp_path / "real.toml")
    succeed(*ADD, "--secrets", str(secrets))
    assert secrets.is_symlink()
    assert "auth" in tomllib.loads((tmp_path / "real.toml").read_text())


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://app.example.org", "must be https"),
        ("app.example.org", "url:"),
        ("http://localhost:8501?x=1", "url:"),
        ("http://localhost:8501#x", "url:"),
        ("http://[::1", "url:"),
        ("javascript:alert(1)", "url:"),
        ("https://user:password@app.example.org", "user name"),
    ],
)
def test_urls_that_are_refused(instance: Path, run: Run, secrets: Path, url: str, told: str) -> None:
    result = run("client", "add-streamlit", "Tea House", "--url", url, "--secrets", str(secrets))
    assert result.exit_code == 1
    assert told in result.stderr
    assert not secrets.exists()
    assert _client_ids(run) == []


def test_the_address_is_written_as_browsers_write_it(instance: Path, succeed: Run) -> None:
    """Streamlit believes its sign-in cookie at no other: people would come back signed out."""
    shown = tomllib.loads(succeed("client", "add-streamlit", "Tea", "--url", "HTTPS://X.Example.org:443/Tea").stdout)
    assert shown["auth"]["redirect_uri"] == "https://x.example.org/Tea/oauth2callback"


def test_a_path_and_a_slash_are_fine(instance: Path, succeed: Run) -> None:
    shown = tomllib.loads(succeed("client", "add-streamlit", "Tea", "--url", "https://x.example.org/tea/").stdout)
    assert shown["auth"]["redirect_uri"] == "https://x.example.org/tea/oauth2callback"


@pytest.mark.parametrize(
    ("first", "second", "is_told"),
    [
        ("http://localhost:8501", "http://localhost:8502", True),
        ("http://localhost:8501", "http://127.0.0.1:8502", False),
        ("http://localhost:8501", "http://localhost:8501", False),
        ("http://localhost:8501", "http://localhost:8502/reports", True),  # browsers send it the cookies of both
        ("https://x.example.org/reports", "https://x.example.org", True),
        ("https://x.example.org/reports", "https://x.example.org/tea", False),
        ("https://x.example.org/reports", "https://x.example.org/reports-of-old", False),
        ("https://x.example.org/reports", "https://x.example.org/reports/old", True),
        ("https://x.example.org", "https://y.example.org", False),
    ],
)
def test_apps_that_would_sign_each_other_out_are_named(
    instance: Path, succeed: Run, first: str, second: str, is_told: bool
) -> None:
    succeed("client", "add-streamlit", "Tea House", "--url", first)
    for uri in ("http://localhost:9000/callback", "https://x.example.org/callback"):
        succeed("client", "add", "Wiki", "--redirect-uri", uri)
    told = succeed("client", "add-streamlit", "Reports", "--url", second).stderr
    assert ("this app and Tea House sign each other out" in told) == is_told
    assert "Wiki" not in told


@pytest.mark.parametrize(
    ("options", "is_told"),
    [
        ((), True),
        (("--id-token-claims",), True),
        (("--id-token-claims", "--post-logout-redirect-uri", "https://x.example.org/oauth2callback"), False),
    ],
)
def test_an_app_that_was_meant_for_this_command_is_told_of_it(
    instance: Path, succeed: Run, options: tuple[str, ...], is_told: bool
) -> None:
    callback = "https://x.example.org/oauth2callback"
    told = succeed("client", "add", "Tea", "--redirect-uri", callback, *options).stderr
    assert ("idp client add-streamlit" in told) == is_told
