"""Software that registers itself as a client (RFC 7591, OIDC Registration 1.0), and looks after that (RFC 7592).

Whoever registers alone is nobody that the operator knows: it is never trusted, may ask for nothing but the scopes of
OpenID Connect, and what it says of itself goes through the same rules as what an operator says.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy.orm import Session

from idp import crypto
from idp.accounts import throttle
from idp.accounts.visitor import Visitor
from idp.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from idp.oidc import client_document, client_store, initial_tokens, self_description
from idp.oidc.client_admission import admit_client
from idp.oidc.client_auth import note_refusal
from idp.oidc.clients import ClientMetadata
from idp.oidc.requests import beginning, safe
from idp.settings import Settings
from idp.storage.lean_session import pause

PREFIX = "idp_rg_"  # lets scanners for leaked secrets know a registration access token when they see one
_DESCRIPTION_MOST = 500  # characters

ErrorCode = Literal[
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "unapproved_software_statement",
    "invalid_token",
    "access_denied",
]


class RegistrationFault(Exception):
    """A registration, or a change of one, that comes to nothing.

    Args:
        error: of RFC 7591 section 3.2.2, or of RFC 6750 where a token is at fault.
        description: says what is wrong, for a person.
        status: of the response.
    """

    def __init__(self, error: ErrorCode, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = _printable(description)
        self.status = status

    def as_dict(self) -> dict[str, str]:
        """Return it as it is answered."""
        return {"error": self.error, "error_description": self.description}


@dataclass(frozen=True)
class Registration:
    """A client that registered itself, and what only it may know.

    Attributes:
        registration_token: by which it manages its registration.
        secret: its secret, where one was made just now.
    """

    client: ClientMetadata
    registration_token: str
    secret: str | None = None

    def as_dict(self, settings: Settings) -> dict[str, Any]:
        """Return the client information response (RFC 7591 section 3.2.1, RFC 7592 section 3)."""
        secret = {"client_secret": self.secret} if self.secret else {}
        expiry = {"client_secret_expires_at": 0} if self.client.needs_secret else {}
        return {
            "client_id": self.client.client_id,
            **secret,
            **expiry,
            "client_id_issued_at": self.client.created_at,
            "registration_access_token": self.registration_token,
            "registration_client_uri": settings.url(f"/oauth/register/{self.client.client_id}"),
            **client_document.describe(self.client, settings, client_document.OF_SOFTWARE),
        }


def register(db: Session, settings: Settings, visitor: Visitor, bearer: str | None, raw: bytes) -> Registration:
    """Register a client as it describes itself.

    Args:
        bearer: the initial access token that came with the request.
        raw: the document.

    Raises:
        RegistrationFault: says what is wrong, and with which member.
        Throttled: too many clients from this network.
    """
    _check_open(settings)
    token_id = _initial_token(db, settings, visitor, bearer)
    if token_id is None:
        throttle.spend(db, settings, throttle.CLIENT_REGISTRATION_ADDRESS, visitor.network)
    registration_token = PREFIX + crypto.new_token()
    blank = ClientMetadata(
        client_id=crypto.new_id(),
        client_name="",
        scopes=self_description.SCOPES,
        registration_token_digest=crypto.digest(registration_token),
    )
    try:
        document = client_document.parse(raw)
        wanted = self_description.read(settings, document, blank)
        pause(db)  # a list may have to be fetched
        admit_client(settings, wanted)
        if token_id is not None and not initial_tokens.claim_use(db, token_id):
            raise _unknown_initial_token()
        client, secret = client_store.register_client(db, settings, visitor, wanted)
    except InvalidInputError as refused:
        raise _fault_of(refused) from None
    return Registration(client, registration_token, secret)


def open_registration(
    db: Session, settings: Settings, visitor: Visitor, client_id: str, bearer: str | None
) -> Registration:
    """Return the client whose registration access token came with a request.

    Raises:
        RegistrationFault: 401 for an unknown client as for a wrong token (RFC 7592 section 2.1).
    """
    _check_open(settings)
    client = client_store.load_client(db, client_id) if client_id.isprintable() else None
    digest = client.registration_token_digest if client else None
    if bearer and client and digest and crypto.is_digest_of(bearer, digest):
        return Registration(client, bearer)
    who = {"client_id": client.client_id} if client else {"sent": beginning(client_id)}
    note_refusal(db, settings, visitor, "wrong_registration_token", **who)
    raise RegistrationFault("invalid_token", "The registration access token is not that of this client.", 401)


def replace_registration(
    db: Session, settings: Settings, visitor: Visitor, registration: Registration, raw: bytes
) -> Registration:
    """Put another description in the place of a client's own (RFC 7592 section 2.2).

    What the operator decided stays, but for trust: that was given to an app at known addresses, for known scopes, and
    nobody is asked about what a trusted app gets. The registration access token stays too: an answer that is lost on
    its way must not lock the app out.

    Raises:
        RegistrationFault: says what is wrong, and with which member.
        Throttled: too many changes: each may have something fetched.
    """
    before = registration.client
    throttle.spend(db, settings, throttle.CLIENT_CHANGE, before.client_id)
    try:
        document = client_document.parse(raw)
        self_description.check_update(document, before)
        defaults = ClientMetadata(client_id=before.client_id, client_name="", scopes=before.scopes)
        own = {name: getattr(defaults, name) for name in client_document.OF_SOFTWARE}
        wanted = self_description.read(settings, document, replace(before, **own), before)
        if wanted.redirect_uris != before.redirect_uris or not set(wanted.scopes) <= set(before.scopes):
            wanted = replace(wanted, is_trusted=False)
        pause(db)  # a list may have to be fetched
        admit_client(settings, wanted)
        client, secret = client_store.update_client(db, settings, visitor, before, wanted)
    except InvalidInputError as refused:
        raise _fault_of(refused) from None
    except AlreadyExistsError as refused:
        raise RegistrationFault("invalid_client_metadata", refused.message) from None
    return replace(registration, client=client, secret=secret)


def remove_registration(db: Session, visitor: Visitor, registration: Registration) -> None:
    """Remove a client at its own request (RFC 7592 section 2.3); all that hangs on it goes along."""
    with suppress(NotFoundError):  # somebody was quicker
        client_store.remove_client(db, visitor, registration.client.client_id, reason="by_itself")


def _check_open(settings: Settings) -> None:
    if settings.dynamic_registration == "off":
        raise RegistrationFault("access_denied", "Software does not register itself at this provider.", 403)


def _initial_token(db: Session, settings: Settings, visitor: Visitor, bearer: str | None) -> str | None:
    """Return the id of the token that the request came with; None where none is needed and none came."""
    if not bearer:
        if settings.dynamic_registration == "open":
            return None
        raise RegistrationFault("invalid_token", "An initial access token is needed to register.", 401)
    token_id = initial_tokens.find_token(db, bearer)
    if token_id is None:
        note_refusal(db, settings, visitor, "wrong_initial_token")
        raise _unknown_initial_token()
    return token_id


def _unknown_initial_token() -> RegistrationFault:
    return RegistrationFault("invalid_token", "The initial access token is unknown, used up or expired.", 401)


def _fault_of(refused: InvalidInputError) -> RegistrationFault:
    """Say it in the words of RFC 7591 section 3.2.2; redirect URIs and software statements have errors of their own."""
    told = " ".join(f"{name}: {sentence}" for name, sentences in refused.faults.items() for sentence in sentences)
    if set(refused.faults) == {"redirect_uris"}:
        return RegistrationFault("invalid_redirect_uri", told)
    if set(refused.faults) == {"software_statement"}:
        return RegistrationFault("unapproved_software_statement", told)
    return RegistrationFault("invalid_client_metadata", told)


def _printable(text: str) -> str:
    """Return text fit for an error_description (RFC 6749 section 5.2), and not without end."""
    shown = text if len(text) <= _DESCRIPTION_MOST else text[: _DESCRIPTION_MOST - 3] + "..."
    return safe(shown, _DESCRIPTION_MOST)
