"""The provider: what its endpoints share, and the list of its grants."""

import json
import logging
from typing import Any, Literal

from authlib.oauth2.rfc6749 import AuthorizationServer
from authlib.oauth2.rfc6749.errors import OAuth2Error, UnsupportedGrantTypeError
from joserfc.jwk import Key
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from idp import clock
from idp.oidc import discovery, keys
from idp.oidc.client_keys import ClientKeys
from idp.oidc.client_registry import ClientRegistry
from idp.oidc.clients import ClientMetadata
from idp.oidc.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    DeviceCodeGrant,
    RefreshTokenGrant,
    TokenExchangeGrant,
)
from idp.oidc.requests import Answer, ProtocolRequest, safe
from idp.settings import Settings

log = logging.getLogger(__name__)


class Provider(AuthorizationServer):
    """Authlib's server without a web framework: it takes a `ProtocolRequest`, and gives an answer or raises an error.

    Args:
        settings: in force for the life of the process.
        engine: where the keys are read from, outside of any request's transaction.
    """

    def __init__(self, settings: Settings, engine: Engine) -> None:
        super().__init__(scopes_supported=None)
        self.settings = settings
        self.clients = ClientRegistry()
        self.client_keys = ClientKeys(settings)
        self.metadata_json = json.dumps(discovery.build_metadata(settings), indent=1).encode()
        self._engine = engine
        self._key_ring: keys.KeyRing | None = None
        self._keys_looked_up = 0.0

    # -- Keys -------------------------------------------------------------------

    @property
    def key_ring(self) -> keys.KeyRing:
        """The signing keys; read again every minute, so that a rotation reaches every process without a restart."""
        now = clock.ticks()
        if self._key_ring is None:
            self._load_keys_apart(now)
        elif now - self._keys_looked_up > keys.RELOAD_EVERY:
            # Noted before: one request looks, and the others go on with the keys that are known. Each of them holds a
            # connection already, and would wait for a second one.
            self._keys_looked_up = now
            try:
                self._load_keys_apart(now)
            except SQLAlchemyError as fault:  # known keys still sign and verify; the next look is in a minute
                log.warning("The signing keys could not be read again: %s", fault.__class__.__name__)
        assert self._key_ring is not None
        return self._key_ring

    def signing_key(self, algorithm: str) -> keys.Key:
        """Return the key that signs with an algorithm."""
        return self.key_ring.signing_key(algorithm)

    def verifying_key(self, db: Session, kid: str) -> Key | None:
        """Return one of our public keys by its id, or None.

        The table is asked each time: a key that was taken back a moment ago verifies nothing any more, and one may be
        so new that this process does not know it yet.
        """
        if not keys.is_published(db, kid):
            return None
        if kid not in self.key_ring.verifying:
            self._load_keys(clock.ticks(), db)
        return self.key_ring.verifying.get(kid)

    def _load_keys_apart(self, now: float) -> None:
        with Session(self._engine) as db:
            self._load_keys(now, db)

    def _load_keys(self, now: float, db: Session) -> None:
        self._key_ring, self._keys_looked_up = keys.load_keys(db, self.settings, known=self._key_ring), now

    # -- Lifetimes ----------------------------------------------------------------

    def lifetime(self, client: ClientMetadata, what: Literal["access_token", "id_token", "refresh_token"]) -> int:
        """Return how many seconds a client's tokens are good for: its own choice, or the provider's."""
        own: int | None = getattr(client, f"{what}_lifetime")
        return own or int(getattr(self.settings, f"{what}_lifetime"))

    # -- Whom a client stands for -------------------------------------------------------

    def is_anybodys(self, client: ClientMetadata) -> bool:
        """Tell whether a stranger may act as a client: it has no secret, or anyone may have registered it."""
        return client.is_public or (client.is_self_registered and self.settings.dynamic_registration == "open")

    # -- Tokens -----------------------------------------------------------------------

    def get_token_grant(self, request: ProtocolRequest) -> Any:  # type: ignore[override]
        """Find the grant; Authlib's own message would repeat whatever was sent."""
        request.payload.check_single("grant_type")
        grant_type = request.payload.required("grant_type")
        try:
            return super().get_token_grant(request)
        except UnsupportedGrantTypeError:
            description = f"The grant_type {safe(grant_type)} is not supported here."
            raise OAuth2Error(description, error="unsupported_grant_type") from None

    def create_token_response(self, request: ProtocolRequest) -> Answer:  # type: ignore[override]
        """Answer a token request (RFC 6749 section 5.1).

        Raises:
            OAuth2Error: it is refused.
        """
        grant = self.get_token_grant(request)
        grant.validate_token_request()
        answer: Answer = grant.create_token_response()
        return answer


GRANTS = (AuthorizationCodeGrant, RefreshTokenGrant, ClientCredentialsGrant, DeviceCodeGrant, TokenExchangeGrant)


def compose(settings: Settings, engine: Engine) -> Provider:
    """Put the provider together."""
    provider = Provider(settings, engine)
    for grant in GRANTS:
        provider.register_grant(grant)
    return provider
