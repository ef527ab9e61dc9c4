"""Agree, or not, to what an app may see: in words, with the very values that it would get."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Response
from markupsafe import Markup
from sqlalchemy import select

from idp.accounts.sessions import CurrentSession
from idp.models import User
from idp.oidc import consents, interaction, scopes
from idp.oidc.claims import COLUMNS, build_claims
from idp.oidc.clients import ClientMetadata
from idp.oidc.interaction import Interaction
from idp.storage.statements import Row
from idp.web import context, forms
from idp.web.pages import moments
from idp.web.pages.parked import need_parked, settled_session
from idp.web.pages.rendering import NO_FAULTS, Faults, faults_of_token, page, resume
from idp.web.texts import text

_UNSAID = {"updated_at", "email_verified", "phone_number_verified"}  # said in other words, or by nobody
_FIRST = ("name", "preferred_username")


@dataclass(frozen=True)
class Disclosure:
    """One line of the page: what kind of data, and which."""

    label: Markup
    values: tuple[str | Markup, ...] = ()


def show_consent() -> Response:
    """Show who asks for what."""
    parked = need_parked()
    session = settled_session()
    if session is None:
        return resume(parked)
    return _question(parked, session)


def submit_consent() -> Response:
    """Note the answer and return to the dispatcher."""
    action = forms.field("action")
    parked = need_parked(denied=action == "deny")
    session = settled_session()
    if session is None:  # signed out meanwhile, in another tab
        return resume(parked)
    if faults := faults_of_token():
        return _question(parked, session, faults, 400)
    if action == "allow" and forms.field("described") != description_of(parked.client):
        return _question(parked, session, changed(parked.client), 409)
    if action == "allow":
        db, visitor, asked = context.database(), context.visitor(), parked.request
        consents.give_consent(db, visitor, session.user_id, asked.client.client_id, asked.scopes, asked.claims.names)
        interaction.note_consent(db, parked.id)
    elif action == "deny":
        interaction.note_denial(context.database(), parked.id)
    return resume(parked)


def description_of(client: ClientMetadata) -> str:
    """Return what a form carries of the app that its page describes.

    An app may change itself while somebody reads (RFC 7592), and then ask for what it could not have before: what is
    allowed must be what was shown.
    """
    return str(client.version)


def changed(client: ClientMetadata) -> Faults:
    """Say that the app is another one than the page said before."""
    return Faults(general=[text("consent.changed", app=client.client_name)])


def disclosures(asked_scopes: Sequence[str], asked_claims: frozenset[str], user_id: str) -> list[Disclosure]:
    """Return what the app would learn: by scopes, and by claims that it names one by one."""
    person = context.database().execute(select(*COLUMNS).where(User.id == user_id)).one()._mapping
    asked = scopes.claims_shown(asked_scopes) | asked_claims
    groups = (
        ("openid", text("consent.openid")),
        ("profile", text("consent.profile")),
        ("email", text("consent.email")),
        ("address", text("consent.address")),
        ("phone", text("consent.phone")),
        ("roles", text("consent.roles")),
    )
    shown = []
    for scope, label in groups:
        names = [name for name in scopes.CLAIMS[scope] if name in asked]
        if scope == "openid" and scope in asked_scopes:
            shown.append(Disclosure(label))
        elif scope != "openid" and names:
            shown.append(Disclosure(label, _values(person, names) or (text("consent.nothing"),)))
    if "account" in asked_scopes:
        shown.append(Disclosure(text("consent.account")))
    if "offline_access" in asked_scopes:
        shown.append(Disclosure(text("consent.offline_access"), (text("consent.offline_access_detail"),)))
    return shown


def lasts(client: ClientMetadata, asked_scopes: Sequence[str]) -> Markup:
    """Say for how long the app may look things up."""
    if "offline_access" not in asked_scopes:
        return text("consent.lasts_session", app=client.client_name)
    most = context.provider().lifetime(client, "refresh_token")
    return text("consent.lasts_offline", app=client.client_name, span=moments.span(most))


def _question(parked: Interaction, session: CurrentSession, faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    return page(
        "consent.html",
        status,
        parked=parked,
        session=session,
        disclosures=disclosures(parked.request.scopes, parked.request.claims.names, session.user_id),
        lasts=lasts(parked.client, parked.request.scopes),
        described=description_of(parked.client),
        unknown_place=_place_of(parked.request.redirect_uri) if _is_unchecked(parked.client) else None,
        faults=faults,
    )


def _is_unchecked(client: ClientMetadata) -> bool:
    """Tell whether an app registered itself, and no operator has said since that they trust it."""
    return client.is_self_registered and not client.is_trusted


def _place_of(redirect_uri: str) -> str:
    """Return where the answer goes: a host, or the private scheme of an app on the person's own device."""
    uri = urlsplit(redirect_uri)
    return uri.netloc or uri.scheme


def _values(person: Row, names: list[str]) -> tuple[str | Markup, ...]:
    """Return the values as one would read them aloud, each once."""
    claims = build_claims(person, sorted(names, key=lambda name: name not in _FIRST))
    if "name" in claims:  # holds its parts already
        for part in ("given_name", "middle_name", "family_name"):
            claims.pop(part, None)
    found: list[str | Markup] = []
    for name, value in claims.items():
        if name == "address":
            found.append(value["formatted"].replace("\n", ", "))
        elif name == "roles":
            found.extend(value)
        elif name == "email":
            is_verified = person["email_verified_at"] is not None
            state = text("consent.email_verified") if is_verified else text("consent.email_unverified")
            found.append(f"{value} ({state})")
        elif name not in _UNSAID:
            found.append(value)
    return tuple(dict.fromkeys(found))
