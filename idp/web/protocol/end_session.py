"""The end session endpoint (OpenID Connect RP-Initiated Logout 1.0)."""

from authlib.oauth2.base import OAuth2Error
from flask import Response, render_template, request

from idp.accounts import sessions
from idp.errors import ExpiredError
from idp.oidc.end_session import LogoutRefused, LogoutRequest, validate_logout
from idp.oidc.requests import Parameters
from idp.web import context, forms
from idp.web.error_pages import error_page
from idp.web.protocol.reading import comes_without_cookies, read_form, read_query, repeat_by_get

CARRIED = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales")


def receive_request() -> Response:
    """Take a logout request, by GET or POST: end the session at once, or ask the person first."""
    try:
        parameters = read_form() if request.method == "POST" else read_query()
        if comes_without_cookies():
            return repeat_by_get(parameters)
        logout = validate_logout(context.database(), context.provider(), parameters)
    except LogoutRefused as refused:
        return _show(refused)
    except OAuth2Error as error:
        return error_page(status=400, code=error.error or "", description=error.description or "")
    session = context.current_session()
    if session is not None and logout.must_ask(session):
        return _ask(logout, parameters)
    return _end(logout)


def submit_confirmation() -> Response:
    """The person has confirmed. The request is checked anew: hidden fields are the browser's, not ours."""
    parameters = Parameters([(name, forms.field(name)) for name in CARRIED])
    try:
        logout = validate_logout(context.database(), context.provider(), parameters)
    except LogoutRefused as refused:
        return _show(refused)
    try:
        forms.check_csrf()
    except ExpiredError:
        return _ask(logout, parameters, status=400) if context.current_session() else _end(logout)
    return _end(logout)


def _ask(logout: LogoutRequest, parameters: Parameters, status: int = 200) -> Response:
    fields = {name: value for name in CARRIED if (value := parameters.get(name))}
    page = render_template(
        "sign_out_confirm.html",
        client=logout.client,
        session=context.current_session(),
        action=context.settings().issuer_path + "/oauth/end-session/confirm",
        fields=fields,
    )
    return Response(page, status)


def _end(logout: LogoutRequest) -> Response:
    """End the browser's session and go where the request wants."""
    session = context.current_session()
    if session is not None:
        sessions.end_session(context.database(), context.visitor(), session.id, reason="signed_out")
    response = Response(status=303)
    response.headers["Location"] = logout.return_to or context.settings().url("/signed-out")
    context.delete_session_cookie(response)
    return response


def _show(refused: LogoutRefused) -> Response:
    return error_page(
        status=400,
        code="invalid_request",
        description=f"{refused.parameter} {refused.description}.",
        parameter=refused.parameter,
    )
