"""From Flask's request to the protocol's, and back."""

import json
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from flask import Response, request

from idp.oidc.clients import ClientMetadata
from idp.oidc.requests import FORM, Parameters, ProtocolRequest, parse_parameters
from idp.web import context

NOTHING = Parameters([])


def read_query() -> Parameters:
    """Return the parameters of the query.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    return parse_parameters(request.query_string)


def read_form() -> Parameters:
    """Return the parameters of the form.

    Raises:
        InvalidRequestError: another content type than a form's, or it cannot be read.
    """
    if request.mimetype != FORM:
        raise InvalidRequestError(f"The body must be {FORM}.")
    return parse_parameters(request.get_data(cache=False))


def comes_without_cookies() -> bool:
    """Tell whether a form was perhaps sent by another site: that brings no SameSite=Lax cookies along."""
    return request.method == "POST" and not context.browser_token()


def repeat_by_get(parameters: Parameters) -> Response:
    """Let the browser send the same request by GET, with its cookies: without them nobody would seem signed in."""
    response = Response(status=303)
    query = urlencode(parameters.datalist, doseq=True)
    response.headers["Location"] = f"{context.settings().url(request.path)}?{query}"
    response.headers["Cache-Control"] = "no-store"
    return response


def client_behind(parameters: Parameters) -> ClientMetadata | None:
    """Return the app that a request names, if there is one: so that a page about its faults can lead back to it."""
    named = parameters.datalist.get("client_id", [])
    return context.provider().clients.find(context.database(), named[0]) if len(named) == 1 else None


def protocol_request(payload: Parameters) -> ProtocolRequest:
    """Return the request as the protocol's endpoints take it."""
    return ProtocolRequest(
        method=request.method,
        uri=context.settings().url(request.path),
        headers=dict(request.headers),
        payload=payload,
        db=context.database(),
        visitor=context.visitor(),
        dpop_proof=request.headers.get("DPoP"),
    )


def json_response(status: int, body: Any, headers: list[tuple[str, str]]) -> Response:
    """Return what an endpoint of the protocol answered; a text is a JWT, and goes as it is."""
    response = Response(body if isinstance(body, str) else json.dumps(body), status)
    for name, value in headers:
        response.headers[name] = value
    return response


def error_response(error: OAuth2Error) -> Response:
    """Return an OAuth error as JSON (RFC 6749 section 5.2)."""
    status, body, headers = error()
    return json_response(status, body, [*headers, ("Cache-Control", "no-store")])
