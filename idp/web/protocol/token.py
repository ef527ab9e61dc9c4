"""The endpoints that clients call themselves."""

from collections.abc import Callable

from authlib.oauth2.base import OAuth2Error

from idp.oidc import device_authorization, introspection, pushed_requests, requests, revocation
from idp.oidc.requests import ProtocolRequest
from idp.oidc.server import Provider
from idp.web import context
from idp.web.answers import Answer
from idp.web.protocol.reading import error_response, json_response, protocol_request, read_form


def issue_tokens() -> Answer:
    """The token endpoint (RFC 6749 section 3.2)."""
    return _call(Provider.create_token_response)


def push_request() -> Answer:
    """The pushed authorization request endpoint (RFC 9126)."""
    return _call(pushed_requests.push_request)


def introspect_token() -> Answer:
    """The introspection endpoint (RFC 7662)."""
    return _call(introspection.introspect_token)


def revoke_token() -> Answer:
    """The revocation endpoint (RFC 7009)."""
    return _call(revocation.revoke_token)


def authorize_device() -> Answer:
    """The device authorization endpoint (RFC 8628)."""
    return _call(device_authorization.authorize_device)


def _call(endpoint: Callable[[Provider, ProtocolRequest], requests.Answer]) -> Answer:
    asked = None
    try:
        asked = protocol_request(read_form())
        return json_response(*endpoint(context.provider(), asked))
    except OAuth2Error as error:
        return error_response(error, asked.client if asked else None)
