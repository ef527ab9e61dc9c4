"""The apps of a person: those to start from here, those that may see something, and how to take that back."""

from dataclasses import dataclass

from flask import Response
from markupsafe import Markup

from idp.accounts.sessions import CurrentSession
from idp.oidc import consents, scopes
from idp.oidc.app_starts import list_app_starts
from idp.oidc.consents import AppAccess
from idp.web import context, forms
from idp.web.pages.account import signed_in
from idp.web.pages.rendering import NO_FAULTS, Faults, faults_of_token, page, see_other
from idp.web.texts import text


@dataclass(frozen=True)
class ShownApp:
    """An app in words."""

    client_id: str
    client_name: str
    logo_uri: str | None
    sees: tuple[Markup, ...]
    since: int


def show_apps() -> Response:
    """Show every app, what it may see, and since when."""
    return _list(signed_in())


def submit_apps() -> Response:
    """Take back what one app was allowed. An app that is gone already is as good as withdrawn."""
    session = signed_in()
    if faults := faults_of_token():
        return _list(session, faults, 400)
    consents.withdraw_consent(context.database(), context.visitor(), session.user_id, forms.field("withdraw"))
    return see_other("show_apps", notice="app-removed")


def _list(session: CurrentSession, faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    found = consents.list_apps(context.database(), context.settings(), session.user_id)
    starts = list_app_starts(context.database(), context.settings(), session.user_id, session.username)
    apps = [_shown(app) for app in found]
    return page("apps.html", status, session=session, tab="apps", apps=apps, starts=starts, faults=faults)


def _shown(app: AppAccess) -> ShownApp:
    labels = {
        "profile": text("consent.profile"),
        "email": text("consent.email"),
        "address": text("consent.address"),
        "phone": text("consent.phone"),
        "roles": text("consent.roles"),
        "account": text("consent.account"),
        "offline_access": text("consent.offline_access"),
    }
    # A claim that was asked for by its name is said by the kind of data that it belongs to.
    claims = scopes.claims_shown(app.scopes).union(app.claims)
    seen = {scope for scope in labels if scope in app.scopes or not claims.isdisjoint(scopes.CLAIMS[scope])}
    sees = tuple(label for scope, label in labels.items() if scope in seen)
    return ShownApp(app.client_id, app.client_name, app.logo_uri, sees or (text("consent.openid"),), app.since)
