"""What the provider looks up before it registers a client: its own settings, and the list of the client's sector.

The address comes from whoever registers: nothing of our network can be reached by it (SSRF), and nobody can keep us
waiting or fill our memory (RFC 7591 section 5, OIDC Registration section 5).
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from idp.errors import InvalidInputError
from idp.oidc import outgoing
from idp.oidc.client_admission import admit_client
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings
from tests.document_server import DocumentServer

CALLBACKS = ("https://app.example.org/callback", "https://other.example.org/callback")


@pytest.fixture
def fault_of(settings: Settings) -> Callable[..., str]:
    """Return what is said of a sector's address, or nothing when it is fine."""

    def ask(uri: str, in_force: Settings = settings, **changes: Any) -> str:
        client = ClientMetadata(
            **{
                "client_id": "app",
                "client_name": "App",
                "redirect_uris": CALLBACKS,
                "subject_type": "pairwise",
                "sector_identifier_uri": uri,
                **changes,
            }
        )
        try:
            admit_client(in_force, client)
        except InvalidInputError as refused:
            return " ".join(refused.faults["sector_identifier_uri"])
        return ""

    return ask


def test_a_sector_that_lists_every_redirect_uri(document_server: DocumentServer, fault_of: Callable[..., str]) -> None:
    uri = document_server.put("/sector", json.dumps([*CALLBACKS, "https://third.example.org/"]), "application/json")
    assert fault_of(uri) == ""
    assert fault_of(uri, subject_type="public") == ""
    assert document_server.asked == ["/sector", "/sector"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (json.dumps(CALLBACKS[:1]), CALLBACKS[1]),
        (json.dumps([uri + "/" for uri in CALLBACKS]), "is not in the list"),
        ("[]", "is not in the list"),
        ("{}", "no JSON list"),
        ('"https://app.example.org/callback"', "no JSON list"),
        (json.dumps([*CALLBACKS, 1]), "no JSON list"),
        ("null", "no JSON list"),
        ("<html>", "no JSON at"),
        ("", "no JSON at"),
        ("[" * 30_000, "no JSON at"),
    ],
    ids=lambda value: value[:12],
)
def test_a_sector_that_does_not(
    document_server: DocumentServer, fault_of: Callable[..., str], content: str, said: str
) -> None:
    assert said in fault_of(document_server.put("/sector", content, "application/json"))


def test_a_sector_that_is_not_there(document_server: DocumentServer, fault_of: Callable[..., str]) -> None:
    assert "404" in fault_of(document_server.url("/nothing"))


def test_a_sector_that_leads_elsewhere(document_server: DocumentServer, fault_of: Callable[..., str]) -> None:
    """A redirect would be a way around the judgement of the first address."""
    document_server.put("/inside", json.dumps(CALLBACKS), "application/json")
    assert "302" in fault_of(document_server.redirect("/sector", document_server.url("/inside")))
    assert document_server.asked == ["/sector"]


def test_a_sector_without_end(document_server: DocumentServer, fault_of: Callable[..., str]) -> None:
    content = json.dumps([*CALLBACKS, "x" * outgoing.ANSWER_MOST])
    assert "too long" in fault_of(document_server.put("/sector", content, "application/json"))


def test_a_sector_that_keeps_us_waiting(
    document_server: DocumentServer, fault_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "WHOLE_TIMEOUT", 0.5)
    assert "it takes too long" in fault_of(document_server.drip("/sector", every=0.05))


@pytest.mark.parametrize(
    "uri",
    [
        "https://127.0.0.1/sector",
        "https://localhost/sector",
        "https://10.0.0.1/sector",
        "https://192.168.1.1/sector",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::1]/sector",
        "https://[fd00::1]/sector",
        "https://[::ffff:10.0.0.1]/sector",
        "https://0.0.0.0/sector",
    ],
)
def test_a_sector_inside_our_network(fault_of: Callable[..., str], settings: Settings, uri: str) -> None:
    public = replace(settings, issuer="https://login.example.org")
    assert "private network" in fault_of(uri, public)


def test_the_rules_come_before_any_request(document_server: DocumentServer, settings: Settings) -> None:
    uri = document_server.put("/sector", json.dumps(CALLBACKS), "application/json")
    client = ClientMetadata(
        client_id="app", client_name="", redirect_uris=CALLBACKS, sector_identifier_uri=uri, subject_type="pairwise"
    )
    with pytest.raises(InvalidInputError):
        admit_client(settings, client)
    assert document_server.asked == []


@pytest.mark.parametrize(
    ("grants", "responses", "field"),
    [
        (("implicit",), ("id_token",), "response_types"),
        (("authorization_code", "implicit"), ("code id_token",), "response_types"),
    ],
)
def test_the_implicit_and_hybrid_flows_are_for_the_operator_to_turn_on(
    settings: Settings, grants: tuple[str, ...], responses: tuple[str, ...], field: str
) -> None:
    client = ClientMetadata(
        client_id="app", client_name="App", redirect_uris=CALLBACKS, grant_types=grants, response_types=responses
    )
    with pytest.raises(InvalidInputError) as refused:
        admit_client(settings, client)
    assert set(refused.value.faults) == {field, "grant_types"}
    admit_client(replace(settings, response_types="all"), client)
