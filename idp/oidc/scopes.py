"""The scopes that a client may ask for, and the claims that each stands for (OIDC Core section 5.4)."""

from collections.abc import Iterable, Mapping, Sequence

CLAIMS: Mapping[str, Sequence[str]] = {
    "openid": ("sub",),
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
    "roles": ("roles",),
    "account": (),
    "offline_access": (),
    "registration": (),
    "recovery": (),
    "recovery:password": (),
}
_OF_ACCOUNT = ("profile", "email", "address", "phone", "roles")  # what the account API tells, and partly lets change
# Those that speak of no person: a client asks for them in its own name, and only there (RFC 6749 section 4.4).
OF_CLIENTS = ("registration", "recovery", "recovery:password")
SUPPORTED = tuple(CLAIMS)
CLAIM_NAMES = tuple(dict.fromkeys(name for names in CLAIMS.values() for name in names))
KNOWN_CLAIMS = frozenset(CLAIM_NAMES)


def split(scope: str | None) -> tuple[str, ...]:
    """Return the words of a scope parameter, each once, in their order (RFC 6749 section 3.3)."""
    return tuple(dict.fromkeys(word for word in (scope or "").split(" ") if word))


def claims_of(scopes: Iterable[str]) -> set[str]:
    """Return the claims that scopes ask for."""
    return {claim for scope in scopes for claim in CLAIMS.get(scope, ())}


def claims_shown(scopes: Iterable[str]) -> set[str]:
    """Return the claims that an app with these scopes can see, be it by userinfo or by the account API."""
    seen = set(scopes)
    return claims_of(seen.union(_OF_ACCOUNT) if "account" in seen else seen)
