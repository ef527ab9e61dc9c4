"""Claims about a person: which ones a request asks for, and their values (OIDC Core section 5)."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from authlib.oauth2.rfc6749.errors import InvalidRequestError
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from idp.models import User, UserRole
from idp.oidc import scopes as known_scopes
from idp.storage.statements import Row

_CLAIMS_MOST = 4096  # characters of a claims parameter
_roles = (
    select(func.aggregate_strings(UserRole.role, " "))
    .where(UserRole.user_id == User.id)
    .correlate(User)
    .scalar_subquery()
    .label("roles")
)

# What any statement selects to build claims from: one row says all about a person.
COLUMNS: tuple[InstrumentedAttribute[Any] | ColumnElement[Any], ...] = (
    User.username,
    User.email,
    User.email_verified_at,
    User.given_name,
    User.family_name,
    User.middle_name,
    User.nickname,
    User.profile,
    User.picture,
    User.website,
    User.gender,
    User.birthdate,
    User.zoneinfo,
    User.locale,
    User.phone_number,
    User.phone_number_verified_at,
    User.street_address,
    User.locality,
    User.region,
    User.postal_code,
    User.country,
    User.updated_at.label("profile_updated_at"),
    _roles,
)


@dataclass(frozen=True)
class ClaimsRequest:
    """The claims parameter (OIDC Core section 5.5): claim name to None or to its demands, for each place."""

    id_token: Mapping[str, Any] = field(default_factory=dict)
    userinfo: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def names(self) -> frozenset[str]:
        """The claims about a person that are asked for by name."""
        return frozenset(name for name in (*self.id_token, *self.userinfo) if name in known_scopes.KNOWN_CLAIMS) - {
            "sub"
        }

    def within(self, permitted: Collection[str]) -> "ClaimsRequest":
        """Return the request without the claims about a person that are not permitted; all others stay.

        Args:
            permitted: names of claims.
        """
        barred = self.names - set(permitted)
        if not barred:
            return self
        kept = ({name: each[name] for name in each if name not in barred} for each in (self.id_token, self.userinfo))
        return ClaimsRequest(*kept)

    def admits(self, subject: str) -> bool:
        """Tell whether the request may be about a subject: a `sub` claim with a value names the one that it means."""
        demand = self.id_token.get("sub") or {}
        wanted = [demand.get("value"), *demand.get("values", ())]
        wanted = [each for each in wanted if each not in (None, "")]
        return not wanted or subject in wanted

    def essential_acr_values(self) -> tuple[str, ...]:
        """The authentication contexts without one of which the request must fail (section 5.5.1.1)."""
        demand = self.id_token.get("acr")
        if not isinstance(demand, dict) or not demand.get("essential"):
            return ()
        values = demand["values"] if isinstance(demand.get("values"), list) else [demand.get("value")]
        return tuple(value for value in values if isinstance(value, str))

    def as_stored(self) -> dict[str, Any] | None:
        """Return what the grant's row keeps: for each place the names of claims about the person; None for none.

        Demands on their values are met, or not, before there is a grant; whatever else was sent is kept nowhere.
        """
        stored = {
            place: dict.fromkeys(name for name in demands if name in known_scopes.KNOWN_CLAIMS)
            for place, demands in (("id_token", self.id_token), ("userinfo", self.userinfo))
        }
        return stored if any(stored.values()) else None


NO_CLAIMS = ClaimsRequest()


def parse_claims(text: str | None) -> ClaimsRequest:
    """Read a claims parameter.

    Raises:
        InvalidRequestError: no JSON, or not of the form that the specification gives it.
    """
    if not text:
        return NO_CLAIMS
    if len(text) > _CLAIMS_MOST:
        raise InvalidRequestError(f"The claims parameter has more than {_CLAIMS_MOST} characters.")
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequestError("The claims parameter is no JSON.") from None
    if not isinstance(given, dict):
        raise InvalidRequestError("The claims parameter is no JSON object.")
    places = {}
    for place in ("id_token", "userinfo"):
        demands = given.get(place)
        if demands is None:
            demands = {}
        if not isinstance(demands, dict) or not all(_is_demand(demand) for demand in demands.values()):
            raise InvalidRequestError(f"The member {place} of the claims parameter has the wrong form.")
        places[place] = demands
    return ClaimsRequest(**places)


def _is_demand(demand: Any) -> bool:
    """Tell whether this is what may stand behind a claim's name (section 5.5.1): null, or an object."""
    if demand is None:
        return True
    has_form = isinstance(demand, dict) and isinstance(demand.get("values", []), list)
    return has_form and isinstance(demand.get("essential", False), bool)


def stored_claims(stored: Mapping[str, Any] | None) -> ClaimsRequest:
    """Return the claims request that a grant's row holds."""
    return ClaimsRequest(**stored) if stored else NO_CLAIMS


def build_claims(person: Row, names: Iterable[str]) -> dict[str, Any]:
    """Return the values of claims; those that are not known are left out, never empty or null (section 5.3.2).

    Args:
        person: a row of `COLUMNS`.
        names: the claims that are asked for.
    """
    claims = {}
    for name in names:
        make = _VALUES.get(name)
        value = make(person) if make else None
        if value is not None and value not in ("", {}):
            claims[name] = value
    return claims


_ADDRESS_PARTS = ("street_address", "locality", "region", "postal_code", "country")


def _full_name(person: Row) -> str:
    parts = (person["given_name"], person["middle_name"], person["family_name"])
    return " ".join(part for part in parts if part) or person["username"]


def _address(person: Row) -> dict[str, str]:
    """The address claim (section 5.1.1): its parts, and all of it as one would write it on an envelope."""
    known = {name: person[name] for name in _ADDRESS_PARTS if person[name]}
    if known:
        place = " ".join(filter(None, (person["postal_code"], person["locality"])))
        lines = (person["street_address"], place, person["region"], person["country"])
        known["formatted"] = "\n".join(line for line in lines if line)
    return known


_PLAIN = (
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "email",
    "phone_number",
)
_VALUES: Mapping[str, Any] = {
    **{name: (lambda person, name=name: person[name]) for name in _PLAIN},
    "name": _full_name,
    "preferred_username": lambda person: person["username"],
    "updated_at": lambda person: person["profile_updated_at"],
    "email_verified": lambda person: person["email_verified_at"] is not None,
    "phone_number_verified": lambda person: (
        person["phone_number_verified_at"] is not None if person["phone_number"] else None
    ),
    "address": _address,
    "roles": lambda person: sorted(person["roles"].split(" ")) if person["roles"] else [],
}
