"""Logos of apps: fetched by us from their `logo_uri`, so that no page of ours loads anything from another host.

The worker fetches them, so nobody waits for an app's web server. What is no picture of a harmless kind is not kept; SVG
is none, because it may hold scripts and load what it likes.
"""

import logging
import threading
from collections.abc import Mapping

from sqlalchemy import Engine, and_, case, or_, select, update
from sqlalchemy.orm import Session

from idp import clock
from idp.clock import DAY
from idp.models import Client, ClientLogo
from idp.oidc.outgoing import OutgoingError, fetch
from idp.oidc.pictures import Picture, recognise
from idp.settings import Settings
from idp.storage.database import insert_into

LOGO_MOST = 128 * 1024  # bytes
REFETCH_AFTER = 7 * DAY  # seconds
TRY_AGAIN_AFTER = 3_600  # seconds, where there was nothing to show
_ACCEPT = "image/png, image/webp, image/jpeg, image/gif"

log = logging.getLogger(__name__)


def fetch_due(engine: Engine, settings: Settings, stop: threading.Event | None = None) -> Mapping[str, int]:
    """Fetch the logos that are new, changed or old: the worker's job. Of several workers one fetches each.

    Args:
        stop: ends the round early, between two logos.

    Returns:
        How many were fetched, and how many could not be.
    """
    counts = {"logo_fetched": 0, "logo_refused": 0}
    while stop is None or not stop.is_set():
        with Session(engine) as db, db.begin():
            claimed = _claim_next(db)
        if claimed is None:
            return counts
        client_id, uri = claimed
        try:
            content = fetch(settings, uri, _ACCEPT, most=LOGO_MOST).body
        except OutgoingError as fault:
            log.warning("The logo of the app %s cannot be fetched: %s.", client_id, fault)
            counts["logo_refused"] += 1
            continue
        picture = recognise(content)
        if picture is None or picture.is_too_large:
            reason = "it has too many pixels" if picture else "it is no PNG, WebP, JPEG or GIF"
            log.warning("The logo of the app %s is not shown: %s.", client_id, reason)
            counts["logo_refused"] += 1
            continue
        with Session(engine) as db, db.begin():
            _keep(db, client_id, uri, picture, content)
        counts["logo_fetched"] += 1
    return counts


def _claim_next(db: Session) -> tuple[str, str] | None:
    """Take one logo that is due; from now on it is due to nobody else for a while."""
    now = clock.now()
    is_old = or_(
        ClientLogo.fetched_at < now - REFETCH_AFTER,
        and_(ClientLogo.content_type.is_(None), ClientLogo.fetched_at < now - TRY_AGAIN_AFTER),
    )
    is_another = ClientLogo.logo_uri != Client.logo_uri
    found = db.execute(
        select(Client.client_id, Client.logo_uri)
        .outerjoin(ClientLogo, ClientLogo.client_id == Client.client_id)
        .where(Client.logo_uri.is_not(None), or_(ClientLogo.client_id.is_(None), is_another, is_old))
        .order_by(Client.client_id)
        .limit(1)
    ).first()
    if found is None:
        return None
    claim = insert_into(db, ClientLogo).values(client_id=found.client_id, logo_uri=found.logo_uri, fetched_at=now)
    is_same = ClientLogo.logo_uri == claim.excluded.logo_uri
    # What is only old is shown until the new one is there; what belongs to another address is not shown any more.
    mine = claim.on_conflict_do_update(
        index_elements=[ClientLogo.client_id],
        set_={
            "logo_uri": claim.excluded.logo_uri,
            "fetched_at": now,
            "content_type": case((is_same, ClientLogo.content_type), else_=None),
            "content": case((is_same, ClientLogo.content), else_=None),
        },
        where=or_(~is_same, is_old),
    ).returning(ClientLogo.client_id)
    return (found.client_id, found.logo_uri) if db.execute(mine).first() is not None else _claim_next(db)


def _keep(db: Session, client_id: str, uri: str, picture: Picture, content: bytes) -> None:
    """Write a logo down, unless the app has another address for it by now."""
    db.execute(
        update(ClientLogo)
        .where(ClientLogo.client_id == client_id, ClientLogo.logo_uri == uri)
        .values(content_type=picture.content_type, content=content, fetched_at=clock.now())
    )
