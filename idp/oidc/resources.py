"""Whom an access token is for (RFC 8707): the resources that a token request names, among those that it may."""

from collections.abc import Collection, Sequence

from authlib.oauth2.base import OAuth2Error

from idp.oidc.requests import safe


class InvalidTarget(OAuth2Error):
    """A resource that is not to be had (RFC 8707 section 2)."""

    error = "invalid_target"


def check_among(asked: Sequence[str], granted: Collection[str]) -> None:
    """Check that every resource that is asked for may be had.

    Raises:
        InvalidTarget: one may not.
    """
    for resource in asked:
        if resource not in granted:
            raise InvalidTarget(f"No token for the resource {safe(resource)} may be had here.")


def narrow(issuer: str, asked: Sequence[str], granted: Sequence[str]) -> tuple[str, ...]:
    """Return what a token of a grant is to be for: what the request names, or all that was granted (section 2.2).

    Args:
        issuer: stands for this provider itself, which is all that a grant without resources is for.
        asked: as the token request names them.
        granted: as the grant has them.

    Raises:
        InvalidTarget: more was asked for than granted.
    """
    if not asked:
        return tuple(granted)
    check_among(asked, granted or (issuer,))
    return tuple(dict.fromkeys(asked))
