"""Ready-made people and apps."""

from typing import Any

from sqlalchemy.orm import Session

from idp.accounts import registration
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR
from idp.models import User
from idp.oidc.client_store import register_client
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings

PASSWORD = "correct horse battery staple"  # gitleaks:allow
REDIRECT_URI = "https://app.example.org/callback"
EVERY_CLAIM = {
    "middle_name": "King",
    "nickname": "Countess",
    "profile": "https://ada.example.org/about",
    "picture": "https://ada.example.org/portrait.png",
    "website": "https://ada.example.org/",
    "gender": "female",
    "birthdate": "1815-12-10",
    "zoneinfo": "Europe/London",
    "locale": "en-GB",
    "phone_number": "+44 20 7946 0000",
    "phone_number_verified_at": 1_700_000_000,
    "street_address": "12 St James's Square",
    "locality": "London",
    "region": "Greater London",
    "postal_code": "SW1Y 4JH",
    "country": "United Kingdom",
}


def make_user(
    db: Session,
    settings: Settings,
    username: str = "ada",
    password: str | None = PASSWORD,
    *,
    email: str = "",
    given_name: str = "Ada",
    family_name: str = "Lovelace",
    roles: tuple[str, ...] = (),
    is_email_verified: bool = True,
    **profile: Any,
) -> User:
    """Create somebody and commit."""
    person = Person(username, email or f"{username}@example.org", given_name, family_name)
    user = registration.add_user(
        db, settings, OPERATOR, person, password, role_names=roles, is_email_verified=is_email_verified
    )
    for name, value in profile.items():
        setattr(user, name, value)
    db.commit()
    return user


def make_client(db: Session, settings: Settings, **metadata: Any) -> tuple[ClientMetadata, str | None]:
    """Register an app and commit; returns it with its secret."""
    given = {
        "client_id": "",
        "client_name": "Weather app",
        "redirect_uris": (REDIRECT_URI,),
        "scopes": ("openid", "profile", "email", "address", "phone", "roles", "account", "offline_access"),
        "grant_types": ("authorization_code", "refresh_token"),
        "is_trusted": True,
        **metadata,
    }
    if "authorization_code" not in given["grant_types"]:
        given.setdefault("response_types", ())
    registered = register_client(db, settings, OPERATOR, ClientMetadata(**given))
    db.commit()
    return registered
