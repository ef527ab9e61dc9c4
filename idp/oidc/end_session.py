"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): what a request may do, decided apart from the pages."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from idp.accounts.sessions import CurrentSession
from idp.oidc.client_uris import with_parameters
from idp.oidc.clients import ClientMetadata
from idp.oidc.id_token_hint import IdTokenHint, is_of_gone_key, read_hint
from idp.oidc.requests import Parameters, safe
from idp.oidc.subjects import sid_of, subject_of
from idp.settings import Settings

if TYPE_CHECKING:
    from idp.oidc.server import Provider


@dataclass(frozen=True)
class LogoutRequest:
    """A request that passed its checks.

    Attributes:
        client: the app that asks, where it said so credibly.
        return_to: where the browser goes afterwards; None for our own page.
        hint: the ID token that came along, and can be checked.
        logout_hint: whom the app means: a user name, an address, a `sub` or a `sid`.
    """

    client: ClientMetadata | None
    return_to: str | None
    hint: IdTokenHint | None
    logout_hint: str | None = None

    def must_ask(self, settings: Settings, session: CurrentSession) -> bool:
        """Tell whether the person must confirm: unless a hint proves that an app of this session asks (section 2).

        An app that is not registered any more has nothing to say, and one that means somebody else is not followed.
        """
        if self.hint is None or self.client is None:
            return True
        subject = subject_of(settings, self.client, session.user_id)
        sid = sid_of(settings, self.client, session.id)
        # Hints of before each sector had a name of its own for a session hold its id, and so they may: we signed them.
        is_this_session = self.hint.session_id in (sid, session.id)
        names = {session.username.casefold(), session.email.casefold(), subject.casefold(), sid, session.id}
        is_meant = self.logout_hint is None or self.logout_hint.casefold() in names
        return not (is_this_session and is_meant)


class LogoutRefused(Exception):
    """A request that must not be followed: shown, never redirected.

    Attributes:
        parameter: which parameter is at fault.
        description: what is wrong with it.
    """

    def __init__(self, parameter: str, description: str) -> None:
        super().__init__(description)
        self.parameter = parameter
        self.description = description


def validate_logout(db: Session, provider: "Provider", parameters: Parameters) -> LogoutRequest:
    """Check a logout request.

    Raises:
        LogoutRefused: names the parameter at fault.
    """
    # 1. Nothing twice.
    if repeated := parameters.repeated():
        raise LogoutRefused(safe(repeated[0]), "was sent more than once")
    # 2. The hint, if there is one, is an ID token of ours; it may have expired long ago.
    hint, is_outlived = None, False
    if token := parameters.get("id_token_hint"):
        if token.count(".") == 4:
            raise LogoutRefused("id_token_hint", "is encrypted: the signed ID token inside it is needed (section 2)")
        hint = read_hint(provider, db, token)
        # An app may keep one for longer than we keep the key: it counts for none then, and the person is asked.
        is_outlived = hint is None and is_of_gone_key(db, token)
        if hint is None and not is_outlived:
            raise LogoutRefused("id_token_hint", "is no ID token that this provider issued")
    # 3. The client is known, and is the one that the hint was issued to.
    client_id = parameters.get("client_id") or (hint.client_id if hint else None)
    client = provider.clients.find(db, client_id) if client_id else None
    if parameters.get("client_id") and client is None:
        raise LogoutRefused("client_id", "is not known here")
    if hint and client_id != hint.client_id:
        raise LogoutRefused("client_id", "is not the client that the id_token_hint was issued to")
    # 4. The way back is registered for that client, to the letter.
    target, logout_hint = parameters.get("post_logout_redirect_uri"), parameters.get("logout_hint")
    if target is None or (client is None and is_outlived):
        return LogoutRequest(client, None, hint, logout_hint)
    if client is None and hint is not None:
        raise LogoutRefused("id_token_hint", "was issued to an app that is not registered any more")
    if client is None:
        raise LogoutRefused(
            "id_token_hint", "is missing: without it, or a client_id, nobody can say whose way back this is"
        )
    if target not in client.post_logout_redirect_uris:
        raise LogoutRefused("post_logout_redirect_uri", "is not registered for this app")
    state = parameters.get("state")
    return_to = target if state is None else with_parameters(target, {"state": state})
    return LogoutRequest(client, return_to, hint, logout_hint)
