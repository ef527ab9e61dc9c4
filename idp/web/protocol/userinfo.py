"""The UserInfo endpoint, by GET and POST."""

from authlib.oauth2.base import OAuth2Error

from idp.oidc.requests import FORM
from idp.oidc.userinfo import describe_person
from idp.web import context
from idp.web.answers import Answer
from idp.web.exchange import current
from idp.web.protocol.reading import NOTHING, error_response, json_response, protocol_request, read_form


def show_userinfo() -> Answer:
    """Answer with the claims that the access token permits."""
    try:
        payload = read_form() if current().method == "POST" and current().content_type == FORM else NOTHING
        told = describe_person(context.provider(), protocol_request(payload))
    except OAuth2Error as error:
        return error_response(error)
    nonce = [("DPoP-Nonce", told.next_nonce)] if told.next_nonce else []
    kind = "application/jwt" if isinstance(told.claims, str) else "application/json"
    return json_response(200, told.claims, [("Content-Type", kind), *nonce])
