"""What all grants share: the client is authenticated before, and the tokens are minted after."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from authlib.oauth2.rfc6749.errors import UnauthorizedClientError
from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin

from idp.oidc.client_auth import LookUp, authenticate_client
from idp.oidc.clients import AUTH_METHODS, ClientMetadata
from idp.oidc.dpop import InvalidDpopProof, Proof, note_proof, proof_beside
from idp.oidc.encryption import check_encryption
from idp.oidc.requests import NO_STORE, Answer, ProtocolRequest
from idp.oidc.resources import check_among
from idp.oidc.token_issuer import Authorization, mint
from idp.storage.statements import Row

if TYPE_CHECKING:
    from idp.oidc.server import Provider


class Grant(BaseGrant, TokenEndpointMixin):
    """A way to get tokens."""

    TOKEN_ENDPOINT_AUTH_METHODS: Sequence[str] = AUTH_METHODS
    request: ProtocolRequest
    server: "Provider"
    proof: Proof | None = None
    _is_proof_noted = False

    def look_up(self, client_id: str) -> ClientMetadata | None:  # noqa: ARG002 - for those that present something
        """Return the client of what the request presents, as `authenticate_client` takes it."""
        return None

    def authenticate(self, look_up: LookUp | None = None) -> ClientMetadata:
        """Authenticate the client."""
        return authenticate_client(self.server, self.request, self.TOKEN_ENDPOINT_AUTH_METHODS, look_up)

    def authorize(self, client: ClientMetadata) -> Authorization:
        """Claim what the request presents, and say what is to be minted for it.

        Raises:
            OAuth2Error: with the error that RFC 6749 section 5.2 has for it.
        """
        raise NotImplementedError

    def validate_token_request(self) -> None:
        """Authenticate the client and check that it may use this grant."""
        self.request.payload.check_single()
        self.proof = proof_beside(self.server.settings, self.request)
        client = self.authenticate(self.look_up)
        if self.GRANT_TYPE not in client.grant_types:
            raise UnauthorizedClientError(f"This client is not registered for the grant {self.GRANT_TYPE}.")
        if self.proof is None and client.dpop_bound_access_tokens:
            raise InvalidDpopProof("This client must send a DPoP proof: its tokens are bound to a key.")

    @property
    def dpop_jkt(self) -> str | None:
        """The key that was shown, to which the tokens will be bound (RFC 9449 section 5); None for bearer tokens."""
        return self.proof.jkt if self.proof else None

    def note_proof(self) -> None:
        """Note that the proof was shown, where there is one.

        Who claims something does so when that is known and before it is claimed: nonsense leaves no row, and a proof
        that was used before uses nothing up. For all others it is done before the tokens are minted.

        Raises:
            InvalidDpopProof: it was shown before.
        """
        if self.proof is not None and not self._is_proof_noted:
            note_proof(self.request.db, self.proof)
            self._is_proof_noted = True

    def resources(self, granted: Sequence[str]) -> tuple[str, ...]:
        """Return whom the access token is for: what the request names, or all that was granted (RFC 8707 section 2.2).

        Raises:
            InvalidTarget: more was asked for than granted.
        """
        asked = self.request.payload.get_all("resource")
        if not asked:
            return tuple(granted)
        check_among(asked, granted or (self.server.settings.issuer,))  # a grant without is for this provider alone
        return tuple(dict.fromkeys(asked))

    def first_tokens(self, client: ClientMetadata, grant: Row) -> Authorization:
        """Say what is to be minted for a grant whose code was claimed just now.

        Raises:
            InvalidTarget: more was asked for than granted.
        """
        scope = grant["grant_scope"]
        may_refresh = grant["is_offline"] and "refresh_token" in client.grant_types
        return Authorization(
            client,
            scope,
            grant,
            refresh_scope=scope if may_refresh else None,
            nonce=grant["nonce"],
            resources=self.resources(grant["resources"]),
        )

    def create_token_response(self) -> Answer:  # type: ignore[override]
        """Claim, mint, answer."""
        assert self.request.client is not None
        check_encryption(self.server.client_keys, self.request.db, self.request.client)
        authorization = self.authorize(self.request.client)
        self.note_proof()
        if self.proof is not None:
            authorization = authorization._replace(dpop_jkt=self.proof.jkt)
        nonce = self.proof.headers if self.proof else []
        return 200, mint(self.server, self.request.db, authorization), [*NO_STORE, *nonce]
