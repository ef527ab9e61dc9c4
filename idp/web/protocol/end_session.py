"""The end session endpoint (OpenID Connect RP-Initiated Logout 1.0)."""

from urllib.parse import urlencode

from authlib.oauth2.base import OAuth2Error
from flask import Response, render_template, request

from idp.accounts.sessions import CurrentSession
from idp.errors import ExpiredError
from idp.oidc.end_session import LogoutRefused, LogoutRequest, validate_logout
from idp.oidc.reached_apps import list_reached_apps
from idp.oidc.requests import Parameters
from idp.web import context, forms, texts
from idp.web.answers import Answer
from idp.web.error_pages import error_page
from idp.web.protocol.reading import client_behind, comes_without_cookies, read_form, read_query, repeat_by_get
from idp.web.signing_out import sign_out

CARRIED = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales")


def receive_request() -> Answer | Response:
    """Take a logout request, by GET or POST: end the session at once, or ask the person first."""
    try:
        parameters = read_form() if request.method == "POST" else read_query()
        if comes_without_cookies():
            return repeat_by_get(parameters)
        texts.prefer(parameters.get("ui_locales"))
        logout = validate_logout(context.database(), context.provider(), parameters)
    except LogoutRefused as refused:
        return _show(refused, parameters)
    except OAuth2Error as error:
        return error_page(status=400, code=error.error or "", description=error.description or "")
    session = context.current_session()
    if session is not None and logout.must_ask(context.settings(), session):
        return _ask(logout, parameters, session)
    return _end(logout, parameters)


def submit_confirmation() -> Response:
    """The person has confirmed. The request is checked anew: hidden fields are the browser's, not ours."""
    parameters = Parameters([(name, forms.field(name)) for name in CARRIED])
    texts.prefer(parameters.get("ui_locales"))
    try:
        logout = validate_logout(context.database(), context.provider(), parameters)
    except LogoutRefused as refused:
        return _show(refused, parameters)
    try:
        forms.check_csrf()
    except ExpiredError as refusal:
        if session := context.current_session():
            return _ask(logout, parameters, session, refusal)
    return _end(logout, parameters)


def _ask(
    logout: LogoutRequest, parameters: Parameters, session: CurrentSession, refusal: ExpiredError | None = None
) -> Response:
    fields = {name: value for name in CARRIED if (value := parameters.get(name))}
    page = render_template(
        "sign_out_confirm.html",
        client=logout.client,
        session=session,
        apps=list_reached_apps(context.database(), [session.id]).get(session.id, ()),
        action=context.settings().issuer_path + "/oauth/end-session/confirm",
        fields=fields,
        faults={"general": [texts.told(refusal.message)]} if refusal else None,
    )
    return Response(page, refusal.status if refusal else 200)


def _end(logout: LogoutRequest, parameters: Parameters) -> Response:
    """End the browser's session and go where the request wants, or to our own page in the language that it wants."""
    own_page = context.settings().url("/signed-out")
    if ui_locales := parameters.get("ui_locales"):
        own_page += f"?{urlencode({'ui_locales': ui_locales[:200]})}"
    return sign_out(logout.return_to or own_page)


def _show(refused: LogoutRefused, parameters: Parameters) -> Response:
    return error_page(
        status=400,
        code="invalid_request",
        description=f"{refused.parameter} {refused.description}.",
        parameter=refused.parameter,
        client=client_behind(parameters),
    )
