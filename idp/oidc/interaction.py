"""An authorization request that waits for a person: parked, bound to its browser, resumed.

Only an id travels in the URL. Whoever sends that id from another browser finds nothing: a request that somebody began
cannot be finished by, or for, somebody else (RFC 9700 section 4.7).
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, or_, select, update
from sqlalchemy.orm import Session

from idp import clock, crypto, sentences
from idp.accounts import throttle
from idp.accounts.visitor import Visitor
from idp.errors import ExpiredError
from idp.models import ParkedRequest
from idp.oidc.authorization_checks import READ
from idp.oidc.authorization_request import (
    AuthorizationRequest,
    RefusedRequest,
    ShownFault,
    identify_client,
    validate,
)
from idp.oidc.clients import ClientMetadata
from idp.oidc.next_step import Facts
from idp.oidc.requests import Parameters
from idp.storage.statements import Prepared, value

if TYPE_CHECKING:
    from idp.oidc.server import Provider

_ID = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, kw_only=True)
class Interaction(Facts):
    """A parked request and what its pages have settled.

    Attributes:
        is_again: it may also have been answered just now, in the same way.
    """

    id: str
    request: AuthorizationRequest
    is_again: bool

    @property
    def client(self) -> ClientMetadata:
        """The app that asks."""
        return self.request.client


class RequestGone(ExpiredError):
    """A parked request that cannot go on.

    Attributes:
        client: whose it was, for the browser that brought it.
    """

    def __init__(self, client: ClientMetadata | None, *, detail: str = "") -> None:
        said = sentences.REQUEST_OVER(app=client.client_name) if client else sentences.REQUEST_GONE()
        super().__init__(said, detail=detail)
        self.client = client


_INSERT = Prepared(
    insert(ParkedRequest),
    columns=(
        "id",
        "browser_digest",
        "client_id",
        "parameters",
        "source",
        "created_at",
        "expires_at",
        "is_account_chosen",
        "is_consented",
        "is_denied",
    ),
)
AGAIN_WITHIN = 60  # seconds after an answer in which the button that led to it may be pressed once more
# A request that this browser parked, and that is neither answered nor too old.
_IS_ITS = ParkedRequest.browser_digest == value("browser"), ParkedRequest.expires_at > value("now")
_WAITS = *_IS_ITS, ParkedRequest.finished_at.is_(None)
# Or that was answered just now, and in the same way.
_MAY_BE_ANSWERED = or_(
    ParkedRequest.finished_at.is_(None),
    and_(ParkedRequest.finished_at > value("since"), ParkedRequest.is_denied == value("denied")),
)
_FACTS = (
    ParkedRequest.parameters,
    ParkedRequest.session_id,
    ParkedRequest.is_account_chosen,
    ParkedRequest.is_consented,
    ParkedRequest.is_denied,
)
_FIND = Prepared(select(*_FACTS).where(ParkedRequest.id == value("parked"), *_WAITS))
_FIND_AGAIN = Prepared(select(*_FACTS).where(ParkedRequest.id == value("parked"), *_IS_ITS, _MAY_BE_ANSWERED))
_FIND_LATEST = Prepared(select(ParkedRequest.id).where(*_WAITS).order_by(ParkedRequest.created_at.desc()).limit(1))
_FINISH_ANY = update(ParkedRequest).where(ParkedRequest.id == value("parked")).values(finished_at=value("now"))
_FINISH = Prepared(_FINISH_ANY.where(ParkedRequest.finished_at.is_(None)))
_FINISH_AGAIN = Prepared(_FINISH_ANY.where(_MAY_BE_ANSWERED))


def park(
    db: Session,
    provider: "Provider",
    request: AuthorizationRequest,
    browser_token: str,
    visitor: Visitor,
    *,
    source: str = "query",
    request_uri: str | None = None,
) -> str:
    """Set a request aside for a person; returns its id.

    Args:
        visitor: who brought it: nobody has proved to be anybody yet, so one network fills only so many rows.
        source: where its parameters came from.
        request_uri: the reference under which it was pushed, if it was.

    Raises:
        Throttled: too many requests from this network.
    """
    if request_uri is None:  # pushing one was charged, or proved who the app is
        # What is charged for is the row: both are there, or neither.
        throttle.spend(db, provider.settings, throttle.WAITING_REQUEST_ADDRESS, visitor.network, is_kept=False)
    now = clock.now()
    interaction_id = parked_id(request_uri, browser_token) if request_uri else crypto.new_token()
    _INSERT.run(
        db,
        id=interaction_id,
        browser_digest=crypto.digest(browser_token),
        client_id=request.client.client_id,
        parameters=request.parameters.as_stored(READ),
        source=source,
        created_at=now,
        expires_at=now + provider.settings.interaction_lifetime,
        is_account_chosen=False,
        is_consented=False,
        is_denied=False,
    )
    return interaction_id


def parked_id(request_uri: str, browser_token: str) -> str:
    """Return the id under which a browser parks a pushed request: who brings the reference twice finds it again.

    Nobody else can tell it: it is made of the browser's own secret.
    """
    made = bytes.fromhex(crypto.digest(f"{browser_token} {request_uri}"))
    return crypto.base64url(made)


def is_waiting(db: Session, interaction_id: str, browser_digest: str) -> bool:
    """Tell whether a parked request of this browser still waits for its answer."""
    return _FIND.first(db, parked=interaction_id, browser=browser_digest, now=clock.now()) is not None


def open_interaction(
    db: Session, provider: "Provider", interaction_id: str, browser_digest: str, *, denied: bool | None = None
) -> Interaction:
    """Return a parked request. It is checked anew: its client may have changed since.

    Args:
        denied: what a form says, where one was sent: then it may also have been answered just now, in the same way.

    Raises:
        ExpiredError: not this browser's, finished, or too old.
    """
    if not _ID.fullmatch(interaction_id):
        raise ExpiredError(sentences.REQUEST_GONE(), detail="no id of a parked request")
    sought = {"parked": interaction_id, "browser": browser_digest, "now": clock.now()}
    row = _FIND.first(db, **sought) if denied is None else _FIND_AGAIN.first(db, **sought, **_just_now(denied=denied))
    if row is None:
        detail = "it is over, or another browser's" if browser_digest else "the browser brought no cookie"
        raise RequestGone(_client_of(db, provider, interaction_id, browser_digest), detail=detail)
    parameters = Parameters.of_stored(row["parameters"])
    try:
        client = identify_client(parameters, lambda client_id: provider.clients.find(db, client_id))
        request = validate(provider, db, client, parameters)
    except (ShownFault, RefusedRequest) as error:
        raise RequestGone(None, detail=f"parked request is no longer valid: {error}") from None
    return Interaction(
        id=interaction_id,
        request=request,
        is_again=denied is not None,
        session_id=row["session_id"],
        is_account_chosen=row["is_account_chosen"],
        is_consented=row["is_consented"],
        is_denied=row["is_denied"],
    )


def _client_of(db: Session, provider: "Provider", interaction_id: str, browser_digest: str) -> ClientMetadata | None:
    """Return whose request this was, to the browser that brought it and no other."""
    client_id = db.scalar(
        select(ParkedRequest.client_id).where(
            ParkedRequest.id == interaction_id, ParkedRequest.browser_digest == browser_digest
        )
    )
    return provider.clients.find(db, client_id) if client_id else None


def find_waiting(db: Session, browser_digest: str) -> str | None:
    """Return the id of the request that this browser brought last and that still waits, or None.

    Who comes back by a mailed link goes on there. The link carries nothing of it, so it leads nowhere in the browser of
    anybody else.
    """
    found: str | None = _FIND_LATEST.scalar(db, browser=browser_digest, now=clock.now())
    return found


def _noting(**facts: Any) -> Prepared:
    """An UPDATE that notes what a page has settled.

    One that was answered so just now waits once more: a browser whose button was pressed twice has dropped that answer.
    Until then what was said last counts: the way to the dispatcher may have been cut off after a denial.
    """
    still_waits = update(ParkedRequest).where(ParkedRequest.id == value("parked"), _MAY_BE_ANSWERED)
    return Prepared(still_waits.values({"is_denied": False, **facts, "finished_at": None}))


_SIGNED_IN = _noting(session_id=value("in_session"), is_consented=False)
_ACCOUNT_CHOSEN = _noting(is_account_chosen=True)
_CONSENTED = _noting(is_consented=True)
_PASSWORD_CHANGED = _noting()
_DENIED = _noting(is_denied=True)


def note_sign_in(db: Session, interaction_id: str, session_id: str) -> None:
    """Somebody signed in for this request; what another person agreed to before does not count for them."""
    _SIGNED_IN.run(db, parked=interaction_id, in_session=session_id, **_just_now(denied=False))


def note_account_chosen(db: Session, interaction_id: str) -> None:
    """The person wants to go on with the account that they are signed in to."""
    _ACCOUNT_CHOSEN.run(db, parked=interaction_id, **_just_now(denied=False))


def note_consent(db: Session, interaction_id: str) -> None:
    """The person allowed what this request asks for."""
    _CONSENTED.run(db, parked=interaction_id, **_just_now(denied=False))


def note_password_changed(db: Session, interaction_id: str) -> None:
    """The person chose a password of their own, as they had to before they could go on."""
    _PASSWORD_CHANGED.run(db, parked=interaction_id, **_just_now(denied=False))


def note_denial(db: Session, interaction_id: str) -> None:
    """The person cancelled, or denied what this request asks for."""
    _DENIED.run(db, parked=interaction_id, **_just_now(denied=True))


def finish(db: Session, parked: Interaction) -> bool:
    """Claim a parked request for its answer. Returns whether this call was the first.

    It is answered once, but where a form is sent once more (`AGAIN_WITHIN`).
    """
    sought = {"parked": parked.id, "now": clock.now()}
    count = _FINISH_AGAIN.run(db, **sought, **_just_now(denied=False)) if parked.is_again else _FINISH.run(db, **sought)
    return count == 1


def _just_now(*, denied: bool) -> dict[str, Any]:
    return {"since": clock.now() - AGAIN_WITHIN, "denied": denied}


def resume_path(interaction_id: str) -> str:
    """Return the path of the dispatcher, to which every page returns."""
    return f"/oauth/authorize/{interaction_id}"
