"""The client credentials grant: a client acts for itself (RFC 6749 section 4.4)."""

from authlib.oauth2.rfc6749.errors import InvalidScopeError

from idp.oidc import scopes as known_scopes
from idp.oidc.clients import CONFIDENTIAL_METHODS, ClientMetadata
from idp.oidc.grants.grant import Grant
from idp.oidc.resources import check_among
from idp.oidc.token_issuer import Authorization


class ClientCredentialsGrant(Grant):
    """Gives a client a token of its own."""

    GRANT_TYPE = "client_credentials"
    TOKEN_ENDPOINT_AUTH_METHODS = CONFIDENTIAL_METHODS

    def authorize(self, client: ClientMetadata) -> Authorization:
        """Check the scope: one that speaks of a person means nothing where there is none. There is nothing to claim."""
        allowed = [scope for scope in client.scopes if scope in known_scopes.OF_CLIENTS]
        asked = known_scopes.split(self.request.payload.get("scope"))
        if any(scope not in allowed for scope in asked):
            raise InvalidScopeError("A client of its own may ask only for scopes that concern no person.")
        resources = self.request.payload.get_all("resource")
        check_among(resources, {self.server.settings.issuer, *client.resources})
        return Authorization(client, " ".join(asked or allowed), resources=tuple(dict.fromkeys(resources)))
