"""`idp config`: everything in force, where it came from, and no secret ever."""

import json
from pathlib import Path

import pytest

from idp import settings
from idp.cli.config import HIDDEN, redacted_url
from tests.cli.conftest import Run

SECRET = "a secret that must never be seen anywhere"


def test_lists_every_setting_with_its_origin(instance: Path, succeed: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (instance / "idp.toml").write_text('brand_name = "Tea House"\n')
    monkeypatch.setenv("IDP_ISSUER", "https://login.example.org")
    shown = {each["name"]: each for each in json.loads(succeed("config", "--json").stdout)}
    assert list(shown) == [each.name for each in settings.declared()]
    assert (shown["brand_name"]["value"], shown["brand_name"]["origin"]) == ("Tea House", str(instance / "idp.toml"))
    assert (shown["issuer"]["value"], shown["issuer"]["origin"]) == ("https://login.example.org", "IDP_ISSUER")
    assert shown["signing_algorithm"]["origin"] == "default"
    assert shown["secret_key"]["origin"] == str(instance / "secret_key")


@pytest.mark.parametrize("arguments", [(), ("--verbose",), ("--json",)])
def test_secrets_are_never_printed(
    instance: Path, succeed: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("IDP_SECRET_KEY", SECRET)
    monkeypatch.setenv("IDP_DATABASE_URL", "postgresql://somebody:hush1@db.example.org/idp?password=hush2&sslkey=hush3")
    shown = succeed("config", *arguments).output
    assert SECRET not in shown
    assert "hush" not in shown
    assert "db.example.org" in shown
    assert HIDDEN in shown


def test_secrets_from_files_and_the_instance_are_never_printed(
    instance: Path, succeed: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (instance / "secret_key").read_text().strip() not in succeed("config", "--verbose").output
    (tmp_path / "file").write_text(SECRET)
    monkeypatch.setenv("IDP_SECRET_KEY_FILE", str(tmp_path / "file"))
    shown = succeed("config").output
    assert SECRET not in shown
    assert "IDP_SECRET_KEY_FILE" in shown


def test_verbose_says_what_each_is_for(instance: Path, succeed: Run) -> None:
    shown = succeed("config", "--verbose").stdout
    for each in settings.declared():
        assert each.metadata["doc"] in shown
        assert each.metadata["unit"] in shown


def test_works_before_init(empty: Path, succeed: Run) -> None:
    assert "(not set)" in succeed("config").stdout
    assert not empty.exists()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:////var/lib/idp.sqlite3", "sqlite:////var/lib/idp.sqlite3"),
        ("postgresql://a:b@c/d", "postgresql://a:***@c/d"),
        ("postgresql://a:b@c:port/d", HIDDEN),
        ("what is this", HIDDEN),
    ],
)
def test_a_databases_url_without_its_password(url: str, shown: str) -> None:
    assert redacted_url(url) == shown
