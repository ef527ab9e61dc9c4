"""Authorization codes: issued for what a person granted, redeemed once.

Most carry it (`idp.oidc.carried_codes`), and whoever redeems them writes the row: there can be but one of an id, and so
one redeems it. A row is written before where something has to know of the grant earlier: tokens that leave beside the
code, and an app's own rules on who is in it. Such a code is a secret whose digest is in the row.
"""

from typing import TYPE_CHECKING, Any, Literal

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import audit, sessions
from idp.accounts.audit import Event
from idp.accounts.sessions import CurrentSession
from idp.accounts.visitor import Visitor
from idp.models import AuthorizationGrant
from idp.oidc import carried_codes, token_status
from idp.oidc.authorization_request import AuthorizationRequest
from idp.oidc.clients import ClientMetadata
from idp.oidc.grant_store import GRANTED, given_in, inserting, store_grant
from idp.settings import Settings
from idp.storage.database import INSERTS
from idp.storage.statements import Prepared, Row, value

if TYPE_CHECKING:
    from idp.oidc.server import Provider

PREFIX = "idp_ac_"
REUSE_COUNTS_FOR = 600  # seconds after a code has expired: who has a copy tries it soon, or finds it in an old log


def issue_code(db: Session, provider: "Provider", request: AuthorizationRequest, session: CurrentSession) -> str:
    """Return a code for what a person granted; at most one INSERT.

    Raises:
        ExpiredError: as `store_grant`; not for one that carries it, which is held against all that when redeemed.
    """
    if not (provider.settings.authorization_codes == "stored" or _is_counted(request.client)):
        stands = {"code_epoch": session.code_epoch, "client_version": request.client.version}
        grant = _grant(provider, request, session) | stands
        carried = carried_codes.write(provider.settings.secret_key, request.client.client_id, grant)
        if carried is not None:
            return PREFIX + carried
    code = PREFIX + crypto.new_token()
    write_grant(db, provider, request, session, code=code, kind="code")
    return code


def _is_counted(client: ClientMetadata) -> bool:
    """Tell whether the operator's rules for an app look at the grants that others hold (`idp.oidc.session_policy`)."""
    return client.max_concurrent_users is not None or client.is_single_session


def write_grant(
    db: Session,
    provider: "Provider",
    request: AuthorizationRequest,
    session: CurrentSession,
    *,
    code: str | None,
    kind: Literal["code", "implicit"],
) -> str:
    """Write down what a person granted; returns the grant's id.

    Args:
        code: what it may be redeemed with; None where there is nothing to redeem.
        kind: `implicit` where tokens of it leave at once.

    Raises:
        ExpiredError: as `store_grant`.
    """
    grant = _grant(provider, request, session)
    if code is None:
        grant["code_expires_at"] = None
    digest = crypto.digest(code) if code else None
    store_grant(db, provider.settings, request.client, session, grant | {"kind": kind, "code_digest": digest})
    return str(grant["id"])


def _grant(provider: "Provider", request: AuthorizationRequest, session: CurrentSession) -> dict[str, Any]:
    """Return columns of the grant that a person gives to what a request asks for."""
    now = clock.now()
    return {
        **given_in(provider, request.client, session, request.scopes, request.resources, now),
        "claims": request.claims.as_stored(),
        "nonce": request.nonce,
        "dpop_jkt": request.dpop_jkt,
        "redirect_uri": request.redirect_uri,
        "code_challenge": request.code_challenge,
        "code_expires_at": now + provider.settings.authorization_code_lifetime,
    }


_REDEEMED = (
    AuthorizationGrant.id.label("grant_id"),
    AuthorizationGrant.user_id,
    AuthorizationGrant.session_id,
    AuthorizationGrant.scope.label("grant_scope"),
    AuthorizationGrant.claims.label("claims_request"),
    AuthorizationGrant.nonce,
    AuthorizationGrant.redirect_uri,
    AuthorizationGrant.code_challenge,
    AuthorizationGrant.auth_time,
    AuthorizationGrant.acr,
    AuthorizationGrant.amr,
    AuthorizationGrant.is_offline,
    AuthorizationGrant.resources,
    AuthorizationGrant.dpop_jkt,
)
_CLAIM = Prepared(
    update(AuthorizationGrant)
    .where(
        AuthorizationGrant.code_digest == value("presented"),
        AuthorizationGrant.client_id == value("presented_by"),
        AuthorizationGrant.code_expires_at > value("now"),
        AuthorizationGrant.code_claimed_at.is_(None),
        AuthorizationGrant.revoked_at.is_(None),
    )
    .values(code_claimed_at=value("now"))
    .returning(*_REDEEMED)
)


_CLAIM_CARRIED = Prepared({engine: inserting(engine, GRANTED, ("created_at", "code_claimed_at")) for engine in INSERTS})


class PresentedCode:
    """A code as a client presents it at the token endpoint.

    Args:
        settings: the provider's.
        code: as it came.
        client_id: who presents it, or says so: only for that client it opens.

    Attributes:
        client_version: the client as it was when the code was issued, and has to be yet; None where a row tells.
    """

    def __init__(self, settings: Settings, code: str, client_id: str) -> None:
        self._settings = settings
        self._code = code
        self._client_id = client_id
        self._carried = carried_codes.read(settings.secret_key, client_id, code.removeprefix(PREFIX))
        self.client_version: int | None = self._carried["client_version"] if self._carried else None

    def is_known(self, db: Session) -> bool:
        """Tell whether it is or was a code of the client's, and not too long ago; one statement, or none."""
        if self._carried is not None:
            expires_at: int | None = self._carried["code_expires_at"]
        else:
            expires_at = db.scalar(
                select(AuthorizationGrant.code_expires_at).where(
                    AuthorizationGrant.code_digest == crypto.digest(self._code),
                    AuthorizationGrant.client_id == self._client_id,
                )
            )
        return expires_at is not None and _counts_yet(expires_at)

    def claim(self, db: Session) -> Row | None:
        """Claim it: of any number who try at once, one gets the row.

        Returns:
            The grant's columns, or None when the code is unknown, of another client, expired, used, or worthless: its
            session has ended, the person has ended what was under way, or the client was changed.
        """
        carried = self._carried
        if carried is None:
            presented = crypto.digest(self._code)
            return _CLAIM.first(db, presented=presented, presented_by=self._client_id, now=clock.now())
        if carried["code_expires_at"] <= clock.now():
            return None
        written = {name: carried[name] for name in (*GRANTED, "code_epoch", "client_version")}
        if _CLAIM_CARRIED.run(db, **written, **sessions.alive_now(self._settings)) == 0:
            return None
        names = {"grant_id": carried["id"], "grant_scope": carried["scope"], "claims_request": carried["claims"]}
        return {**carried, **names}

    def end_reused(self, db: Session, visitor: Visitor, verifier: str | None) -> None:
        """End what came of it, where it could not be claimed because it had been used.

        A second use betrays that somebody else had the code: everything that came of it ends (RFC 6749 section 4.1.2).
        Not if it comes late, or without the verifier that was due: nobody ever gets anything for that, and whoever
        finds a code in a log or a history must not be able to sign its owner out.

        Args:
            verifier: as it came with the code.
        """
        if self._carried is not None:
            is_its = AuthorizationGrant.id == self._carried["id"]
        else:
            is_its = AuthorizationGrant.code_digest == crypto.digest(self._code)
        used = db.execute(
            select(
                AuthorizationGrant.id,
                AuthorizationGrant.user_id,
                AuthorizationGrant.code_challenge,
                AuthorizationGrant.code_expires_at,
            ).where(
                is_its,
                AuthorizationGrant.client_id == self._client_id,
                AuthorizationGrant.code_claimed_at.is_not(None),
            )
        ).first()
        if used is None or not _is_betrayed(self._carried or used._asdict(), verifier):
            return
        if token_status.revoke_grant(db, used.id):
            audit.record(db, Event.CODE_REUSED, visitor, user_id=used.user_id, client_id=self._client_id)


def is_verifier_of(challenge: str, verifier: str) -> bool:
    """Tell whether a verifier belongs to a challenge (S256, RFC 7636 section 4.6)."""
    return crypto.are_equal(create_s256_code_challenge(verifier), challenge)  # type: ignore[no-untyped-call]


def _is_betrayed(code: Row, verifier: str | None) -> bool:
    """Tell whether who presents a used code might have got something for it, had it not been used."""
    challenge = code["code_challenge"]
    is_verified = challenge is None or (verifier is not None and is_verifier_of(challenge, verifier))
    return is_verified and _counts_yet(code["code_expires_at"])


def _counts_yet(expires_at: int) -> bool:
    """Tell whether a code, however often it was used, is young enough to be told from one in an old log."""
    return clock.now() < expires_at + REUSE_COUNTS_FOR
