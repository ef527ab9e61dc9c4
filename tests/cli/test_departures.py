"""`idp doctor` names each choice that departs from OAuth 2.1 and RFC 9700: as information, not as a fault."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from idp.cli.departures import DEPARTURES, find_departures
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings
from tests.cli.conftest import Run
from tests.house import pages

STRICT = ClientMetadata(
    client_id="wiki", client_name="Wiki", redirect_uris=("https://wiki.example.org/",), is_pkce_required=True
)


def look(settings: Settings | None = None, *clients: ClientMetadata) -> list[str]:
    return list(find_departures(settings or Settings(), clients))


def test_what_comes_out_of_the_box_departs_from_nothing() -> None:
    public = replace(STRICT, token_endpoint_auth_method="none", is_pkce_required=False)
    job = ClientMetadata(client_id="job", client_name="Job", grant_types=("client_credentials",), response_types=())
    assert look(None, STRICT, public, job) == []


@pytest.mark.parametrize(
    ("setting", "value"),
    [("response_types", "all"), ("dynamic_registration", "open"), ("private_addresses", "allowed")],
)
def test_each_setting_is_named(setting: str, value: str) -> None:
    (told,) = look(replace(Settings(), **{setting: value}), STRICT)
    assert f"{setting}={value}" in told
    assert "RFC" in told


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"is_pkce_required": False}, "without PKCE"),
        ({"may_send_unsigned_request_objects": True}, "nobody signed"),
        ({"redirect_uris": ("http://localhost:8501/cb",)}, "plain http"),
        (
            {
                "redirect_uris": ("org.example.app:/cb",),
                "application_type": "native",
                "token_endpoint_auth_method": "none",
                "is_trusted": True,
            },
            "may pass for it",
        ),
        (
            {"grant_types": ("authorization_code", "implicit"), "response_types": ("code id_token",)},
            "in the browser's address",
        ),
    ],
)
def test_each_app_is_named(changes: dict[str, object], said: str) -> None:
    (told,) = look(None, STRICT, replace(STRICT, client_name="Odd one", **changes))  # type: ignore[arg-type]
    assert said in told
    assert "Odd one" in told
    assert "Wiki" not in told
    assert "RFC" in told


def test_registration_by_token_is_no_departure() -> None:
    assert look(replace(Settings(), dynamic_registration="token")) == []


def test_of_many_apps_some_are_named_and_the_rest_counted() -> None:
    many = [replace(STRICT, client_name=f"App {n}", is_pkce_required=False) for n in range(8)]
    (told,) = look(None, *many)
    assert "App 4 and 3 more" in told
    assert "App 5" not in told


def test_each_departure_is_one_of_the_table_in_the_documentation() -> None:
    page = pages.read("security.md")
    section = page.partition("## Where you may depart from the advice")[2].partition("\n## ")[0]
    assert all(departure.source in section for departure in DEPARTURES)


def test_doctor_tells_of_them_and_finds_no_fault(
    instance: Path, run: Run, succeed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "as OAuth 2.1 and RFC 9700 advise" in succeed("doctor").stdout
    succeed("client", "add", "Wiki", "--redirect-uri", "http://localhost:9/cb", "--unsigned-requests-allowed")
    monkeypatch.setenv("IDP_RESPONSE_TYPES", "all")
    result = run("doctor")
    assert result.exit_code == 0
    assert "note     departures" in result.stdout
    found = {each["check"]: each for each in json.loads(run("doctor", "--json").stdout)}["departures"]
    assert found["verdict"] == "note"
    assert len(found["told"].splitlines()) == 4
    assert found["advice"]
