"""The endpoints that clients call themselves."""

from authlib.oauth2.base import OAuth2Error

from idp.oidc.pushed_requests import push_request as push
from idp.web import context
from idp.web.answers import Answer
from idp.web.protocol.reading import error_response, json_response, protocol_request, read_form


def issue_tokens() -> Answer:
    """The token endpoint (RFC 6749 section 3.2)."""
    try:
        request = protocol_request(read_form())
    except OAuth2Error as error:
        return error_response(error)
    return json_response(*context.provider().create_token_response(request))


def push_request() -> Answer:
    """The pushed authorization request endpoint (RFC 9126)."""
    try:
        return json_response(*push(context.provider(), protocol_request(read_form())))
    except OAuth2Error as error:
        return error_response(error)


def introspect_token() -> Answer:
    """The introspection endpoint (RFC 7662)."""
    return _call("introspection")


def revoke_token() -> Answer:
    """The revocation endpoint (RFC 7009)."""
    return _call("revocation")


def authorize_device() -> Answer:
    """The device authorization endpoint (RFC 8628)."""
    return _call("device_authorization")


def _call(endpoint: str) -> Answer:
    try:
        request = protocol_request(read_form())
    except OAuth2Error as error:
        return error_response(error)
    return json_response(*context.provider().create_endpoint_response(endpoint, request))  # type: ignore[no-untyped-call]
