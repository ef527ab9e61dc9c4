"""Pushed authorization requests (RFC 9126): the client brings its request itself, and the browser only a reference.

A reference is used once: whoever brings it first claims it, so that a copy from a log or a history is worth nothing.
The same browser may bring it again until its request is answered, for people reload pages and press buttons twice: it
then finds the request that it parked (see `interaction.parked_id`).
"""

from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749.errors import InvalidRequestError
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import throttle
from idp.models import PushedRequest
from idp.oidc.authorization_checks import READ
from idp.oidc.authorization_request import RefusedRequest, validate
from idp.oidc.client_auth import authenticate_client
from idp.oidc.clients import AUTH_METHODS
from idp.oidc.dpop import InvalidDpopProof, Proof, note_proof, proof_beside
from idp.oidc.request_objects import read_request_object
from idp.oidc.requests import NO_STORE, Answer, Parameters, ProtocolRequest

if TYPE_CHECKING:
    from idp.oidc.server import Provider

URI_PREFIX = "urn:ietf:params:oauth:request_uri:"  # RFC 9126 section 2.2


def push_request(provider: "Provider", request: ProtocolRequest) -> Answer:
    """Check a request, keep it for its browser, and answer with the reference (section 2).

    Raises:
        OAuth2Error: the client is not who it says, or the request would be refused at the authorization endpoint;
            faults that are shown there are told here.
        Throttled: too many requests of clients that are anybody's from this network.
    """
    payload = request.payload
    payload.check_single("client_id", "request", "request_uri")
    proof = proof_beside(provider.settings, request)
    client = authenticate_client(provider, request, AUTH_METHODS)
    if payload.get("request_uri"):
        raise InvalidRequestError("A pushed request cannot refer to another one: request_uri is not for this endpoint.")
    own = payload.replaced("client_id", client.client_id)
    is_object = payload.get("request") is not None
    parameters = read_request_object(provider, request.db, client, own) if is_object else own
    if client.require_signed_request_object and not is_object:
        raise InvalidRequestError("This app must send signed request objects: the parameter request is missing.")
    if proof is not None:
        parameters = _bind(parameters, proof)
    try:
        validate(provider, request.db, client, parameters)
    except RefusedRequest as refused:
        raise refused.error from None
    if provider.is_anybodys(client):  # nobody has proved to be anybody: only so many rows for one network
        throttle.spend(request.db, provider.settings, throttle.PUSHED_REQUEST_ADDRESS, request.visitor.network)
    if proof is not None:
        note_proof(request.db, proof)
    token, now = crypto.new_token(), clock.now()
    lifetime = provider.settings.pushed_request_lifetime
    request.db.execute(
        insert(PushedRequest).values(
            id=crypto.digest(token),
            client_id=client.client_id,
            parameters=parameters.as_stored(READ),
            source="request_object" if is_object else "pushed",
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    nonce = proof.headers if proof else []
    return 201, {"request_uri": URI_PREFIX + token, "expires_in": lifetime}, [*NO_STORE, *nonce]


def _bind(parameters: Parameters, proof: Proof) -> Parameters:
    """Bind the code to the key of a DPoP proof, as `dpop_jkt` does (RFC 9449 section 10.1)."""
    if parameters.get("dpop_jkt") not in (None, proof.jkt):
        raise InvalidDpopProof("The dpop_jkt is not the thumbprint of the key of the DPoP proof.")
    return parameters.replaced("dpop_jkt", proof.jkt)


def is_pushed(request_uri: str | None) -> bool:
    """Tell whether a `request_uri` is a reference to a pushed request, and not the address of a request object."""
    return request_uri is not None and request_uri.startswith(URI_PREFIX)


def claim_pushed(db: Session, client_id: str, request_uri: str) -> tuple[Parameters, str] | None:
    """Claim a pushed request: of any number who bring its reference, one gets it.

    Returns:
        Its parameters and where they came from (`pushed`, `request_object`); None when it is unknown, another
        client's, expired or claimed already.
    """
    now = clock.now()
    claimed = db.execute(
        update(PushedRequest)
        .where(
            PushedRequest.id == crypto.digest(request_uri.removeprefix(URI_PREFIX)),
            PushedRequest.client_id == client_id,
            PushedRequest.claimed_at.is_(None),
            PushedRequest.expires_at > now,
        )
        .values(claimed_at=now)
        .returning(PushedRequest.parameters, PushedRequest.source)
    ).first()
    return None if claimed is None else (Parameters.of_stored(claimed.parameters), claimed.source)
