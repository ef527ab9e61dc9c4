"""Where one is signed in, and how to end that."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response, url_for
from markupsafe import Markup

from idp.accounts import sessions
from idp.accounts.sessions import CurrentSession
from idp.models import BrowserSession
from idp.oidc.reached_apps import ReachedApp, list_reached_apps
from idp.web import context, forms
from idp.web.pages.account import signed_in
from idp.web.pages.devices import describe_device
from idp.web.pages.rendering import NO_FAULTS, Faults, faults_of_token, page, see_other
from idp.web.signing_out import leave

OTHERS = "others"
LISTED = 20  # sessions that are shown: a program may have any number, and a page is to stay below 50 KB
_ENDED_BY_USER = "ended_by_user"


@dataclass(frozen=True)
class ShownSession:
    """A session in words."""

    id: str
    device: Markup
    address: str
    auth_time: int
    last_seen_at: int
    is_current: bool
    apps: Sequence[ReachedApp]


def show_sessions() -> Response:
    """Show every living session and the apps that it reached, this one first."""
    return _list(signed_in())


def submit_sessions() -> Response:
    """End one session, or all but this one, and what hangs on it. One that is gone already is as good as ended."""
    current = signed_in()
    if faults := faults_of_token():
        return _list(current, faults, 400)
    chosen = forms.field("end")
    db, visitor = context.database(), context.visitor()
    if chosen == OTHERS:
        sessions.end_sessions(db, visitor, current.user_id, reason=_ENDED_BY_USER, except_session=current.id)
        return see_other("show_sessions", notice="sessions-ended")
    ended = sessions.end_session(db, visitor, chosen, reason=_ENDED_BY_USER, user_id=current.user_id)
    if chosen == current.id:
        return leave(ended, url_for("show_signed_out"))
    return see_other("show_sessions", notice="session-ended")


def _list(current: CurrentSession, faults: Faults = NO_FAULTS, status: int = 200) -> Response:
    db = context.database()
    found = sessions.list_sessions(db, context.settings(), current.user_id, most=LISTED + 1)
    rows = {row.id: row for row in found[:LISTED]}
    if current.id not in rows and (own := db.get(BrowserSession, current.id)) is not None:
        rows[current.id] = own
    reached = list_reached_apps(db, list(rows))
    listed = (_shown(row, current.id, reached.get(row.id, ())) for row in rows.values())
    shown = sorted(listed, key=lambda each: not each.is_current)
    more = {"listed": LISTED, "has_more": len(found) > LISTED}
    return page("sessions.html", status, session=current, tab="sessions", sessions=shown, faults=faults, **more)


def _shown(row: BrowserSession, current_id: str, apps: Sequence[ReachedApp]) -> ShownSession:
    return ShownSession(
        id=row.id,
        device=describe_device(row.user_agent),
        address=row.address,
        auth_time=row.auth_time,
        last_seen_at=row.last_seen_at,
        is_current=row.id == current_id,
        apps=apps,
    )
