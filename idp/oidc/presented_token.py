"""The access token that a request brings: as a bearer (RFC 6750), or with a proof of its key (RFC 9449 section 7)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from authlib.oauth2.base import OAuth2Error
from sqlalchemy.orm import Session

from idp.oidc import token_status
from idp.oidc.dpop import ALGORITHMS, DpopNonceNeeded, InvalidDpopProof, Proof, check_proof, note_proof
from idp.oidc.token_status import ActiveToken

if TYPE_CHECKING:
    from idp.oidc.server import Provider

Scheme = Literal["Bearer", "DPoP"]
_SCHEMES: Mapping[str, Scheme] = {"bearer": "Bearer", "dpop": "DPoP"}  # as they may be written, in small letters
_DEAD = "The access token is unknown, expired or revoked."


class Presentation(NamedTuple):
    """What a request says of its token.

    Attributes:
        authorization: the header of that name.
        dpop_proof: the header `DPoP`.
        method: of the request.
        url: of the endpoint, made from the issuer.
        posted: a token in a form (RFC 6750 section 2.2); a query is no place for one.
    """

    authorization: str
    dpop_proof: str | None
    method: str
    url: str
    posted: str | None = None


class OpenedToken(NamedTuple):
    """A living token, and the nonce that the client is to use from now on, where it is time for another."""

    token: ActiveToken
    next_nonce: str | None = None


class AccessRefused(OAuth2Error):
    """A request without a token that is good for it; `WWW-Authenticate` tells which schemes there are (RFC 9110).

    Args:
        status: of the answer.
        error: None where no token came: who sent none hears nothing of errors (RFC 6750 section 3.1).
        scope: without which it is not enough.
        scheme: that the error is about.
        nonce: to try again with.
    """

    def __init__(
        self,
        status: int,
        error: str | None,
        description: str = "",
        scope: str = "",
        scheme: Scheme = "Bearer",
        nonce: str | None = None,
    ) -> None:
        super().__init__(description or None, error=error, status_code=status)
        self.scope = scope
        self.scheme = scheme
        self.nonce = nonce

    @property
    def challenges(self) -> list[tuple[str, str]]:
        """The headers that tell how to do it right: both schemes, the one with the error first."""
        told = ['realm="idp"']
        if self.error:
            told += [f'error="{self.error}"', f'error_description="{self.description}"']
        if self.scope:
            told.append(f'scope="{self.scope}"')
        algorithms = f'algs="{" ".join(ALGORITHMS)}"'
        if self.scheme == "DPoP":
            challenge = f'DPoP {", ".join((*told, algorithms))}, Bearer realm="idp"'
        else:
            challenge = f'Bearer {", ".join(told)}, DPoP realm="idp", {algorithms}'
        return [("WWW-Authenticate", challenge), *([("DPoP-Nonce", self.nonce)] if self.nonce else [])]

    def get_body(self) -> list[Any]:
        """Return the members of the answer."""
        return super().get_body() if self.error else []

    def get_headers(self) -> list[tuple[str, str]]:
        """Return the challenges beside the usual headers."""
        return [*super().get_headers(), *self.challenges]


def open_token(provider: "Provider", db: Session, presentation: Presentation, needed_scope: str = "") -> OpenedToken:
    """Return the living token of a request to one of this provider's own resources.

    Args:
        needed_scope: a scope without which it is not enough.

    Raises:
        AccessRefused: no token (401 without an error), a dead one, one for another resource, or one whose key is not
            shown (401), too little scope (403), two tokens (400).
    """
    scheme, token = _token_of(presentation)
    found = token_status.find_active_token(db, provider, token)
    if found is None:
        raise AccessRefused(401, "invalid_token", _DEAD, scheme=scheme)
    if not found.is_for_provider(provider.settings.issuer):
        raise AccessRefused(401, "invalid_token", "The access token is for another resource.", scheme=scheme)
    proof = None
    if found.dpop_jkt is not None or scheme == "DPoP":
        proof = _check_possession(provider, db, presentation, scheme, token, found)
    if needed_scope and needed_scope not in found.scopes:
        raise AccessRefused(403, "insufficient_scope", f"The scope {needed_scope} is needed.", needed_scope, scheme)
    return OpenedToken(found, proof.next_nonce if proof else None)


def _token_of(presentation: Presentation) -> tuple[Scheme, str]:
    if not presentation.authorization:
        if presentation.posted is None:
            raise AccessRefused(401, None)
        return "Bearer", presentation.posted
    if presentation.posted is not None:
        raise AccessRefused(400, "invalid_request", "The access token was sent twice.")
    named, _, token = presentation.authorization.partition(" ")
    scheme = _SCHEMES.get(named.lower())
    if scheme is None or not token.strip():
        raise AccessRefused(401, None)
    return scheme, token.strip()


def _check_possession(
    provider: "Provider", db: Session, presentation: Presentation, scheme: Scheme, token: str, found: ActiveToken
) -> Proof:
    """A bound token needs a proof of its key and the scheme for that; that scheme is for bound tokens (section 7.1)."""
    if found.dpop_jkt is None:
        raise AccessRefused(401, "invalid_token", "The access token is bound to no key: send it as Bearer.")
    if scheme != "DPoP":
        message = "The access token is bound to a key: send it as DPoP, with a proof."
        raise AccessRefused(401, "invalid_token", message, scheme="DPoP")
    if presentation.dpop_proof is None:
        message = "A DPoP proof is missing."
        raise AccessRefused(401, "invalid_dpop_proof", message, scheme="DPoP")
    try:
        proof = check_proof(
            provider.settings,
            presentation.dpop_proof,
            method=presentation.method,
            url=presentation.url,
            access_token=token,
        )
        note_proof(db, proof)
    except (InvalidDpopProof, DpopNonceNeeded) as fault:
        nonce = fault.nonce if isinstance(fault, DpopNonceNeeded) else None
        raise AccessRefused(401, fault.error, fault.description, scheme="DPoP", nonce=nonce) from None
    if proof.jkt != found.dpop_jkt:
        raise AccessRefused(401, "invalid_token", "The access token is bound to another key.", scheme="DPoP")
    return proof
