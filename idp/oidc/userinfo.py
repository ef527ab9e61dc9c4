"""The UserInfo endpoint (OIDC Core section 5.3)."""

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.orm import Session

from idp.oidc import claims
from idp.oidc import scopes as known_scopes
from idp.oidc.clients import ClientMetadata
from idp.oidc.encryption import encrypt_claims, encrypt_jwt
from idp.oidc.presented_token import AccessRefused, Presentation, open_token
from idp.oidc.requests import ProtocolRequest
from idp.oidc.signatures import sign
from idp.oidc.subjects import subject_of
from idp.oidc.token_status import ActiveToken

if TYPE_CHECKING:
    from idp.oidc.server import Provider


class UserInfo(NamedTuple):
    """What is told of a person, and the nonce for the client's next proof, where it is time for another.

    Attributes:
        claims: as JSON has them, or in a JWT, signed or encrypted or both.
    """

    claims: dict[str, Any] | str
    next_nonce: str | None = None


def describe_person(provider: "Provider", request: ProtocolRequest) -> UserInfo:
    """Return the claims that an access token permits (section 5.3.2).

    Raises:
        AccessRefused: the request brings no token that is good for it.
        CannotEncrypt: the client wants it encrypted, and has no key for that.
    """
    request.payload.check_single()
    presentation = Presentation(
        authorization=request.headers.get("Authorization", ""),
        dpop_proof=request.dpop_proof,
        method=request.method,
        url=request.uri,
        posted=request.payload.get("access_token") if request.method == "POST" else None,
    )
    opened = open_token(provider, request.db, presentation, "openid")
    told = _claims_of(provider, opened.token)
    return UserInfo(_protected(provider, request.db, opened.token.client, told), opened.next_nonce)


def _claims_of(provider: "Provider", token: ActiveToken) -> dict[str, Any]:
    if token.grant is None:
        raise AccessRefused(403, "insufficient_scope", "This token stands for no person.", "openid")
    names = known_scopes.claims_of(token.scopes)
    if not token.came_from:  # what was asked for by name was given to that app, and for the token that it got
        names |= claims.stored_claims(token.grant["claims_request"]).userinfo.keys() & known_scopes.KNOWN_CLAIMS
    subject = subject_of(provider.settings, token.client, token.grant["user_id"])
    return {"sub": subject, **claims.build_claims(token.grant, names)}


def _protected(provider: "Provider", db: Session, client: ClientMetadata, told: dict[str, Any]) -> dict[str, Any] | str:
    """Sign and encrypt the answer as the client is registered (section 5.3.2); most are for neither."""
    signing, encrypting = client.userinfo_signed_response_alg, client.userinfo_encrypted_response_alg
    client_keys, enc = provider.client_keys, client.userinfo_encrypted_response_enc
    if signing is None and encrypting is None:
        return told
    addressed = {"iss": provider.settings.issuer, "aud": client.client_id, **told}
    if signing is None:
        assert encrypting is not None
        return encrypt_claims(client_keys, db, client, addressed, encrypting, enc)
    signed = sign(provider.signing_key(signing), addressed)
    if encrypting is None:
        return signed
    return encrypt_jwt(client_keys, db, client, signed, encrypting, enc)
