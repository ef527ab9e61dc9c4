"""Front-channel logout (OpenID Connect Front-Channel Logout 1.0): apps that only the person's own browser can tell.

The page after a sign-out loads one frame for each of them. What such an app keeps in the browser (cookies, storage) it
clears itself when its frame is loaded; whether it did, nobody learns.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from idp.accounts.ended_sessions import EndedSessions
from idp.oidc.client_uris import origin_of, with_parameters
from idp.oidc.subjects import sid_of

if TYPE_CHECKING:
    from idp.oidc.server import Provider


def frames_of(db: Session, provider: "Provider", ended: EndedSessions) -> Sequence[str]:
    """Return what the page after the end of a session loads (section 3): each app's URI with `iss` and `sid`.

    Both are added whether the app asked for them (`frontchannel_logout_session_required`) or not.

    Args:
        ended: the end of one session, as listeners have left it.
    """
    (session_id,) = ended.session_ids
    frames = set()
    for client in (provider.clients.find(db, client_id) for client_id in ended.to_visit):
        if client is not None and client.frontchannel_logout_uri is not None:
            told = {"iss": provider.settings.issuer, "sid": sid_of(provider.settings, client, session_id)}
            frames.add(with_parameters(client.frontchannel_logout_uri, told))
    return sorted(frames)


def origins_of(frames: Sequence[str]) -> Sequence[str]:
    """Return the origins that a page's policy must let it frame, as CSP writes them."""
    return sorted({origin for frame in frames if (origin := origin_of(frame))})
