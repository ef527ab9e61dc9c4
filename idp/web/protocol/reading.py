"""From an HTTP request to the protocol's, and back."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidRequestError

from idp import compact_json
from idp.oidc.clients import ClientMetadata
from idp.oidc.dynamic_registration import RegistrationFault
from idp.oidc.requests import FORM, Parameters, ProtocolRequest, parse_parameters
from idp.web import context
from idp.web.answers import Answer, see_other
from idp.web.error_pages import log_refusal
from idp.web.exchange import current

NOTHING = Parameters([])
_EVERYDAY = ("authorization_pending", "slow_down", "use_dpop_nonce", "invalid_token")  # no fault of anybody's


def read_query() -> Parameters:
    """Return the parameters of the query.

    Raises:
        InvalidRequestError: it cannot be read.
    """
    return parse_parameters(current().environ.get("QUERY_STRING", ""))


def read_form() -> Parameters:
    """Return the parameters of the form.

    Raises:
        InvalidRequestError: another content type than a form's, or it cannot be read.
    """
    exchange = current()
    if exchange.content_type != FORM:
        raise InvalidRequestError(f"The body must be {FORM}.")
    return parse_parameters(exchange.body())


def comes_without_cookies() -> bool:
    """Tell whether a form was perhaps sent by another site: that brings no SameSite=Lax cookies along."""
    exchange = current()
    return exchange.method == "POST" and not exchange.browser_token


def repeat_by_get(parameters: Parameters) -> Answer:
    """Let the browser send the same request by GET, with its cookies: without them nobody would seem signed in."""
    query = urlencode(parameters.datalist, doseq=True)
    return see_other(f"{context.settings().url(current().path)}?{query}")


def client_behind(parameters: Parameters) -> ClientMetadata | None:
    """Return the app that a request names, if there is one: so that a page about its faults can lead back to it."""
    named = parameters.datalist.get("client_id", [])
    return context.provider().clients.find(context.database(), named[0]) if len(named) == 1 else None


def protocol_request(payload: Parameters) -> ProtocolRequest:
    """Return the request as the protocol's endpoints take it."""
    exchange = current()
    return ProtocolRequest(
        method=exchange.method,
        uri=exchange.site.settings.url(exchange.path),
        headers={"Authorization": exchange.header("AUTHORIZATION"), "Accept": exchange.header("ACCEPT")},
        payload=payload,
        db=exchange.database,
        find_visitor=lambda: exchange.visitor,
        dpop_proof=exchange.environ.get("HTTP_DPOP"),
    )


def json_response(status: int, body: Any, headers: Sequence[tuple[str, str]]) -> Answer:
    """Return what an endpoint of the protocol answered; a text is a JWT, and goes as it is."""
    content = body.encode() if isinstance(body, str) else compact_json.encode(body)
    return Answer(status, list(dict(headers).items()), content)  # of two by one name, the last


def error_response(error: OAuth2Error, client: ClientMetadata | None = None) -> Answer:
    """Return an OAuth error as JSON (RFC 6749 section 5.2): Authlib has it kept nowhere.

    Args:
        client: whose request it is, where that is known.
    """
    note_refusal(error, client)
    return json_response(*error())


def note_refusal(error: OAuth2Error | RegistrationFault, client: ClientMetadata | None = None) -> None:
    """Have the log say what an app was told: not every app's own log does.

    Args:
        client: whose request it is, where that is known.
    """
    if error.error and error.error not in _EVERYDAY:  # who sent no token hears of no error
        log_refusal(error.error, error.description, client)
