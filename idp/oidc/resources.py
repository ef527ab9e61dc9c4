"""Whom an access token is for (RFC 8707): the resources that a request names, among those that it may."""

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
