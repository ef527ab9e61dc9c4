"""Which apps a browser session reached: whoever holds or held a grant of it.

These are the apps that learn of the session's end, and those that the account page shows.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from idp.models import AuthorizationGrant, Client


@dataclass(frozen=True)
class ReachedApp:
    """An app that a session reached.

    Attributes:
        client_id: the app.
        client_name: as people know it.
        first_at: when the session reached it first.
        last_at: when it reached it last.
        is_told: whether it registered an address to be told of the session's end.
    """

    client_id: str
    client_name: str
    first_at: int
    last_at: int
    is_told: bool


def list_reached_apps(db: Session, session_ids: Sequence[str]) -> Mapping[str, Sequence[ReachedApp]]:
    """Return the apps that each session reached, in the order of their names.

    Args:
        session_ids: the sessions; one that reached no app is not among the keys.
    """
    client = (Client.client_id, Client.client_name, Client.backchannel_logout_uri, Client.frontchannel_logout_uri)
    rows = db.execute(
        select(
            AuthorizationGrant.session_id,
            *client,
            func.min(AuthorizationGrant.created_at).label("first_at"),
            func.max(AuthorizationGrant.created_at).label("last_at"),
        )
        .join(Client, Client.client_id == AuthorizationGrant.client_id)
        .where(AuthorizationGrant.session_id.in_(session_ids))
        .group_by(AuthorizationGrant.session_id, *client)
    )
    found: dict[str, list[ReachedApp]] = defaultdict(list)
    for row in rows:
        is_told = row.backchannel_logout_uri is not None or row.frontchannel_logout_uri is not None
        found[row.session_id].append(ReachedApp(row.client_id, row.client_name, row.first_at, row.last_at, is_told))
    for apps in found.values():
        apps.sort(key=lambda app: (app.client_name.casefold(), app.client_id))
    return found
