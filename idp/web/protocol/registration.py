"""The endpoints by which software registers itself and manages that (RFC 7591, RFC 7592)."""

from collections.abc import Callable

from flask import request

from idp.oidc import dynamic_registration
from idp.oidc.dynamic_registration import Registration, RegistrationFault
from idp.oidc.requests import NO_STORE
from idp.web import context
from idp.web.answers import Answer
from idp.web.protocol.reading import json_response, note_refusal


def register_client() -> Answer:
    """The client registration endpoint (RFC 7591 section 3)."""
    db, settings, visitor = context.database(), context.settings(), context.visitor()
    return _answer(lambda: dynamic_registration.register(db, settings, visitor, _bearer(), _document()), 201)


def manage_client(client_id: str) -> Answer:
    """The client configuration endpoint (RFC 7592 section 2): read, replace, remove."""
    db, settings, visitor = context.database(), context.settings(), context.visitor()

    def manage() -> Registration | None:
        found = dynamic_registration.open_registration(db, settings, visitor, client_id, _bearer())
        if request.method == "PUT":
            return dynamic_registration.replace_registration(db, settings, visitor, found, _document())
        if request.method == "DELETE":
            dynamic_registration.remove_registration(db, visitor, found)
            return None
        return found

    return _answer(manage, 200)


def _answer(act: Callable[[], Registration | None], status: int) -> Answer:
    try:
        registration = act()
    except RegistrationFault as fault:
        note_refusal(fault)
        headers = list(NO_STORE)
        if fault.status == 401:
            error = f', error="{fault.error}"' if request.headers.get("Authorization") else ""
            headers.append(("WWW-Authenticate", f'Bearer realm="idp"{error}'))
        return json_response(fault.status, fault.as_dict(), headers)
    if registration is None:
        return Answer(204)
    return json_response(status, registration.as_dict(context.settings()), NO_STORE)


def _document() -> bytes:
    """Return the body, which must be said to be JSON."""
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if request.mimetype != "application/json" or charset not in ("utf-8", "utf8"):
        raise RegistrationFault("invalid_client_metadata", "Send JSON, with the header Content-Type: application/json.")
    return request.get_data(cache=False)


def _bearer() -> str | None:
    """Return the token of the Authorization header (RFC 6750 section 2.1)."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
