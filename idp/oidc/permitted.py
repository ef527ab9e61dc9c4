"""What a client may ask for, wherever it asks: at the authorization endpoint, or for a device."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from authlib.oauth2.rfc6749.errors import InvalidScopeError

from idp.oidc import scopes as known_scopes
from idp.oidc.clients import ClientMetadata
from idp.oidc.requests import safe
from idp.oidc.resources import InvalidTarget

_RESOURCES_MOST = 10


def permitted_scopes(client: ClientMetadata, scope: str | None, *, may_refresh: bool = True) -> tuple[str, ...]:
    """Return the scopes that are asked for.

    Unknown ones are ignored (OIDC Core section 3.1.2.1); known ones that the client may not have are refused.
    offline_access is ignored where no refresh token could come of it (section 11), and where the app's tokens are to
    die with the browser session: they could not do both.

    Args:
        may_refresh: whether a refresh token can come of this way to ask.

    Raises:
        InvalidScopeError: one that the client may not have, or none that is known.
    """
    asked = [each for each in known_scopes.split(scope) if each in known_scopes.SUPPORTED]
    if not (may_refresh and client.may_act_offline):
        asked = [each for each in asked if each != "offline_access"]
    if refused := [each for each in asked if each not in client.scopes or each in known_scopes.OF_CLIENTS]:
        raise InvalidScopeError(f"This app is not registered for the scope {' '.join(refused)}.")
    if not asked:
        raise InvalidScopeError("No scope was asked for that is known here; OpenID Connect needs openid.")
    return tuple(asked)


def permitted_resources(client: ClientMetadata, asked: Sequence[str]) -> tuple[str, ...]:
    """Return whom access tokens are to be for (RFC 8707 section 2), each once.

    Raises:
        InvalidTarget: too many, no absolute URI, or not the client's.
    """
    resources = tuple(dict.fromkeys(asked))
    if len(resources) > _RESOURCES_MOST:
        raise InvalidTarget(f"There are more than {_RESOURCES_MOST} resources.")
    for resource in resources:
        if not _is_absolute_uri(resource):
            raise InvalidTarget("A resource must be an absolute URI without a fragment.")
        if resource not in client.resources:
            raise InvalidTarget(f"This app is not registered for the resource {safe(resource)}.")
    return resources


def _is_absolute_uri(text: str) -> bool:
    try:
        uri = urlsplit(text)
    except ValueError:
        return False
    return bool(uri.scheme and (uri.netloc or uri.path)) and "#" not in text
