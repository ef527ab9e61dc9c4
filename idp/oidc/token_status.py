"""Whether a token is still good, and how tokens come to an end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import sessions
from idp.accounts.ended_sessions import EndedSessions
from idp.models import AuthorizationGrant, BrowserSession, Client, RefreshToken, RevokedAccessToken, User
from idp.oidc import access_token, claims, jwt_access_token, refresh_tokens
from idp.oidc import scopes as known_scopes
from idp.oidc.access_token import AccessToken
from idp.oidc.clients import TOKEN_EXCHANGE_GRANT, ClientMetadata
from idp.settings import Settings
from idp.storage.database import insert_into
from idp.storage.statements import Prepared, Row, value

if TYPE_CHECKING:
    from idp.oidc.server import Provider

_GRANT_COLUMNS = (
    AuthorizationGrant.id.label("grant_id"),
    AuthorizationGrant.client_id,
    AuthorizationGrant.user_id,
    AuthorizationGrant.session_id,
    AuthorizationGrant.scope.label("grant_scope"),
    AuthorizationGrant.claims.label("claims_request"),
    AuthorizationGrant.auth_time,
    AuthorizationGrant.acr,
    AuthorizationGrant.amr,
    AuthorizationGrant.nonce,
    AuthorizationGrant.is_offline,
    AuthorizationGrant.resources,
    AuthorizationGrant.dpop_jkt,
    AuthorizationGrant.expires_at.label("grant_expires_at"),
    BrowserSession.last_seen_at,
    BrowserSession.expires_at.label("session_expires_at"),
    Client.version.label("client_version"),
)


class ActiveToken(NamedTuple):
    """An access token that is good at this moment.

    Attributes:
        client: the app that it was issued to.
        scopes: what it permits.
        token_id: names it.
        grant: columns of grant, session and person, as selected by `find_grant`; None for a client's own token.
        resources: whom it is for (RFC 8707); empty: for the provider itself.
        dpop_jkt: thumbprint of the key that must be shown with it; None for a bearer token.
        came_from: ids of the tokens that it was exchanged for.
    """

    client: ClientMetadata
    scopes: tuple[str, ...]
    token_id: str
    issued_at: int
    expires_at: int
    grant: Row | None
    resources: tuple[str, ...] = ()
    dpop_jkt: str | None = None
    came_from: tuple[str, ...] = ()

    @property
    def client_id(self) -> str:
        """The id of the app that it was issued to."""
        return self.client.client_id

    def is_for_provider(self, issuer: str) -> bool:
        """Tell whether it is for this provider: it names none, or the issuer among them."""
        return not self.resources or issuer in self.resources

    def is_for_any(self, resources: Sequence[str]) -> bool:
        """Tell whether it is for one of these resources, by name."""
        return not set(resources).isdisjoint(self.resources)


def is_grant_alive(is_session_alive: ColumnElement[bool]) -> ColumnElement[bool]:
    """The condition for a grant that still carries tokens, in a statement that joins session and user."""
    return and_(
        AuthorizationGrant.revoked_at.is_(None),
        or_(
            is_session_alive,
            and_(AuthorizationGrant.is_offline.is_(True), User.disabled_at.is_(None)),
        ),
    )


def has_given_tokens() -> ColumnElement[bool]:
    """The condition for a grant of which tokens came: its code was redeemed, or it began without waiting for that."""
    return or_(AuthorizationGrant.code_claimed_at.is_not(None), AuthorizationGrant.kind != "code")


# A living grant with its session and its person, for what says which one; run with `sessions.alive_now`.
LIVING_GRANT = (
    select(*_GRANT_COLUMNS, *claims.COLUMNS)
    .join(User, User.id == AuthorizationGrant.user_id)
    .join(BrowserSession, BrowserSession.id == AuthorizationGrant.session_id)
    .join(Client, Client.client_id == AuthorizationGrant.client_id)
    .where(is_grant_alive(sessions.IS_ALIVE))
)
_BY_ID = LIVING_GRANT.where(AuthorizationGrant.id == value("grant_id"))
_NOT_GIVEN_BACK = ~exists().where(RevokedAccessToken.token_id == value("token_id"))
_FIND_GRANT = Prepared(_BY_ID)
_FIND_GRANT_OF_TOKEN = Prepared(_BY_ID.where(_NOT_GIVEN_BACK))
_FIND_CLIENT_OF_TOKEN = Prepared(select(Client.version).where(Client.client_id == value("client_id"), _NOT_GIVEN_BACK))


def find_grant(db: Session, settings: Settings, grant_id: str, *, unless_revoked: str | None = None) -> Row | None:
    """Return a living grant with its session and its person, or None; one statement.

    Args:
        unless_revoked: id of an access token that must not have been given back.
    """
    alive = sessions.alive_now(settings)
    if unless_revoked:
        return _FIND_GRANT_OF_TOKEN.first(db, grant_id=grant_id, token_id=unless_revoked, **alive)
    return _FIND_GRANT.first(db, grant_id=grant_id, **alive)


def find_active_token(db: Session, provider: "Provider", token: str) -> ActiveToken | None:
    """Return what an access token permits, or None when it is not good."""
    if token.startswith(access_token.PREFIX):
        read = access_token.read(provider.settings.secret_key, token)
    else:
        read = jwt_access_token.read(provider, db, token)
    if read is None or (read.came_from and _is_any_given_back(db, read.came_from)):
        return None
    grant = None
    if read.grant_id is None:
        client_id = read.client_id or ""
        version = _FIND_CLIENT_OF_TOKEN.scalar(db, client_id=client_id, token_id=read.token_id)
        scope = read.scope
    else:
        grant = find_grant(db, provider.settings, read.grant_id, unless_revoked=read.token_id)
        if grant is None:
            return None
        client_id, version = grant["client_id"], grant["client_version"]
        scope = grant["grant_scope"] if read.scope is None else read.scope
    is_foreign = read.client_id not in (None, client_id)  # exchanged: it hangs on what another client was granted
    if is_foreign:
        client = provider.clients.find(db, read.client_id or "")
    else:
        client = provider.clients.at_version(db, client_id, version)
    if client is None or ((grant is None or is_foreign) and not _may_hold(client, read, provider.settings.issuer)):
        return None
    return ActiveToken(
        client=client,
        scopes=known_scopes.split(scope),
        token_id=read.token_id,
        issued_at=read.issued_at,
        expires_at=read.expires_at,
        grant=grant,
        resources=read.resources,
        dpop_jkt=read.dpop_jkt,
        came_from=read.came_from,
    )


def _may_hold(client: ClientMetadata, read: AccessToken, issuer: str) -> bool:
    """Tell whether a client may still have such a token: no grant of its own ended when a right was taken from it."""
    if read.grant_id is None:
        grant_type, resources = "client_credentials", {issuer, *client.resources}
    else:
        grant_type, resources = TOKEN_EXCHANGE_GRANT, {*client.resources}
    has_scopes = set(known_scopes.split(read.scope)).issubset(client.scopes)
    return grant_type in client.grant_types and has_scopes and resources.issuperset(read.resources)


def find_refresh_token(db: Session, token: str) -> RefreshToken | None:
    """Return the row of a refresh token, used or not, or None."""
    return db.scalars(select(RefreshToken).where(RefreshToken.token_digest == refresh_tokens.digest(token))).first()


def revoke_access_token(db: Session, token_id: str, expires_at: int) -> None:
    """Note that an access token was given back before it expired."""
    db.execute(
        insert_into(db, RevokedAccessToken).values(token_id=token_id, expires_at=expires_at).on_conflict_do_nothing()
    )


def revoke_grant(db: Session, grant_id: str) -> bool:
    """End a grant: its code, its access tokens and its refresh tokens are worthless from now on.

    Returns:
        Whether it ended by that. Who writes it down does so only then: what is presented again and again fills no disk.
    """
    return bool(end_grants(db, AuthorizationGrant.id == grant_id))


def end_grants(db: Session, *which: ColumnElement[bool]) -> Sequence[str]:
    """End the grants for which some conditions hold; returns the sessions of those that ended by that."""
    return db.scalars(
        update(AuthorizationGrant)
        .where(AuthorizationGrant.revoked_at.is_(None), *which)
        .values(revoked_at=clock.now())
        .returning(AuthorizationGrant.session_id)
        .execution_options(synchronize_session=False)
    ).all()


def end_codes(db: Session, user_id: str) -> None:
    """End the authorization codes of a person that were not redeemed yet, whatever app they are for."""
    db.execute(update(User).where(User.id == user_id).values(code_epoch=User.code_epoch + 1))


def revoke_grants(db: Session, ended: EndedSessions) -> None:
    """End what hangs on sessions that ended: the listener of `accounts.ended_sessions`.

    What was granted for while the person is away outlives a sign-out, but not a changed password or a disabled account;
    a code that was not redeemed yet outlives neither.
    """
    query = update(AuthorizationGrant).where(AuthorizationGrant.revoked_at.is_(None))
    is_code = and_(AuthorizationGrant.code_digest.is_not(None), AuthorizationGrant.code_claimed_at.is_(None))
    if ended.is_account_wide:
        end_codes(db, ended.user_id)  # also of a session that goes on, which somebody may hold a copy of
        query = query.where(
            AuthorizationGrant.user_id == ended.user_id,
            or_(
                AuthorizationGrant.session_id.in_(ended.session_ids),
                AuthorizationGrant.is_offline.is_(True),
                AuthorizationGrant.kind == "device",  # which is not where the session is that goes on
                is_code,
            ),
        )
    else:
        query = query.where(
            AuthorizationGrant.session_id.in_(ended.session_ids), or_(AuthorizationGrant.is_offline.is_(False), is_code)
        )
    db.execute(query.values(revoked_at=clock.now()))


def _is_any_given_back(db: Session, token_ids: Sequence[str]) -> bool:
    query = select(RevokedAccessToken.token_id).where(RevokedAccessToken.token_id.in_(token_ids)).limit(1)
    return db.scalars(query).first() is not None
