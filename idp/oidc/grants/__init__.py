"""The grant types (RFC 6749 section 1.3), one file each.

A grant checks what is its own, claims its row, and returns an `Authorization`; client authentication, minting and the
response are shared and live in `grants.grant`.
"""

from idp.oidc.grants.authorization_code import AuthorizationCodeGrant
from idp.oidc.grants.client_credentials import ClientCredentialsGrant
from idp.oidc.grants.device_code import DeviceCodeGrant
from idp.oidc.grants.refresh_token import RefreshTokenGrant
from idp.oidc.grants.token_exchange import TokenExchangeGrant

__all__ = [
    "AuthorizationCodeGrant",
    "ClientCredentialsGrant",
    "DeviceCodeGrant",
    "RefreshTokenGrant",
    "TokenExchangeGrant",
]
