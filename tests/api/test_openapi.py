"""The OpenAPI document: every route, nothing else, every code, and true to what is answered."""

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from idp import errors
from idp.oidc import presented_token
from idp.oidc.dpop import DpopNonceNeeded, InvalidDpopProof
from idp.web import api, error_pages
from idp.web.api import answers, openapi, schemas
from idp.web.api.bearer import TokenRefused
from tests.api.conftest import Api
from tests.house import pages

ROUTES = {(method, re.sub(r"<(\w+)>", r"{\1}", path)) for method, path, _ in api.ROUTES}
SOURCES = Path(api.__file__).parent


def codes_in_use():
    """Every code that a program can get from the API, as the source has them."""
    refusals = {TokenRefused}
    waiting = [errors.Refusal]
    while waiting:
        refusals.add(waiting.pop())
        waiting.extend(each for known in tuple(refusals) for each in known.__subclasses__() if each not in refusals)
    source = (SOURCES / "bearer.py").read_text("utf-8") + Path(presented_token.__file__).read_text("utf-8")
    raised = set(re.findall(r'AccessRefused\(40[13], "([a-z_]+)"', source))
    raised |= {InvalidDpopProof.error, DpopNonceNeeded.error, "missing_token"}
    named = {each.code for each in refusals if each.__module__.startswith("idp.web.api") and "code" in vars(each)}
    assert len(raised) == 5
    return raised | named


def test_every_route_is_described_and_nothing_else():
    assert set(openapi.OPERATIONS) == ROUTES


def test_it_is_served(nobody, settings):
    response = nobody.call("GET", "/openapi.json")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.json["openapi"].startswith("3.1.")
    assert response.json["servers"] == [{"url": settings.issuer + "/api/v1"}]
    assert response.json == openapi.build_document(settings)


def test_an_issuer_with_a_path(settings, make_app):
    from dataclasses import replace

    settings = replace(settings, issuer="https://example.org/login")
    document = make_app(settings).test_client().get("/login/api/v1/openapi.json").json
    assert document["servers"] == [{"url": "https://example.org/login/api/v1"}]


def test_every_schema_is_one(settings):
    document = openapi.build_document(settings)
    assert len({each["operationId"] for path in document["paths"].values() for each in path.values()}) == len(ROUTES)
    for module in (schemas, answers):
        for name, schema in vars(module).items():
            if name.isupper() and isinstance(schema, dict) and "type" in schema:
                Draft202012Validator.check_schema(schema)


def test_every_code_is_told_of():
    told = set(re.findall(r"`([a-z_]+)`", " ".join(text for _, text, _ in answers._REFUSALS.values())))
    missing = codes_in_use() - told
    assert not missing
    assert told - codes_in_use() <= {
        "invalid_input",
        "password_refused",
        "registration_refused",
        "not_found",
        "throttled",
        "too_large",
        "busy",
        "not_ready",
        "server_error",
        "faults",
    }


def test_every_scope_is_one_of_the_protocols():
    from idp.oidc import scopes

    assert set(answers.SCOPES) == set(scopes.OF_CLIENTS)
    asked = {
        scope for each in openapi.OPERATIONS.values() for need in each["security"] for s in need.values() for scope in s
    }
    assert asked == {*scopes.OF_CLIENTS, "account"}


def test_the_page_tells_of_every_route_and_code():
    page = pages.read("api.md")
    missing = [f"{method} {path}" for method, path in sorted(ROUTES) if f"`{method} {path}`" not in page]
    missing += [code for code in sorted(codes_in_use()) if f"`{code}`" not in page]
    assert not missing


def test_problems_are_paths_of_programs():
    assert any((api.PREFIX + "/").startswith(path) for path in error_pages.PROGRAM_PATHS)


@pytest.mark.parametrize("path", ["/openapi.json", "/me"])
def test_no_browser_of_another_origin(app, path):
    response = Api(app).call("GET", path, Origin="https://evil.example.org")
    assert "Access-Control-Allow-Origin" not in response.headers
