"""The decision about an authorization request, as a table of cases."""

from dataclasses import replace

import pytest

from idp.accounts.sessions import CurrentSession
from idp.oidc.authorization_request import AuthorizationRequest
from idp.oidc.claims import ClaimsRequest
from idp.oidc.clients import ClientMetadata
from idp.oidc.id_token_hint import IdTokenHint
from idp.oidc.next_step import (
    AskConsent,
    ChooseAccount,
    Facts,
    Issue,
    Reason,
    Refuse,
    Register,
    SignIn,
    decide,
)

NOW = 1_000_000
TRUSTED = ClientMetadata(client_id="house", client_name="House", is_trusted=True)
STRANGER = replace(TRUSTED, client_id="stranger", is_trusted=False)
INSTALLED = replace(STRANGER, token_endpoint_auth_method="none", redirect_uris=("http://127.0.0.1/",))
ADA = CurrentSession(
    id="session-of-ada",
    user_id="ada",
    username="ada",
    email="ada@example.org",
    given_name=None,
    family_name=None,
    auth_time=NOW - 100,
    acr="aal1",
    amr=("pwd",),
    last_seen_at=NOW,
    expires_at=NOW + 1000,
)
FRESH = Facts(session_id=ADA.id)
BOB_HINT = IdTokenHint("bob", "house", None)


def sub(value):
    """A claims parameter that names a subject."""
    return ClaimsRequest(id_token={"sub": {"value": value}})


def acr(*values, essential=True):
    """A claims parameter that names authentication contexts."""
    return ClaimsRequest(id_token={"acr": {"essential": essential, "values": list(values)}})


def request(client=TRUSTED, *prompt, **parameters):
    """An authorization request that passed its checks."""
    redirect_uri = next(iter(client.redirect_uris), "https://app.example.org/")
    return AuthorizationRequest(
        client=client, redirect_uri=redirect_uri, scopes=("openid",), prompt=prompt, **parameters
    )


CASES = [
    # what is asked, who is signed in, what the pages settled, is consent remembered, what comes next
    (request(), None, Facts(), False, SignIn(Reason.NOT_SIGNED_IN)),
    (request(), ADA, Facts(), False, Issue()),
    (request(STRANGER), None, Facts(), True, SignIn(Reason.NOT_SIGNED_IN)),
    (request(STRANGER), ADA, Facts(), False, AskConsent(Reason.CONSENT_MISSING)),
    (request(STRANGER), ADA, Facts(), True, Issue()),
    # The note of the parked request is no consent: only the remembered one of who is signed in is.
    (request(STRANGER), ADA, Facts(is_consented=True), False, AskConsent(Reason.CONSENT_MISSING)),
    (request(STRANGER), ADA, Facts(is_consented=True), True, Issue()),
    (request(STRANGER), ADA, Facts(is_denied=True), True, Refuse),
    # An app on the person's own machine: what was allowed once counts once, but for one of the house.
    (request(INSTALLED), ADA, Facts(), False, AskConsent(Reason.CONSENT_MISSING)),
    (request(INSTALLED), ADA, Facts(), True, AskConsent(Reason.APP_UNPROVEN)),
    (request(INSTALLED), ADA, Facts(is_consented=True), True, Issue()),
    (request(INSTALLED), ADA, Facts(is_consented=True), False, AskConsent(Reason.CONSENT_MISSING)),
    (request(INSTALLED, "none"), ADA, Facts(), True, Refuse),
    (request(replace(INSTALLED, is_trusted=True)), ADA, Facts(), False, Issue()),
    (request(), None, Facts(is_denied=True), False, Refuse),
    # prompt=login
    (request(TRUSTED, "login"), ADA, Facts(), False, SignIn(Reason.LOGIN_REQUESTED)),
    (request(TRUSTED, "login"), ADA, FRESH, False, Issue()),
    (request(TRUSTED, "login"), ADA, Facts(session_id="another"), False, SignIn(Reason.LOGIN_REQUESTED)),
    (request(TRUSTED, "login"), None, FRESH, False, SignIn(Reason.NOT_SIGNED_IN)),
    (request(STRANGER, "login"), ADA, FRESH, False, AskConsent(Reason.CONSENT_MISSING)),
    # max_age: greater than is too old; 0 is prompt=login
    (request(max_age=100), ADA, Facts(), False, Issue()),
    (request(max_age=99), ADA, Facts(), False, SignIn(Reason.SIGNED_IN_TOO_LONG_AGO)),
    (request(max_age=99), ADA, FRESH, False, Issue()),
    (request(max_age=0), ADA._replace(auth_time=NOW), Facts(), False, SignIn(Reason.SIGNED_IN_TOO_LONG_AGO)),
    (request(max_age=0), ADA._replace(auth_time=NOW), FRESH, False, Issue()),
    # prompt=consent
    (request(TRUSTED, "consent"), ADA, Facts(), True, AskConsent(Reason.CONSENT_REQUESTED)),
    (request(TRUSTED, "consent"), ADA, Facts(is_consented=True), False, Issue()),
    (request(STRANGER, "consent"), ADA, Facts(is_consented=True), True, Issue()),
    (request(STRANGER, "consent"), ADA, Facts(is_consented=True), False, AskConsent(Reason.CONSENT_MISSING)),
    (request(TRUSTED, "login", "consent"), ADA, Facts(), True, SignIn(Reason.LOGIN_REQUESTED)),
    (request(TRUSTED, "login", "consent"), ADA, FRESH, True, AskConsent(Reason.CONSENT_REQUESTED)),
    # prompt=select_account
    (request(TRUSTED, "select_account"), ADA, Facts(), False, ChooseAccount(Reason.CHOICE_REQUESTED)),
    (request(TRUSTED, "select_account"), ADA, Facts(is_account_chosen=True), False, Issue()),
    (request(TRUSTED, "select_account"), ADA, FRESH, False, Issue()),
    (request(TRUSTED, "select_account"), None, Facts(), False, SignIn(Reason.NOT_SIGNED_IN)),
    # prompt=create
    (request(TRUSTED, "create"), None, Facts(), False, Register(Reason.REGISTRATION_REQUESTED)),
    (request(TRUSTED, "create"), ADA, Facts(), False, Register(Reason.REGISTRATION_REQUESTED)),
    (request(TRUSTED, "create"), ADA, FRESH, False, Issue()),
    # Whom the app expects
    (request(id_token_hint=IdTokenHint("ada", "house", None)), ADA, Facts(), False, Issue()),
    (request(id_token_hint=BOB_HINT), ADA, Facts(), False, SignIn(Reason.OTHER_ACCOUNT_EXPECTED)),
    (request(id_token_hint=BOB_HINT), ADA, FRESH, False, Refuse),
    (request(claims=sub("ada")), ADA, Facts(), False, Issue()),
    (request(claims=sub("bob")), ADA, Facts(), False, SignIn(Reason.OTHER_ACCOUNT_EXPECTED)),
    (request(claims=sub("bob")), ADA, FRESH, False, Refuse),
    (request(claims=sub(["ada"])), ADA, FRESH, False, Refuse),
    # How strongly
    (request(claims=acr("aal1")), ADA, Facts(), False, Issue()),
    (request(claims=acr("aal3", "aal1")), ADA, Facts(), False, Issue()),
    (request(claims=acr("aal3")), ADA, Facts(), False, Refuse),
    (request(claims=acr("aal3", essential=False)), ADA, Facts(), False, Issue()),
]


@pytest.mark.parametrize(("asked", "session", "facts", "is_consent_given", "expected"), CASES)
def test_decide(asked, session, facts, is_consent_given, expected):
    step = decide(asked, session, facts=facts, is_consent_given=is_consent_given, now=NOW)
    assert step == expected if not isinstance(expected, type) else isinstance(step, expected)


SILENT = {
    SignIn: "login_required",
    Register: "interaction_required",
    ChooseAccount: "account_selection_required",
    AskConsent: "consent_required",
}


@pytest.mark.parametrize(("asked", "session", "facts", "is_consent_given", "expected"), CASES)
def test_a_silent_request_never_meets_a_page(asked, session, facts, is_consent_given, expected):
    """With prompt=none each page becomes the error that stands for it; answers stay what they are."""
    silent = replace(asked, prompt=(*asked.prompt, "none"))
    before = decide(asked, session, facts=facts, is_consent_given=is_consent_given, now=NOW)
    step = decide(silent, session, facts=facts, is_consent_given=is_consent_given, now=NOW)
    if isinstance(before, Issue | Refuse):
        assert step == before
    else:
        assert step.error == SILENT[type(before)]


@pytest.mark.parametrize(
    ("asked", "facts", "error"),
    [
        (request(), Facts(is_denied=True), "access_denied"),
        (request(id_token_hint=BOB_HINT), FRESH, "login_required"),
        (request(claims=acr("aal3")), Facts(), "unmet_authentication_requirements"),
    ],
)
def test_refusals_have_the_error_of_the_specification(asked, facts, error):
    step = decide(asked, ADA, facts=facts, is_consent_given=True, now=NOW)
    assert step.error == error
