"""Clients in the database: registered, changed and removed by the operator, read by every request."""

from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.visitor import SYSTEM, Visitor
from idp.clock import DAY
from idp.errors import AlreadyExistsError, NotFoundError
from idp.models import AuthorizationGrant, Client, Consent, PushedRequest
from idp.oidc import subjects
from idp.oidc.client_keys import SECRET_PURPOSE
from idp.oidc.client_rules import check_metadata
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings
from idp.storage.changes import count_changed

UNUSED_FOR = 30 * DAY  # seconds after which a client that registered itself, and that nobody uses, is removed
_SECRET_COLUMNS = ("client_secret_digest", "client_secret_sealed", "registration_token_digest", "version")
_COLUMNS = tuple(getattr(Client, name) for name in ClientMetadata.__dataclass_fields__)


def register_client(
    db: Session, settings: Settings, visitor: Visitor, metadata: ClientMetadata, *, secret: str | None = None
) -> tuple[ClientMetadata, str | None]:
    """Register a client.

    Args:
        settings: hold the key under which a secret is kept that signs.
        metadata: what it wants to be; `client_id` may be empty, then one is made.
        secret: one brought along; otherwise one is made, unless the client is public.

    Returns:
        The client as stored, and its secret: this is the only time that it is seen.

    Raises:
        InvalidInputError: names every field with a fault.
        AlreadyExistsError: the id is taken.
    """
    if not metadata.client_id:
        metadata = replace(metadata, client_id=crypto.new_id())
    check_metadata(metadata, secret)
    secret = (secret or crypto.new_token()) if metadata.needs_secret else None
    metadata = _with_secret(settings, metadata, secret)
    # A version that no earlier client of the same id had: caches may still hold that one.
    first_version = int.from_bytes(crypto.random_bytes(3), "big")
    metadata = replace(metadata, version=first_version, created_at=clock.now())
    try:
        with db.begin_nested():
            db.execute(insert(Client), {**_row(metadata), "updated_at": metadata.created_at})
    except IntegrityError:
        raise AlreadyExistsError(f"There is a client {metadata.client_id!r} already.") from None
    audit.record(db, Event.CLIENT_CREATED, visitor, client_id=metadata.client_id, name=metadata.client_name)
    return metadata, secret


def load_client(db: Session, client_id: str) -> ClientMetadata | None:
    """Read a client from the database, or None."""
    row = db.execute(select(*_COLUMNS).where(Client.client_id == client_id)).first()
    return None if row is None else _from_row(row._mapping)


def get_client(db: Session, client_id: str) -> ClientMetadata:
    """Read a client.

    Raises:
        NotFoundError: there is none.
    """
    client = load_client(db, client_id)
    if client is None:
        raise _unknown(client_id)
    return client


def list_clients(db: Session) -> list[ClientMetadata]:
    """Return all clients in the order of their names."""
    rows = db.execute(select(*_COLUMNS).order_by(Client.client_name, Client.client_id))
    return [_from_row(row._mapping) for row in rows]


def remove_client(db: Session, visitor: Visitor, client_id: str, *, reason: str | None = None) -> None:
    """Remove a client; its grants, tokens and consents go with it.

    Args:
        reason: why, where it was not the operator's wish; see `docs/audit.md`.

    Raises:
        NotFoundError: there is none.
    """
    _delete(db, PushedRequest, client_id)  # who claims one is then answered for the client, and holds that
    if not _remove(db, visitor, Client.client_id == client_id, reason=reason):
        raise _unknown(client_id)


def _remove(db: Session, visitor: Visitor, *which: ColumnElement[bool], reason: str | None) -> bool:
    """Remove the client for which some conditions hold; returns whether there was one.

    It is held first, as by who changes it or gets a grant; then goes what hangs on it, for whoever refreshes or signs
    out holds a grant, and then needs the client to be there. On PostgreSQL each would wait for the other.
    """
    hold = update(Client).where(*which).values(version=Client.version).returning(Client.client_id)
    client_id = db.scalar(hold.execution_options(synchronize_session=False))
    if client_id is None:
        return False
    for table in (Consent, AuthorizationGrant, Client):
        _delete(db, table, client_id)
    told = {"reason": reason} if reason else {}
    audit.record(db, Event.CLIENT_REMOVED, visitor, client_id=client_id, **told)
    return True


def _delete(db: Session, table: type[Any], client_id: str) -> None:
    db.execute(delete(table).where(table.client_id == client_id).execution_options(synchronize_session=False))


def _unknown(client_id: str) -> NotFoundError:
    return NotFoundError(f"There is no client {client_id!r}: see `idp client list`.")


def sweep_unused(db: Session, *, most: int) -> int:
    """Remove clients that registered themselves and that nobody has used for a while; returns how many.

    One that was changed lately, that somebody allowed something, that has just pushed a request or that holds anything
    is in use; so is, whatever happens, one that the operator trusts.
    """
    is_unused = (
        Client.registration_token_digest.is_not(None),
        Client.is_trusted.is_(False),
        Client.updated_at < clock.now() - UNUSED_FOR,
        ~exists().where(Consent.client_id == Client.client_id),
        ~exists().where(AuthorizationGrant.client_id == Client.client_id),
    )
    found = db.scalars(select(Client.client_id).where(*is_unused).limit(most)).all()
    # Who answers a pushed request holds that first, and then the client: on PostgreSQL each would wait for the other.
    is_quiet = ~exists().where(PushedRequest.client_id == Client.client_id)
    return sum(_remove(db, SYSTEM, Client.client_id == each, *is_unused, is_quiet, reason="unused") for each in found)


def update_client(
    db: Session, settings: Settings, visitor: Visitor, before: ClientMetadata, wanted: ClientMetadata
) -> tuple[ClientMetadata, str | None]:
    """Change what a client is.

    What people allowed it stays. When a grant type, a scope, a resource or leave to act offline is taken from it, or
    its people get other subjects, all that it holds ends at once, and people sign in anew: a token must not outlive
    the right to it.

    Args:
        before: the client as it was read.
        wanted: the client as it is to be.

    Returns:
        The client as stored, and a secret when it needs one that it has not: this is the only time that it is seen.

    Raises:
        InvalidInputError: names every field with a fault.
        AlreadyExistsError: somebody else changed it since it was read.
    """
    check_metadata(wanted)
    lacks_secret = before.client_secret_digest is None or (wanted.signs_with_secret and not before.client_secret_sealed)
    secret = crypto.new_token() if wanted.needs_secret and lacks_secret else None
    if secret is not None or not wanted.needs_secret:
        wanted = _with_secret(settings, wanted, secret)
    elif not wanted.signs_with_secret:
        wanted = replace(wanted, client_secret_sealed=None)
    changed = [name for name in _row(before) if getattr(before, name) != getattr(wanted, name)]
    if not changed:
        return before, None
    wanted = replace(wanted, version=before.version + 1)
    _write(db, before, wanted)
    if _takes_away(before, wanted):
        db.execute(
            update(AuthorizationGrant)
            .where(AuthorizationGrant.client_id == before.client_id, AuthorizationGrant.revoked_at.is_(None))
            .values(revoked_at=clock.now())
        )
    told = [name for name in changed if name not in _SECRET_COLUMNS]
    audit.record(db, Event.CLIENT_CHANGED, visitor, client_id=before.client_id, fields=told)
    return wanted, secret


def rotate_secret(db: Session, settings: Settings, visitor: Visitor, client_id: str) -> str:
    """Give a client a new secret; the old one is worthless at once.

    Returns:
        The secret: this is the only time that it is seen.

    Raises:
        NotFoundError: there is no such client, or it is public and has none.
        AlreadyExistsError: somebody else changed it at the same time.
    """
    client = get_client(db, client_id)
    if client.is_public:
        raise NotFoundError(f"The client {client_id!r} is public: it has no secret.")
    if not client.needs_secret:
        raise NotFoundError(f"The client {client_id!r} proves itself by its keys: it has no secret.")
    secret = crypto.new_token()
    _write(db, client, _with_secret(settings, replace(client, version=client.version + 1), secret))
    audit.record(db, Event.CLIENT_SECRET_ROTATED, visitor, client_id=client_id)
    return secret


def _write(db: Session, before: ClientMetadata, wanted: ClientMetadata) -> None:
    """Put a client in the place of what was read, if that is what is there yet."""
    change = (
        update(Client)
        .where(Client.client_id == before.client_id, Client.version == before.version)
        .values(**_row(wanted), updated_at=clock.now())
    )
    if not count_changed(db, change):
        raise AlreadyExistsError(f"The client {before.client_id!r} was changed at the same time: look at it again.")


def _takes_away(before: ClientMetadata, after: ClientMetadata) -> bool:
    """Tell whether a change leaves the client with less than what its grants may hold, or with other subjects."""
    has_other_subjects = (before.subject_type, subjects.sector_of(before)) != (
        after.subject_type,
        subjects.sector_of(after),
    )
    is_told_apart = "pairwise" in (before.subject_type, after.subject_type) and has_other_subjects
    had, has = ({*client.scopes, *client.grant_types, *client.resources} for client in (before, after))
    # Its tokens die with the browser session from now on: one for acting offline would outlive that.
    is_offline_over = before.may_act_offline and not after.may_act_offline
    return bool(had - has) or is_offline_over or is_told_apart


def _with_secret(settings: Settings, metadata: ClientMetadata, secret: str | None) -> ClientMetadata:
    """Note a secret: as a digest, and encrypted where it keys a MAC; or that there is none."""
    sealed = None
    if secret is not None and metadata.signs_with_secret:
        sealed = crypto.seal(settings.secret_key, SECRET_PURPOSE, secret)
    digest = None if secret is None else crypto.digest(secret)
    return replace(metadata, client_secret_digest=digest, client_secret_sealed=sealed)


def _row(metadata: ClientMetadata) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(metadata).items()}


def _from_row(row: Any) -> ClientMetadata:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return ClientMetadata(**values)
