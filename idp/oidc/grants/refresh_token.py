"""The refresh token grant, with rotation and detection of reuse (RFC 6749 section 6, RFC 9700 section 4.14)."""

from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidScopeError
from sqlalchemy import select, update

from idp import clock
from idp.accounts import audit, sessions
from idp.accounts.audit import Event
from idp.models import AuthorizationGrant, RefreshToken
from idp.oidc import refresh_tokens, token_status
from idp.oidc import scopes as known_scopes
from idp.oidc.clients import ClientMetadata
from idp.oidc.grants.grant import Grant
from idp.oidc.token_issuer import Authorization
from idp.storage.statements import Prepared, Row, value

_FIND = Prepared(
    token_status.LIVING_GRANT.add_columns(
        RefreshToken.scope.label("refresh_scope"),
        RefreshToken.dpop_jkt.label("refresh_dpop_jkt"),
        RefreshToken.expires_at.label("refresh_expires_at"),
    )
    .join(RefreshToken, RefreshToken.grant_id == AuthorizationGrant.id)
    .where(
        RefreshToken.token_digest == value("presented"),
        RefreshToken.client_id == value("presented_by"),
        RefreshToken.claimed_at.is_(None),
        RefreshToken.expires_at > value("now"),
    )
)
_CLAIM = Prepared(
    update(RefreshToken)
    .where(
        RefreshToken.token_digest == value("presented"),
        RefreshToken.claimed_at.is_(None),
        # A while may have passed since it was looked up: others wrote, or keys to encrypt for were fetched. PostgreSQL
        # would let both go on, who ends the grant and who uses it; of two who use one, the second waits here.
        select(AuthorizationGrant.id)
        .where(AuthorizationGrant.id == RefreshToken.grant_id, AuthorizationGrant.revoked_at.is_(None))
        .with_for_update(key_share=True)
        .exists(),
    )
    .values(claimed_at=value("now"))
)
_KEEP_GRANT = Prepared(
    update(AuthorizationGrant).where(AuthorizationGrant.id == value("grant_id")).values(expires_at=value("until"))
)
_FORGET_SOONER = Prepared(
    update(RefreshToken)
    .where(RefreshToken.grant_id == value("family"), RefreshToken.expires_at > value("until"))
    .values(expires_at=value("until"))
)
_KEPT_LONGER = 32  # a grant outlives its tokens by one part in so many: most refreshes need not write to it then
_UNUSABLE = "The refresh token is unknown, expired, already used, revoked, or was issued to another client."


class RefreshTokenGrant(Grant):
    """Exchanges a refresh token for a new one and an access token."""

    GRANT_TYPE = "refresh_token"

    _found: Row | None  # the token that is presented, if it is good, with its grant

    def look_up(self, client_id: str) -> ClientMetadata | None:
        """Read the token and its grant; returns the client."""
        presented = refresh_tokens.digest(self.request.payload.get("refresh_token") or "")
        alive = sessions.alive_now(self.server.settings)
        self._found = found = _FIND.first(self.request.db, presented=presented, presented_by=client_id, **alive)
        return self.server.clients.at_version(self.request.db, client_id, found["client_version"]) if found else None

    def authorize(self, client: ClientMetadata) -> Authorization:
        """Claim the token, once nothing else is wrong; a second use of one ends its whole family."""
        token = self.request.payload.required("refresh_token")
        asked = known_scopes.split(self.request.payload.get("scope"))
        db, now, found = self.request.db, clock.now(), self._found
        if found is None:
            raise self._refuse(token, client)
        if found["refresh_dpop_jkt"] not in (None, self.dpop_jkt):
            # Nothing was lost: whoever stole it without its key does its owner no harm.
            raise InvalidGrantError("The refresh token is bound to a key: a DPoP proof of that key is needed.")
        resources = self.resources(found["resources"])
        allowed = known_scopes.split(found["refresh_scope"])
        if beyond := [scope for scope in asked if scope not in allowed]:
            known = " ".join(scope for scope in beyond if scope in known_scopes.SUPPORTED)
            raise InvalidScopeError(f"The scope is more than what was granted. {known}".strip())
        self.note_proof()
        if _CLAIM.run(db, presented=refresh_tokens.digest(token), now=now) == 0:
            raise self._refuse(token, client)
        lasts_itself = self.server.lifetime(client, "refresh_token")
        if found["refresh_expires_at"] > now + lasts_itself:
            # Lifetimes have become shorter: a chain must not lose its last token before those that were used.
            _FORGET_SOONER.run(db, family=found["grant_id"], until=now + lasts_itself)
        lasts = lasts_itself + self.server.lifetime(client, "access_token")
        if found["grant_expires_at"] < now + lasts:
            _KEEP_GRANT.run(db, grant_id=found["grant_id"], until=now + lasts + lasts // _KEPT_LONGER)
        scope = " ".join(asked) or found["refresh_scope"]
        return Authorization(
            client,
            scope,
            found,
            is_narrower=scope != found["grant_scope"],
            refresh_scope=found["refresh_scope"],
            resources=resources,
        )

    def _refuse(self, token: str, client: ClientMetadata) -> InvalidGrantError:
        """Say why a token cannot be claimed; one that was used before ends its family.

        Not one that is bound to a key which is not shown: it was never of use to whoever presents it.
        """
        found = token_status.find_refresh_token(self.request.db, token)
        if (
            found is not None
            and found.client_id == client.client_id
            and found.claimed_at is not None
            and found.dpop_jkt in (None, self.dpop_jkt)
        ):
            self.note_proof()
            if token_status.revoke_grant(self.request.db, found.grant_id):
                event, visitor = Event.REFRESH_TOKEN_REUSED, self.request.visitor
                audit.record(self.request.db, event, visitor, client_id=client.client_id)
        return InvalidGrantError(_UNUSABLE)
