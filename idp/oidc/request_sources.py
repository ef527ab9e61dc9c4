"""Where the parameters of an authorization request are: in the query itself, pushed before, or in a request object."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidRequestError
from sqlalchemy.orm import Session

from idp.oidc.authorization_request import ShownFault, refusal
from idp.oidc.clients import ClientMetadata
from idp.oidc.pushed_requests import claim_pushed, is_pushed
from idp.oidc.request_objects import read_request_object
from idp.oidc.requests import Parameters

if TYPE_CHECKING:
    from idp.oidc.server import Provider


_MUST_PUSH = "This app must push its authorization requests (RFC 9126)."


@dataclass(frozen=True)
class Sourced:
    """Parameters, and where they come from: `query`, `pushed` or `request_object`."""

    parameters: Parameters
    source: str = "query"


def gather(provider: "Provider", db: Session, client: ClientMetadata, sent: Parameters) -> Sourced:
    """Return the parameters that count. Of a plain request these are the ones that were sent.

    Args:
        sent: what the browser brought.

    Raises:
        ShownFault: show it.
        RefusedRequest: redirect it.
    """
    if sent.get("request") or sent.get("request_uri"):
        return _referred(provider, db, client, sent)
    if client.require_pushed_authorization_requests:
        raise refusal(client, sent, "request_uri", InvalidRequestError(_MUST_PUSH))
    if client.require_signed_request_object:
        fault = InvalidRequestError("This app must send signed request objects (RFC 9101).")
        raise refusal(client, sent, "request", fault)
    return Sourced(sent)


def _referred(provider: "Provider", db: Session, client: ClientMetadata, sent: Parameters) -> Sourced:
    """Return what was pushed, or what a request object says."""
    for name in sent.repeated():
        if name in ("request", "request_uri"):
            raise refusal(client, sent, name, InvalidRequestError(f"The parameter {name} was sent more than once."))
    if is_pushed(request_uri := sent.get("request_uri")):
        return _pushed(db, client, request_uri or "")
    if client.require_pushed_authorization_requests:
        raise refusal(client, sent, "request_uri", InvalidRequestError(_MUST_PUSH))
    return _object(provider, db, client, sent)


def _pushed(db: Session, client: ClientMetadata, request_uri: str) -> Sourced:
    """What else came with the reference does not count (RFC 9126 section 4)."""
    claimed = claim_pushed(db, client.client_id, request_uri)
    if claimed is None:
        description = "The request_uri is unknown, expired, already used, or was given to another app."
        raise ShownFault("request_uri", description, "invalid_request_uri")
    return Sourced(*claimed)


def _object(provider: "Provider", db: Session, client: ClientMetadata, sent: Parameters) -> Sourced:
    name = "request" if sent.get("request") else "request_uri"
    if sent.get("request") and sent.get("request_uri"):
        fault = InvalidRequestError("Either request or request_uri, not both.")
        raise refusal(client, sent, "request_uri", fault)
    try:
        return Sourced(read_request_object(provider, db, client, sent), "request_object")
    except OAuth2Error as error:
        raise refusal(client, sent, name, error) from None
