"""Who is signed in, as far as the app needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """One signed-in person.

    Attributes:
        subject: the provider's permanent identifier of the account (claim ``sub``).
        username: what the person types to sign in (claim ``preferred_username``).
        name: the display name.
        email: the e-mail address, None if the provider does not tell.
        roles: the roles granted at the provider, in the provider's order.
    """

    subject: str
    username: str
    name: str
    email: str | None
    roles: tuple[str, ...]

    @classmethod
    def from_claims(cls, claims: Mapping[str, object]) -> Identity:
        """Read a person from ID-token claims or from a reply of the account API: both use the same names.

        Parameters:
            claims: the claims; everything but ``sub`` may be absent.

        Raises:
            ValueError: ``sub`` is absent or not a text.

        Source: OpenID Connect Core 1.0, section 5.1 (standard claims).
        """
        subject = read_text(claims, "sub")
        if subject is None:
            raise ValueError("The claims name no subject.")
        username = read_text(claims, "preferred_username") or read_text(claims, "email") or subject
        parts = [read_text(claims, "given_name"), read_text(claims, "family_name")]
        name = read_text(claims, "name") or " ".join(part for part in parts if part) or username
        roles = claims.get("roles")
        return cls(
            subject=subject,
            username=username,
            name=name,
            email=read_text(claims, "email"),
            roles=tuple(role for role in roles if isinstance(role, str)) if isinstance(roles, list | tuple) else (),
        )

    def has_any_role(self, roles: tuple[str, ...]) -> bool:
        """Tell whether the person holds at least one of ``roles``; an empty tuple asks for nothing."""
        return not roles or not set(roles).isdisjoint(self.roles)


def read_text(claims: Mapping[str, object], name: str) -> str | None:
    """Return a claim that is a text and not empty, or None."""
    value = claims.get(name)
    return value if isinstance(value, str) and value else None
