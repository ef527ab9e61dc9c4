"""Token exchange (RFC 8693): an access token for one with less in it, or for another API.

Who may exchange what: a client its own tokens, and an API the tokens that it was called with (it is named among their
resources). What comes of it is never more than what was brought: not a scope more, not a second longer, and it hangs on
the same grant, so that it ends with that, and with the token that was brought. What is bound to a key stays bound.
"""

from authlib.oauth2.rfc6749.errors import InvalidRequestError, InvalidScopeError

from idp.oidc import scopes as known_scopes
from idp.oidc import token_status
from idp.oidc.clients import CONFIDENTIAL_METHODS, TOKEN_EXCHANGE_GRANT, ClientMetadata
from idp.oidc.grants.grant import Grant
from idp.oidc.resources import InvalidTarget, check_among
from idp.oidc.token_issuer import Authorization
from idp.oidc.token_status import ActiveToken

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type's name
EXCHANGES_MOST = 10  # one after the other: each leaves an id in the token
_UNFIT = "The subject_token is no living access token that this client may exchange."


class TokenExchangeGrant(Grant):
    """Exchanges an access token."""

    GRANT_TYPE = TOKEN_EXCHANGE_GRANT
    TOKEN_ENDPOINT_AUTH_METHODS = CONFIDENTIAL_METHODS

    def authorize(self, client: ClientMetadata) -> Authorization:
        """Check what is brought and what is wanted for it. There is nothing to claim: a token is used many times."""
        self._check_types()
        subject = self._subject_token(client)
        self._check_possession(client, subject)
        return Authorization(
            client,
            self._scope(client, subject),
            subject.grant,
            is_narrower=True,
            resources=self._resources(client, subject),
            issued_token_type=ACCESS_TOKEN_TYPE,
            expires_at_most=subject.expires_at,
            came_from=(*subject.came_from, subject.token_id),
        )

    def _check_types(self) -> None:
        """Take access tokens, give access tokens; nobody acts in another's name here (section 2.1)."""
        payload = self.request.payload
        if payload.get("actor_token") is not None or payload.get("actor_token_type") is not None:
            raise InvalidRequestError("Delegation is not supported: leave out actor_token and actor_token_type.")
        if payload.required("subject_token_type") != ACCESS_TOKEN_TYPE:
            raise InvalidRequestError(f"The subject_token_type must be {ACCESS_TOKEN_TYPE}.")
        if payload.get("requested_token_type") not in (None, ACCESS_TOKEN_TYPE):
            raise InvalidRequestError(f"The requested_token_type must be {ACCESS_TOKEN_TYPE}.")

    def _subject_token(self, client: ClientMetadata) -> ActiveToken:
        token = self.request.payload.required("subject_token")
        found = token_status.find_active_token(self.request.db, self.server, token)
        if found is None:
            raise InvalidRequestError(_UNFIT)
        is_called_with_it = found.grant is not None and found.is_for_any(client.protected_resources)
        if found.client_id != client.client_id and not is_called_with_it:
            raise InvalidRequestError(_UNFIT)
        if len(found.came_from) >= EXCHANGES_MOST:
            raise InvalidRequestError(f"The subject_token comes of {EXCHANGES_MOST} exchanges already.")
        return found

    def _check_possession(self, client: ClientMetadata, subject: ActiveToken) -> None:
        """What is bound to a key must not come loose: the new token is bound too, the client's own to the same key."""
        if subject.dpop_jkt is None:
            return
        is_own = subject.client_id == client.client_id
        if self.dpop_jkt is None or (is_own and self.dpop_jkt != subject.dpop_jkt):
            raise InvalidRequestError("The subject_token is bound to a key: a DPoP proof is needed, of that key.")

    def _scope(self, client: ClientMetadata, subject: ActiveToken) -> str:
        allowed = [each for each in subject.scopes if each in client.scopes and each != "offline_access"]
        asked = known_scopes.split(self.request.payload.get("scope"))
        if any(each not in allowed for each in asked):
            raise InvalidScopeError("The scope is more than what the subject_token and this client may have.")
        scope = " ".join(asked or allowed)
        if not scope and subject.grant is not None:
            raise InvalidScopeError("The subject_token has no scope that this client may have.")
        return scope

    def _resources(self, client: ClientMetadata, subject: ActiveToken) -> tuple[str, ...]:
        """Return whom the new token is for: by `resource` or `audience`, which mean the same here (section 2.1)."""
        payload = self.request.payload
        asked = tuple(dict.fromkeys((*payload.get_all("resource"), *payload.get_all("audience"))))
        if subject.client_id != client.client_id:
            if not asked:
                raise InvalidTarget("Say which resource the new token is for.")
            check_among(asked, client.resources)
            return asked
        own = subject.resources or (self.server.settings.issuer,)
        check_among(asked, {*own, *client.resources})
        return asked or tuple(subject.resources)
