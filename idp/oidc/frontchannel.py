"""Front-channel logout (OpenID Connect Front-Channel Logout 1.0): apps that only the person's own browser can tell.

The page after a sign-out loads one frame for each of them. What such an app keeps in the browser (cookies, storage) it
clears itself when its frame is loaded; whether it did, nobody learns.
"""

from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit, urlunsplit

from idp.accounts.ended_sessions import EndedSessions
from idp.settings import Settings


def frames_of(settings: Settings, ended: EndedSessions) -> Sequence[str]:
    """Return what the page after the end of a session loads (section 3): each app's URI with `iss` and `sid`.

    Both are added whether the app asked for them (`frontchannel_logout_session_required`) or not.

    Args:
        settings: name the issuer.
        ended: the end of one session, as listeners have left it.
    """
    (session_id,) = ended.session_ids
    added = urlencode({"iss": settings.issuer, "sid": session_id})
    return [_with_query(uri, added) for uri in dict.fromkeys(ended.to_visit)]


def origins_of(frames: Sequence[str]) -> Sequence[str]:
    """Return the origins that a page's policy must let it frame, as CSP writes them."""
    urls = [urlsplit(frame) for frame in frames]
    return sorted({f"{url.scheme}://{url.netloc}" for url in urls})


def _with_query(uri: str, added: str) -> str:
    url = urlsplit(uri)
    return urlunsplit(url._replace(query=f"{url.query}&{added}" if url.query else added, fragment=""))
