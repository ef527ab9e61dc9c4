"""The authorization endpoint: the only dispatcher. Every page returns here, and here it is decided what comes next."""

from urllib.parse import urlencode

from authlib.oauth2.base import OAuth2Error
from flask import Response, request

from idp import clock
from idp.accounts import audit, sessions
from idp.accounts.audit import Event
from idp.oidc import interaction, session_policy
from idp.oidc.authorization_request import AuthorizationRequest, RefusedRequest, UnregisteredClient, validate
from idp.oidc.clients import ClientMetadata
from idp.oidc.codes import issue_code
from idp.oidc.consents import GivenConsent
from idp.oidc.interaction import Interaction
from idp.oidc.next_step import (
    NOTHING_HAPPENED,
    AskConsent,
    ChangePassword,
    ChooseAccount,
    Issue,
    OfferToKeepAccount,
    Refuse,
    Register,
    SignIn,
    Step,
    decide,
)
from idp.web import context
from idp.web.error_pages import error_page
from idp.web.protocol.reading import comes_without_cookies, read_form, read_query, repeat_by_get

PAGES: dict[type[Step], str] = {
    SignIn: "/sign-in",
    Register: "/register",
    ChangePassword: "/account/password",
    OfferToKeepAccount: "/keep-account",
    ChooseAccount: "/choose-account",
    AskConsent: "/consent",
}


def receive_request() -> Response:
    """Take a new authorization request, by GET or POST (OIDC Core section 3.1.2.1)."""
    db, provider = context.database(), context.provider()
    session = context.current_session()
    consent = GivenConsent()

    def find_client(client_id: str) -> ClientMetadata | None:
        nonlocal consent
        if session is None:
            return provider.clients.find(db, client_id)
        client, consent = provider.clients.find_with_consent(db, client_id, session.user_id)
        return client

    try:
        parameters = read_form() if request.method == "POST" else read_query()
        if comes_without_cookies():
            return repeat_by_get(parameters)
        asked = validate(provider, parameters, find_client)
    except UnregisteredClient as error:
        return _show(error.parameter, error.error, error.description)
    except RefusedRequest as refused:
        return _redirect_error(refused.error.error or "", refused.error.description or "", refused)
    except OAuth2Error as error:
        return _show("", error.error or "", error.description or "")
    step = decide(asked, session, facts=NOTHING_HAPPENED, is_consent_given=consent.covers(asked), now=clock.now())
    return _act(asked, step, None)


def resume_request(interaction_id: str) -> Response:
    """Go on with a parked request, when a page has done its part."""
    db, provider = context.database(), context.provider()
    parked = interaction.open_interaction(db, provider, interaction_id, context.visitor().browser_digest)
    session = context.current_session()
    consent = GivenConsent()
    if session is not None:
        _, consent = provider.clients.find_with_consent(db, parked.client.client_id, session.user_id)
    step = decide(
        parked.request, session, facts=parked, is_consent_given=consent.covers(parked.request), now=clock.now()
    )
    return _act(parked.request, step, parked)


def _act(asked: AuthorizationRequest, step: Step, parked: Interaction | None) -> Response:
    """Issue, refuse, or send the person to a page with nothing but the parked request's id."""
    db = context.database()
    if not isinstance(step, Issue | Refuse):
        interaction_id = (
            parked.id if parked else interaction.park(db, context.provider(), asked, context.ensure_browser_token())
        )
        return _see_other(context.settings().issuer + f"{PAGES[type(step)]}?{urlencode({'i': interaction_id})}")
    if parked is not None and not interaction.finish(db, parked.id):
        return _show("", "invalid_request", "This request has been answered already.")
    if isinstance(step, Refuse):
        return _refuse(asked, step)
    session = context.current_session()
    assert session is not None
    if refusal := session_policy.admit(db, context.settings(), context.visitor(), asked.client, session):
        return _tell_no(asked, refusal)
    code = issue_code(db, context.provider(), asked, session)
    sessions.touch(db, session.id, session.last_seen_at)
    return _answer(asked.redirect_uri, {"code": code}, asked.state)


def _refuse(asked: AuthorizationRequest, step: Refuse) -> Response:
    if step.error == "access_denied":
        session = context.current_session()
        audit.record(
            context.database(),
            Event.CONSENT_DENIED,
            context.visitor(),
            user_id=session.user_id if session else None,
            client_id=asked.client.client_id,
        )
    return _tell_no(asked, step)


def _tell_no(asked: AuthorizationRequest, step: Refuse) -> Response:
    answer = {"error": step.error, "error_description": step.description}
    return _answer(asked.redirect_uri, answer, asked.state)


def _redirect_error(error: str, description: str, refused: RefusedRequest) -> Response:
    answer = {"error": error, "error_description": description} if description else {"error": error}
    return _answer(refused.redirect_uri, answer, refused.state)


def _answer(redirect_uri: str, answer: dict[str, str], state: str | None) -> Response:
    """Send the browser back to the client, with `state` as it came and `iss` against mix-up (RFC 9207)."""
    if state is not None:
        answer["state"] = state
    answer["iss"] = context.settings().issuer
    return _see_other(f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(answer)}")


def _see_other(location: str) -> Response:
    """Redirect with 303: a form that was posted here is not posted on (RFC 9700 section 4.12)."""
    response = Response(status=303)
    response.headers["Location"] = location
    response.headers["Cache-Control"] = "no-store"
    return response


def _show(parameter: str, code: str, description: str) -> Response:
    """Show a fault to the person; the client is not known well enough to be told."""
    return error_page(status=400, code=code, description=description, parameter=parameter)
