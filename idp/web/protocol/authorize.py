"""The authorization endpoint: the only dispatcher. Every page returns here, and here it is decided what comes next."""

from dataclasses import dataclass
from urllib.parse import urlencode

from authlib.oauth2.base import OAuth2Error

from idp import clock
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.oidc import authorization_issuer, interaction, session_policy
from idp.oidc.authorization_request import (
    AuthorizationRequest,
    RefusedRequest,
    ShownFault,
    identify_client,
    validate,
)
from idp.oidc.authorization_response import ReturnAddress
from idp.oidc.clients import ClientMetadata
from idp.oidc.consents import GivenConsent
from idp.oidc.encryption import CannotEncrypt, check_encryption
from idp.oidc.interaction import Interaction
from idp.oidc.next_step import (
    NOTHING_HAPPENED,
    AskConsent,
    ChangePassword,
    ChooseAccount,
    Facts,
    Interruption,
    Issue,
    OfferToKeepAccount,
    Refuse,
    Register,
    SignIn,
    Step,
    decide,
)
from idp.oidc.pushed_requests import is_pushed
from idp.oidc.request_sources import gather
from idp.oidc.requests import Parameters
from idp.oidc.session_state import session_state_of
from idp.oidc.subjects import subject_of
from idp.web import context, texts
from idp.web.answers import Answer, Page, see_other
from idp.web.error_pages import error_page
from idp.web.exchange import current
from idp.web.protocol.answering import answer
from idp.web.protocol.reading import (
    NOTHING,
    comes_without_cookies,
    note_refusal,
    read_form,
    read_query,
    repeat_by_get,
)

PAGES: dict[type[Interruption], str] = {
    SignIn: "/sign-in",
    Register: "/register",
    ChangePassword: "/account/password",
    OfferToKeepAccount: "/keep-account",
    ChooseAccount: "/choose-account",
    AskConsent: "/consent",
}


@dataclass(frozen=True)
class Arrival:
    """How a request came that is not parked yet: what its row will say, should it wait for a person."""

    source: str
    request_uri: str | None


def receive_request() -> Answer | Page:
    """Take a new authorization request, by GET or POST (OIDC Core section 3.1.2.1)."""
    db, provider, exchange = context.database(), context.provider(), current()
    consent = GivenConsent()
    sent, client = NOTHING, None

    def find_client(client_id: str) -> ClientMetadata | None:
        nonlocal consent
        if not (token := exchange.brought_session_token):
            return provider.clients.find(db, client_id)
        found, exchange.session, consent = provider.clients.find_with_session(db, context.settings(), client_id, token)
        return found

    try:
        sent = read_form() if exchange.method == "POST" else read_query()
        if comes_without_cookies():
            return repeat_by_get(sent)
        client = identify_client(sent, find_client)
        sourced = gather(provider, db, client, sent)
        asked = validate(provider, db, client, sourced.parameters)
    except ShownFault as fault:
        context.current_session()  # for the cookie that says so; until now it was asked for with the client
        return _resume_pushed(sent) or _show(fault.parameter, fault.error, fault.description, client)
    except RefusedRequest as refused:
        note_refusal(refused.error, client)
        return _tell_error(refused)
    except OAuth2Error as error:
        return _show("", error.error or "", error.description or "", client)
    step = _decide(asked, NOTHING_HAPPENED, consent)
    pushed_as = sent.get("request_uri") if is_pushed(sent.get("request_uri")) else None
    return _act(asked, step, Arrival(sourced.source, pushed_as))


def resume_request(interaction_id: str) -> Answer | Page:
    """Go on with a parked request, when a page has done its part."""
    db, provider, exchange = context.database(), context.provider(), current()
    # Who has signed in by the form that this goes on from gets an answer, though another press of its button had one.
    denied = False if exchange.session_token else None
    digest = context.visitor().browser_digest
    parked = interaction.open_interaction(db, provider, interaction_id, digest, denied=denied)
    consent = GivenConsent()
    if token := exchange.brought_session_token:
        found = provider.clients.find_with_session(db, context.settings(), parked.client.client_id, token)
        _, exchange.session, consent = found
    return _act(parked.request, _decide(parked.request, parked, consent), parked)


def _decide(asked: AuthorizationRequest, facts: Facts, consent: GivenConsent) -> Step:
    session = context.current_session()
    return decide(
        asked,
        session,
        facts=facts,
        subject=subject_of(context.settings(), asked.client, session.user_id) if session else None,
        is_consent_given=consent.covers(asked),
        now=clock.now(),
    )


def _resume_pushed(sent: Parameters) -> Answer | None:
    """Go on with a pushed request that this browser brought before, and that still waits: a page was reloaded."""
    request_uri, browser_token = sent.get("request_uri"), context.browser_token()
    if not (browser_token and request_uri and is_pushed(request_uri)):
        return None
    interaction_id = interaction.parked_id(request_uri, browser_token)
    if not interaction.is_waiting(context.database(), interaction_id, context.visitor().browser_digest):
        return None
    return see_other(context.settings().url(interaction.resume_path(interaction_id)))


def _act(asked: AuthorizationRequest, step: Step, came: Arrival | Interaction) -> Answer | Page:
    """Issue, refuse, or send the person to a page with nothing but the parked request's id."""
    db = context.database()
    if isinstance(step, Interruption):
        if isinstance(came, Arrival) and _is_within_a_page():
            told = "What comes next is a page that cannot be shown inside another one."
            return _show("", "invalid_request", told, asked.client)
        interaction_id = came.id if isinstance(came, Interaction) else _park(asked, came)
        return see_other(context.settings().issuer + f"{PAGES[type(step)]}?{urlencode({'i': interaction_id})}")
    if isinstance(step, Issue):
        step = _if_it_can_be_encrypted(asked, step)
    answered = _refuse(asked, step) if isinstance(step, Refuse) else _issue(asked)
    # Claimed last, as whoever signs in for it once more comes to it with the account held, which this may wait for.
    if isinstance(came, Interaction) and not interaction.finish(db, came):
        context.discard_transaction()
        return _show("", "invalid_request", "This request has been answered already.", asked.client)
    return answered


def _issue(asked: AuthorizationRequest) -> Answer | Page:
    """Give the client what it asked for, as far as the operator's rules for it admit the person."""
    db, provider, session = context.database(), context.provider(), context.current_session()
    assert session is not None
    context.note_activity(session.id, session.last_seen_at)
    if refusal := session_policy.admit(db, context.settings(), context.visitor(), asked.client, session):
        return _tell_person(asked, refusal)
    try:
        issued = authorization_issuer.issue(db, provider, asked, session)
    except CannotEncrypt as fault:
        return _tell_no(asked, Refuse(fault.error, fault.description))
    session_policy.end_others(db, context.visitor(), asked.client, session)
    seen = session_state_of(context.settings(), asked.client.client_id, asked.redirect_uri, session)
    return _answer(asked.return_address, {**issued, **seen})


def _is_within_a_page() -> bool:
    """Tell whether a browser wants the answer for a picture, a frame or a script, and so could show nobody a page.

    A page of anybody's can ask for thousands, out of the network of whoever looks at it: that one's places for requests
    that wait must not be taken by these.
    """
    return current().header("SEC_FETCH_DEST") not in ("", "document")


def _if_it_can_be_encrypted(asked: AuthorizationRequest, step: Issue) -> Issue | Refuse:
    """Look for the key to encrypt an ID token to before anything is written: it may have to be fetched."""
    if asked.wants("id_token"):
        try:
            check_encryption(context.provider().client_keys, context.database(), asked.client)
        except CannotEncrypt as fault:
            return Refuse(fault.error, fault.description)
    return step


def _park(asked: AuthorizationRequest, came: Arrival) -> str:
    return interaction.park(
        context.database(),
        context.provider(),
        asked,
        context.ensure_browser_token(),
        context.visitor(),
        source=came.source,
        request_uri=came.request_uri,
    )


def _refuse(asked: AuthorizationRequest, step: Refuse) -> Answer | Page:
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


def _tell_no(asked: AuthorizationRequest, step: Refuse) -> Answer | Page:
    return _answer(asked.return_address, {"error": step.error, "error_description": step.description})


def _tell_person(asked: AuthorizationRequest, step: Refuse) -> Answer | Page:
    """Say that the client is full on a page whose link takes the answer there: few clients say why."""
    told = _tell_no(asked, step)
    if "none" in asked.prompt or _is_within_a_page() or isinstance(told, Page):
        return told
    texts.prefer(asked.ui_locales)
    return Page(
        lambda: error_page(
            status=403,
            code=step.error,
            title=texts.text("error.full_title", app=asked.client.client_name),
            message=texts.text("error.full"),
            client=asked.client,
            back_to=dict(told.headers)["Location"],
        )
    )


def _tell_error(refused: RefusedRequest) -> Answer | Page:
    error, description = refused.error.error or "", refused.error.description or ""
    return _answer(
        refused.address, {"error": error, "error_description": description} if description else {"error": error}
    )


def _answer(address: ReturnAddress, parameters: dict[str, str]) -> Answer | Page:
    """Send the browser back to the client."""
    return answer(address.respond(context.settings().issuer, parameters))


def _show(parameter: str, code: str, description: str, client: ClientMetadata | None = None) -> Answer | Page:
    """Show a fault to the person, who may go back to the app's home page; where else to send them is not certain."""
    return Page(lambda: error_page(status=400, code=code, description=description, parameter=parameter, client=client))
