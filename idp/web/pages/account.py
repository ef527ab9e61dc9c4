"""The account's home: who am I here."""

from flask import Response, abort, request
from sqlalchemy import select

from idp.accounts.sessions import CurrentSession
from idp.errors import SessionRequired
from idp.models import User
from idp.oidc.claims import COLUMNS, build_claims
from idp.web import context
from idp.web.pages import destinations
from idp.web.pages.rendering import page, see_other


def show_front_door() -> Response:
    """Send people who come to the bare address to their account."""
    return see_other("show_account")


def show_account() -> Response:
    """Show what is known about the person."""
    session = signed_in()
    person = context.database().execute(select(*COLUMNS).where(User.id == session.user_id)).one()._mapping
    return page(
        "account.html",
        session=session,
        tab="overview",
        is_email_verified=person["email_verified_at"] is not None,
        roles=build_claims(person, ("roles",)).get("roles", []),
    )


def signed_in(*, is_password_own: bool = True) -> CurrentSession:
    """Return the session of who is signed in, and note that it is in use.

    Args:
        is_password_own: who has a temporary password is sent to change it first, whatever page they asked for. For apps
            the dispatcher does the same (`next_step.ChangePassword`).

    Raises:
        SessionRequired: nobody is; the error pages then lead to sign-in and back.
    """
    session = context.current_session()
    if session is None:
        raise SessionRequired("Please sign in to see this page.")
    if session.must_change_password and is_password_own:
        abort(see_other("show_password", next=request.path if request.path in destinations.DESTINATIONS else None))
    context.note_activity(session.id, session.last_seen_at)
    return session
