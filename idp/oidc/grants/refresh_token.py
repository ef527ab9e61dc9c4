"""The refresh token grant, with rotation and detection of reuse (RFC 6749 section 6, RFC 9700 section 4.14)."""

from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidScopeError
from sqlalchemy import or_, update

from idp import clock, crypto
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.models import AuthorizationGrant, RefreshToken
from idp.oidc import scopes as known_scopes
from idp.oidc import token_status
from idp.oidc.clients import ClientMetadata
from idp.oidc.grants.grant import Grant
from idp.oidc.resources import InvalidTarget
from idp.oidc.token_issuer import Authorization
from idp.statements import Prepared, value

_CLAIM = Prepared(
    update(RefreshToken)
    .where(
        RefreshToken.token_digest == value("presented"),
        RefreshToken.client_id == value("presented_by"),
        RefreshToken.claimed_at.is_(None),
        RefreshToken.expires_at > value("now"),
        or_(RefreshToken.dpop_jkt.is_(None), RefreshToken.dpop_jkt == value("jkt")),
    )
    .values(claimed_at=value("now"))
    .returning(RefreshToken.grant_id, RefreshToken.scope)
)
_KEEP_GRANT = Prepared(
    update(AuthorizationGrant).where(AuthorizationGrant.id == value("grant_id")).values(expires_at=value("until"))
)
_UNUSABLE = "The refresh token is unknown, expired, already used, revoked, or was issued to another client."


class RefreshTokenGrant(Grant):
    """Exchanges a refresh token for a new one and an access token."""

    GRANT_TYPE = "refresh_token"

    def authorize(self, client: ClientMetadata) -> Authorization:
        """Claim the token; a second use of one ends its whole family."""
        token = self.request.payload.required("refresh_token")
        asked = known_scopes.split(self.request.payload.get("scope"))
        db, now = self.request.db, clock.now()
        claimed = _CLAIM.first(
            db, presented=crypto.digest(token), presented_by=client.client_id, now=now, jkt=self.dpop_jkt
        )
        if claimed is None:
            raise self._refuse(token, client)
        grant = token_status.find_grant(db, self.server.settings, claimed["grant_id"])
        if grant is None:
            raise InvalidGrantError(_UNUSABLE)
        allowed = known_scopes.split(claimed["scope"])
        try:
            resources = self.resources(grant["resources"])
        except InvalidTarget:
            self._give_back(token)
            raise
        if beyond := [scope for scope in asked if scope not in allowed]:
            self._give_back(token)
            known = " ".join(scope for scope in beyond if scope in known_scopes.SUPPORTED)
            raise InvalidScopeError(f"The scope is more than what was granted. {known}".strip())
        lasts = self.server.lifetime(client, "refresh_token") + self.server.lifetime(client, "access_token")
        _KEEP_GRANT.run(db, grant_id=claimed["grant_id"], until=now + lasts)
        scope = " ".join(asked) or claimed["scope"]
        return Authorization(
            client,
            scope,
            grant,
            is_narrower=scope != grant["grant_scope"],
            refresh_scope=claimed["scope"],
            resources=resources,
        )

    def _give_back(self, token: str) -> None:
        """Nothing was lost: the token is good still, for a request that asks for less."""
        mine = RefreshToken.token_digest == crypto.digest(token)
        self.request.db.execute(update(RefreshToken).where(mine).values(claimed_at=None))

    def _refuse(self, token: str, client: ClientMetadata) -> InvalidGrantError:
        """Say why a token could not be claimed; one that was used before ends its family."""
        found = token_status.find_refresh_token(self.request.db, token)
        if found is None or found.client_id != client.client_id:
            return InvalidGrantError(_UNUSABLE)
        if found.claimed_at is not None:
            token_status.revoke_grant(self.request.db, found.grant_id)
            audit.record(self.request.db, Event.REFRESH_TOKEN_REUSED, self.request.visitor, client_id=client.client_id)
        elif found.dpop_jkt not in (None, self.dpop_jkt):
            # Nothing was lost: whoever stole it without its key does its owner no harm.
            return InvalidGrantError("The refresh token is bound to a key: a DPoP proof of that key is needed.")
        return InvalidGrantError(_UNUSABLE)
