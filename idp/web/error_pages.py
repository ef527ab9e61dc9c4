"""Every error, rendered in one place: a page for people, a problem document for programs (RFC 9457).

The message is public, the detail is the log's. The protocol's endpoints answer programs in OAuth's own form; faults of
theirs that a person sees come here by `error_page`.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Flask, Response, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import IntegrityError, NoResultFound, SQLAlchemyError
from werkzeug.datastructures import MIMEAccept
from werkzeug.exceptions import HTTPException, InternalServerError

from idp.errors import BUSY_RETRY_AFTER, Busy, IdpError, InvalidInputError, Refusal, SessionRequired, Throttled
from idp.logs import request_id
from idp.oidc.clients import ClientMetadata
from idp.storage.database import is_fault_of_storage
from idp.web import texts
from idp.web.at_hand import NO_ROOM
from idp.web.exchange import current
from idp.web.texts import text, told, wait

log = logging.getLogger(__name__)

_LOGGED_MOST = 200  # characters of a path
_PHRASES = {413: "Content Too Large", 422: "Unprocessable Content"}  # RFC 9110; Python has other words before 3.13

# Whoever calls these expects OAuth's own form (RFC 6749 section 5.2), also when the provider is at fault.
OAUTH_PATHS = (
    "/oauth/par",
    "/oauth/token",
    "/oauth/device_authorization",
    "/oauth/introspect",
    "/oauth/revoke",
    "/oauth/userinfo",
    "/oauth/register",
)
PROGRAM_PATHS = (
    "/api/",
    "/.well-known/",
    "/oauth/jwks",
    *OAUTH_PATHS,
    "/healthz",
    "/readyz",
    "/metrics",
)

# Status to code and texts; what is missing here is `_OTHER`.
_HTTP_ERRORS: Mapping[int, tuple[str, str, str]] = {
    400: ("bad_request", "error.bad_request_title", "error.bad_request"),
    404: ("not_found", "error.not_found_title", "error.not_found"),
    405: ("method_not_allowed", "error.method_title", "error.method"),
    413: ("too_large", "error.too_large_title", "error.too_large"),
}
_OTHER = ("refused", "error.http_title", "error.http")
_REFUSALS: Mapping[str, str] = {
    "refused": "refusal.refused",
    "invalid_input": "refusal.invalid_input",
    "password_refused": "refusal.password_refused",
    "sign_in_refused": "refusal.sign_in_refused",
    "address_unverified": "refusal.address_unverified",
    "registration_refused": "refusal.registration_refused",
    "session_required": "refusal.session_required",
    "not_found": "refusal.not_found",
    "already_exists": "refusal.already_exists",
    "expired": "refusal.expired",
    "throttled": "error.throttled_title",
    "busy": "error.busy_title",
}


# What a developer should change, by the parameter at fault; commands stand between backticks.
_REMEDIES: Mapping[str, str] = {
    "client_id": "remedy.client_id",
    "redirect_uri": "remedy.redirect_uri",
    "request": "remedy.request",
    "request_uri": "remedy.request_uri",
    "id_token_hint": "remedy.id_token_hint",
    "post_logout_redirect_uri": "remedy.post_logout_redirect_uri",
}


def register_error_pages(app: Flask) -> None:
    """Render every error of the application."""
    app.before_request(refuse_without_room)
    app.register_error_handler(HTTPException, show_http_error)
    app.register_error_handler(Refusal, show_refusal)
    app.register_error_handler(IdpError, show_not_ready)
    app.register_error_handler(SQLAlchemyError, show_database_error)
    app.register_error_handler(Exception, show_unexpected)


def error_page(
    *,
    status: int,
    code: str,
    description: str = "",
    title: str = "",
    message: str = "",
    parameter: str = "",
    client: ClientMetadata | None = None,
    back_to: str = "",
) -> Response:
    """Show an error to a person, with the request's id: the log tells more under it.

    Args:
        status: of the response.
        code: stable, for machines and for whoever is asked for help.
        description: what is wrong in the words of the protocol.
        title: the heading; left out, that the app made a mistake.
        message: what it means for the person; left out, that the app asked for what cannot be given.
        parameter: which parameter is at fault.
        client: the app that the person came from, where that is known: the page leads back to its home page.
        back_to: where it leads instead: to a redirect URI of the app's, with the answer that the app waits for.
    """
    if description:
        log_refusal(code, description, client)
    page = render_template(
        "error.html",
        title=title or text("error.protocol_title"),
        message=message or text("error.protocol"),
        code=code,
        description=told(description) if description else "",
        parameter=parameter,
        reference=request_id.get(),
        remedy=text(_REMEDIES[parameter]) if parameter in _REMEDIES else "",
        way_back=_way_back(client, back_to),
        leads_on=bool(title) and status < 500,
    )
    return make_response(page, status)


def _way_back(client: ClientMetadata | None, back_to: str) -> Mapping[str, str] | None:
    """Return where an app is at home; by https only, and never what the request itself names without being checked."""
    if client is None:
        return None
    url = back_to or client.client_uri or ""
    there = urlsplit(url)
    if not back_to and not (there.scheme == "https" and there.hostname):
        return None
    return {"app": client.client_name, "host": there.hostname or there.scheme, "url": url}


def log_refusal(code: str, description: str | None, client: ClientMetadata | None) -> None:
    """Have the log say what a page or an app was told: whoever is called for help has not seen it.

    Args:
        code: of the error.
        description: for whoever develops the app.
        client: whose request it is, where that is known.
    """
    asked, app = current(), f" App: {client.client_id}" if client else ""
    log.info("%s %s refused as %s: %s%s", asked.method, asked.path[:_LOGGED_MOST], code, description, app)


def problem(status: int, code: str, detail: str, faults: Mapping[str, Sequence[str]] | None = None) -> Response:
    """Tell a program about an error (RFC 9457).

    Args:
        status: of the response.
        code: stable, for the program to decide by.
        detail: a sentence that it may show.
        faults: field name to sentences.
    """
    title = _PHRASES.get(status, HTTPStatus(status).phrase)
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    if faults:
        body["faults"] = {name: list(sentences) for name, sentences in faults.items()}
    return Response(json.dumps(body), status, mimetype="application/problem+json")


def not_ready(reason: str) -> Response:
    """Tell whoever watches the provider that it has nothing to give just now, and when to ask again."""
    return _come_back(problem(503, "not_ready", reason))


# -- One handler for each kind of error --------------------------------------------


def refuse_without_room() -> Response | None:
    """Have those come back who found no place, before anything is done for them (`idp.web.at_hand`)."""
    if NO_ROOM not in request.environ:
        return None
    log.info("%s refused as busy: too many requests are at hand.", _asked())
    return _come_back(_show(503, "busy", "error.busy_title", "error.busy"))


def show_refusal(refusal: Refusal) -> Response:
    """Say what a person or an app can mend."""
    if refusal.detail:
        log.info("%s refused as %s: %s", _asked(), refusal.code, refusal.detail)
    if _is_program():
        response = _problem_of(refusal)
    elif isinstance(refusal, SessionRequired):
        return make_response(redirect(url_for("show_sign_in", next=request.path), 303))
    else:
        message = told(refusal.message)
        if isinstance(refusal, Busy):
            message = text("error.busy")
        elif isinstance(refusal, Throttled):
            message = text("error.throttled", wait=wait(refusal.retry_after))
        client = getattr(refusal, "client", None)
        title = text(_REFUSALS.get(refusal.code, "refusal.refused"))
        response = error_page(status=refusal.status, code=refusal.code, title=title, message=message, client=client)
    if retry_after := getattr(refusal, "retry_after", 0):
        response.headers["Retry-After"] = str(retry_after)
    for name, value in getattr(refusal, "headers", ()):
        response.headers[name] = value
    return response


def show_http_error(error: HTTPException) -> Response:
    """Render what Werkzeug raises: no such page, wrong method, too large."""
    if isinstance(error, InternalServerError):
        # Something failed behind the views, such as the commit: Flask wraps what it was.
        original = error.original_exception or error
        return show_database_error(original) if isinstance(original, SQLAlchemyError) else show_unexpected(original)
    status = error.code or 500
    code, title, message = _HTTP_ERRORS.get(status, _OTHER)
    response = _show(status, code, title, message)
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value  # Allow, Retry-After
    return response


def show_not_ready(error: IdpError) -> Response:
    """The instance cannot serve; the log says which command helps."""
    log.error("Not ready (%s): %s %s", _asked(), error.message, error.detail)
    return _come_back(_show(503, "not_ready", "error.not_ready_title", "error.not_ready"))


def show_database_error(error: SQLAlchemyError) -> Response:
    """The database does not answer, or not soon enough; or what was asked of it is a fault of ours."""
    if isinstance(error, IntegrityError | NoResultFound):
        # A conflict that no check foresaw: two were at the same at once (an account was deleted while its owner looked
        # at it), and the second does well to try again. What the database says of it would name the values.
        log.error("Two were at the same at once (%s).", _asked(), exc_info=isinstance(error, NoResultFound))
    elif is_fault_of_storage(error):
        reason = getattr(error, "orig", None) or error
        log.error("The database does not do its work (%s): %s", _asked(), reason)
    else:
        return show_unexpected(error)
    return _come_back(_show(503, "busy", "error.busy_title", "error.busy"))


def show_unexpected(error: BaseException) -> Response:
    """A fault of ours: the log has everything, under the request's id."""
    log.error("%s failed", _asked(), exc_info=error)
    return _show(500, "server_error", "error.unexpected_title", "error.unexpected")


def _asked() -> str:
    """Say for the log what was asked for: a path may be of any length, and not every one is ours."""
    return f"{request.method} {request.path[:_LOGGED_MOST]}"


def _problem_of(refusal: Refusal) -> Response:
    """Say a refusal in the request's language, which programs have as people do (RFC 9457 section 3.1.3)."""
    if not isinstance(refusal, InvalidInputError):
        return problem(refusal.status, refusal.code, texts.said(refusal.message))
    faults = {name: [texts.said(each) for each in sentences] for name, sentences in refusal.faults.items()}
    detail = " ".join(each for sentences in faults.values() for each in sentences)
    return problem(refusal.status, refusal.code, detail, faults)


def _come_back(response: Response) -> Response:
    response.headers["Retry-After"] = str(BUSY_RETRY_AFTER)
    return response


def _show(status: int, code: str, title: str, message: str) -> Response:
    """Render texts of our own for whoever reads them."""
    if status >= 500 and request.path in OAUTH_PATHS:
        error = "server_error" if status == 500 else "temporarily_unavailable"
        body = {"error": error, "error_description": texts.plain(texts.FALLBACK, message)}
        return Response(json.dumps(body), status, mimetype="application/json")
    if not _is_program():
        return error_page(status=status, code=code, title=text(title), message=text(message))
    return problem(status, code, texts.plain(texts.FALLBACK, message))


def _is_program() -> bool:
    """Programs call the API, or say that they read JSON and no pages."""
    accepted = current().accepted("ACCEPT", MIMEAccept)
    asks_for_json = accepted.best_match(["text/html", "application/json"]) == "application/json"
    return request.path.startswith(PROGRAM_PATHS) or asks_for_json
