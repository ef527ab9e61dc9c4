"""Apps that a person can start from here: login initiated by a third party, which we are (OIDC Core section 4)."""

from dataclasses import dataclass

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from idp.models import Client, Consent
from idp.oidc import scopes as known_scopes
from idp.oidc.client_uris import with_parameters
from idp.settings import Settings


@dataclass(frozen=True)
class AppStart:
    """An app, and the address at which a sign-in to it begins."""

    client_id: str
    client_name: str
    logo_uri: str | None
    url: str


def list_app_starts(db: Session, settings: Settings, user_id: str, username: str) -> list[AppStart]:
    """Return the apps that a person can start, in the order of their names.

    These are the apps of the operator's own house, and those that the person has allowed something before: nobody's
    page should lead to an app just because it was registered.

    Args:
        username: goes along as `login_hint`, to apps that may know it anyway.
    """
    rows = db.execute(
        select(
            Client.client_id,
            Client.client_name,
            Client.logo_uri,
            Client.initiate_login_uri,
            Client.is_trusted,
            Client.scopes,
            Consent.scope,
        )
        .outerjoin(Consent, and_(Consent.client_id == Client.client_id, Consent.user_id == user_id))
        .where(Client.initiate_login_uri.is_not(None), or_(Client.is_trusted.is_(True), Consent.client_id.is_not(None)))
    )
    found = []
    for row in rows:
        may_know = {*row.scopes} if row.is_trusted else {*known_scopes.split(row.scope)}
        hint = username if "profile" in may_know else None
        url = start_url(settings, row.initiate_login_uri, hint)
        found.append(AppStart(row.client_id, row.client_name, row.logo_uri, url))
    return sorted(found, key=lambda app: (app.client_name.casefold(), app.client_id))


def start_url(settings: Settings, initiate_login_uri: str, login_hint: str | None) -> str:
    """Return where a browser goes to begin a sign-in (OIDC Core section 4): by GET, with our issuer.

    `target_link_uri` is left out: where somebody comes to in an app is for the app to know.
    """
    parameters = {"iss": settings.issuer}
    if login_hint:
        parameters["login_hint"] = login_hint
    return with_parameters(initiate_login_uri, parameters)
