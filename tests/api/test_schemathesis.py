"""Schemathesis calls every operation of the served document, with data that fit it and data that do not."""

from dataclasses import replace

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from idp.web.api import openapi
from tests import factories
from tests.api.conftest import SCOPES
from tests.relying_party import RelyingParty

BOUNDED = settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
# That a password is weak, or a name taken, no schema can say: data that fit may be refused, but for that only.
CONFIG = SchemathesisConfig.from_dict(
    {"checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 403, 404, 409, 422]}}}
)


@pytest.fixture
def provider(settings, make_app, db):
    """A provider that throttles nobody: what is tested here are answers, not patience."""
    app = make_app(replace(settings, throttle_address_burst=1_000_000, throttle_account_burst=1_000_000))
    factories.make_user(db, settings, "ada")
    metadata, secret = factories.make_client(
        db,
        settings,
        scopes=SCOPES,
        grant_types=("authorization_code", "client_credentials"),
        registration_roles=("guest",),
    )
    return RelyingParty(app.test_client(), settings.issuer, metadata, secret)


@pytest.fixture
def tokens(provider):
    """A token for each kind of caller."""

    def own(scope):
        return provider.post("token_endpoint", grant_type="client_credentials", scope=scope).json["access_token"]

    return {
        "person": provider.log_in("ada", scope="openid account").access_token,
        "app": own("registration recovery"),
        "trusted": own("registration recovery:password"),
    }


def _callers(path):
    return ["person"] if path.startswith("/me") else ["app", "trusted"]


CALLS = [
    pytest.param(method, path, who, mode, id=f"{method} {path} {who} {mode.value}")
    for (method, path), operation in openapi.OPERATIONS.items()
    for who in _callers(path)
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or "requestBody" in operation  # the others take nothing that could be wrong
]


@pytest.mark.parametrize(("method", "path", "who", "mode"), CALLS)
def test_it_finds_nothing(provider, tokens, method, path, who, mode):
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", provider.browser.application, config=CONFIG)

    @BOUNDED
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def call(case):
        case.call_and_validate(headers={"Authorization": f"Bearer {tokens[who]}"})

    call()
