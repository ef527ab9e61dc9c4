"""The UserInfo endpoint, by GET and POST."""

from authlib.oauth2.base import OAuth2Error
from flask import Response, request

from idp.oidc.requests import FORM
from idp.oidc.userinfo import describe_person
from idp.web import context
from idp.web.protocol.reading import NOTHING, error_response, json_response, protocol_request, read_form

_HEADERS = [("Cache-Control", "no-store")]


def show_userinfo() -> Response:
    """Answer with the claims that the access token permits."""
    try:
        payload = read_form() if request.method == "POST" and request.mimetype == FORM else NOTHING
        told = describe_person(context.provider(), protocol_request(payload))
    except OAuth2Error as error:
        return error_response(error)
    headers = [*_HEADERS, ("DPoP-Nonce", told.next_nonce)] if told.next_nonce else _HEADERS
    if isinstance(told.claims, str):
        return Response(told.claims, 200, headers, mimetype="application/jwt")
    return json_response(200, told.claims, [*headers, ("Content-Type", "application/json")])
