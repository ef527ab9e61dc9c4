"""Authorization codes: issued with the grant that they stand for, redeemed once."""

from typing import TYPE_CHECKING, Literal

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.sessions import CurrentSession
from idp.accounts.visitor import Visitor
from idp.models import AuthorizationGrant
from idp.oidc import token_status
from idp.oidc.authorization_request import AuthorizationRequest
from idp.oidc.token_issuer import CODE_PREFIX
from idp.statements import Prepared, Row, value

if TYPE_CHECKING:
    from idp.oidc.server import Provider

_INSERT = Prepared(
    insert(AuthorizationGrant),
    columns=(
        "id",
        "client_id",
        "user_id",
        "session_id",
        "scope",
        "claims",
        "nonce",
        "kind",
        "resources",
        "dpop_jkt",
        "redirect_uri",
        "code_digest",
        "code_challenge",
        "code_expires_at",
        "auth_time",
        "acr",
        "amr",
        "is_offline",
        "created_at",
        "expires_at",
    ),
)


def issue_code(db: Session, provider: "Provider", request: AuthorizationRequest, session: CurrentSession) -> str:
    """Write down what a person granted, and return the code for it: one INSERT."""
    code = CODE_PREFIX + crypto.new_token()
    write_grant(db, provider, request, session, code=code, kind="code")
    return code


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
    """
    now = clock.now()
    grant_id = crypto.new_id()
    lasts = provider.lifetime(request.client, "refresh_token") + provider.lifetime(request.client, "access_token")
    _INSERT.run(
        db,
        id=grant_id,
        client_id=request.client.client_id,
        user_id=session.user_id,
        session_id=session.id,
        scope=" ".join(request.scopes),
        claims=request.claims.as_stored(),
        nonce=request.nonce,
        kind=kind,
        resources=list(request.resources),
        dpop_jkt=request.dpop_jkt,
        redirect_uri=request.redirect_uri,
        code_digest=crypto.digest(code) if code else None,
        code_challenge=request.code_challenge,
        code_expires_at=now + provider.settings.authorization_code_lifetime if code else None,
        auth_time=session.auth_time,
        acr=session.acr,
        amr=list(session.amr),
        is_offline=request.is_offline,
        created_at=now,
        expires_at=max(session.expires_at, now + lasts if request.is_offline else 0),
    )
    return grant_id


_REDEEMED = (
    AuthorizationGrant.id.label("grant_id"),
    AuthorizationGrant.user_id,
    AuthorizationGrant.session_id,
    AuthorizationGrant.scope.label("grant_scope"),
    AuthorizationGrant.claims.label("claims_request"),
    AuthorizationGrant.nonce,
    AuthorizationGrant.redirect_uri,
    AuthorizationGrant.code_challenge,
    AuthorizationGrant.code_expires_at,
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
        AuthorizationGrant.code_claimed_at.is_(None),
        AuthorizationGrant.revoked_at.is_(None),
    )
    .values(code_claimed_at=value("now"))
    .returning(*_REDEEMED)
)


def claim_code(db: Session, code: str, client_id: str) -> Row | None:
    """Claim a code for one client: of any number who try at once, one gets the row.

    Returns:
        The grant's columns, or None when the code is unknown, of another client, used or revoked.
    """
    return _CLAIM.first(db, presented=crypto.digest(code), presented_by=client_id, now=clock.now())


def end_reused(db: Session, visitor: Visitor, code: str, client_id: str) -> None:
    """End what came of a code that could not be claimed because it had been used.

    A second use betrays that somebody else had the code: everything that came of it ends (RFC 6749 section 4.1.2).
    """
    used = db.execute(
        select(AuthorizationGrant.id, AuthorizationGrant.user_id).where(
            AuthorizationGrant.code_digest == crypto.digest(code),
            AuthorizationGrant.client_id == client_id,
            AuthorizationGrant.code_claimed_at.is_not(None),
        )
    ).first()
    if used is not None:
        token_status.revoke_grant(db, used.id)
        audit.record(db, Event.CODE_REUSED, visitor, user_id=used.user_id, client_id=client_id)
