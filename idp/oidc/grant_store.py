"""Grants as rows: what a person's grant holds, and how it is written down, if all that it stands on is as it was."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, select
from sqlalchemy.orm import Session

from idp import crypto, sentences
from idp.accounts import sessions
from idp.accounts.sessions import CurrentSession
from idp.errors import ExpiredError
from idp.models import AuthorizationGrant, BrowserSession, Client, User
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings
from idp.storage.database import INSERTS
from idp.storage.statements import Prepared, value

if TYPE_CHECKING:
    from idp.oidc.server import Provider

GRANTED = (
    "id",
    "client_id",
    "user_id",
    "session_id",
    "scope",
    "claims",
    "nonce",
    "resources",
    "dpop_jkt",
    "auth_time",
    "acr",
    "amr",
    "is_offline",
    "expires_at",
)
_OF_REDEEMING = ("redirect_uri", "code_challenge", "code_expires_at")  # of no use once a code is redeemed


def inserting(engine: str, columns: Sequence[str], at_once: Sequence[str]) -> Any:
    """An INSERT of a grant, if it is the first of its id, its session is alive, and all it stands on is as it was.

    Args:
        columns: that are given.
        at_once: that are this moment.
    """
    written = {name: value(name, AuthorizationGrant.__table__.c[name].type) for name in columns}
    written |= dict.fromkeys(at_once, value("now", BigInteger()))
    alive = (
        select(*written.values())
        .select_from(BrowserSession)
        .join(User, User.id == BrowserSession.user_id)
        .join(Client, Client.client_id == written["client_id"])
        .where(
            Client.version == value("client_version", Client.__table__.c.version.type),
            BrowserSession.id == written["session_id"],
            User.id == written["user_id"],
            User.code_epoch == value("code_epoch", User.__table__.c.code_epoch.type),
            sessions.IS_ALIVE,
        )
        # Whoever changes them waits for this, or this for them: PostgreSQL would let both go on, on what was before. In
        # this order, as everybody who locks more than one.
        .with_for_update(read=True, of=(Client, User, BrowserSession))
    )
    insertion = INSERTS[engine](AuthorizationGrant).from_select(list(written), alive, include_defaults=False)
    return insertion.on_conflict_do_nothing(index_elements=["id"])


_WRITTEN = (*GRANTED, *_OF_REDEEMING, "kind", "code_digest")
_WRITE = Prepared({engine: inserting(engine, _WRITTEN, ("created_at",)) for engine in INSERTS})


def given_in(
    provider: "Provider",
    client: ClientMetadata,
    session: CurrentSession,
    scopes: Sequence[str],
    resources: Sequence[str],
    now: int,
) -> dict[str, Any]:
    """Return columns of a grant that a person gives in a session, whatever it is redeemed with.

    Args:
        now: the moment that all its times are counted from, in seconds since the epoch.
    """
    is_offline = "offline_access" in scopes
    lasts = provider.lifetime(client, "refresh_token") + provider.lifetime(client, "access_token")
    return {
        "id": crypto.new_row_id(now),
        "user_id": session.user_id,
        "session_id": session.id,
        "scope": " ".join(scopes),
        "resources": list(resources),
        "auth_time": session.auth_time,
        "acr": session.acr,
        "amr": list(session.amr),
        "is_offline": is_offline,
        "expires_at": max(session.expires_at, now + lasts if is_offline else 0),
    }


def store_grant(
    db: Session, settings: Settings, client: ClientMetadata, session: CurrentSession, grant: Mapping[str, Any]
) -> None:
    """Write a grant down, unless something has ended since client and session were read.

    Whoever ends something ends the grants that they find: one that was written a moment later would outlive it.

    Args:
        client: whose it is, as it was when the person was asked, or their consent was looked up.
        session: likewise.
        grant: its columns; what is missing is empty.

    Raises:
        ExpiredError: the session or account ended, the person took back a consent, or the client was changed.
    """
    stands = {"client_version": client.version, "code_epoch": session.code_epoch, **sessions.alive_now(settings)}
    written = dict.fromkeys(_WRITTEN) | dict(grant) | {"client_id": client.client_id}
    if _WRITE.run(db, **written, **stands) == 0:
        raise ExpiredError(sentences.CHANGED_JUST_NOW())
