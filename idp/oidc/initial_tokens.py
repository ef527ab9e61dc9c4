"""Initial access tokens: by one of them, software registers itself (RFC 7591 section 3)."""

from sqlalchemy import ColumnElement, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import audit, names
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.errors import NotFoundError, refuse_faults
from idp.models import InitialAccessToken
from idp.storage.changes import count_changed

PREFIX = "idp_it_"  # lets scanners for leaked secrets know one when they see it
USES_MOST = 1_000_000


def create_token(db: Session, visitor: Visitor, name: str, *, uses: int | None, expires_at: int) -> tuple[str, str]:
    """Make a token.

    Args:
        name: what it is for, so that the operator knows it again.
        uses: how many clients may be registered with it; None for any number.
        expires_at: in seconds since the epoch.

    Returns:
        Its id, and the token: this is the only time that it is seen.

    Raises:
        InvalidInputError: the name cannot be shown, or the number is none.
    """
    is_name = 0 < len(name.strip()) <= 100 and len(name) <= 100 and names.is_showable(name)
    refuse_faults(
        {
            "name": [] if is_name else ["A name of 1 to 100 characters that can be shown is needed."],
            "uses": [] if uses is None or 1 <= uses <= USES_MOST else [f"A token has 1 to {USES_MOST} uses."],
        }
    )
    token, token_id = PREFIX + crypto.new_token(), crypto.new_id()
    db.execute(
        insert(InitialAccessToken).values(
            id=token_id,
            name=name,
            token_digest=crypto.digest(token),
            uses_left=uses,
            created_at=clock.now(),
            expires_at=expires_at,
        )
    )
    audit.record(db, Event.INITIAL_TOKEN_CREATED, visitor, token_id=token_id, name=name)
    return token_id, token


def list_tokens(db: Session) -> list[InitialAccessToken]:
    """Return the tokens that are good for something, the newest first."""
    return list(db.scalars(select(InitialAccessToken).where(_is_good()).order_by(InitialAccessToken.created_at.desc())))


def remove_token(db: Session, visitor: Visitor, token_id: str) -> None:
    """Make a token worthless; clients that were registered with it stay.

    Raises:
        NotFoundError: there is none.
    """
    if not count_changed(db, delete(InitialAccessToken).where(InitialAccessToken.id == token_id)):
        raise NotFoundError(f"There is no initial access token {token_id!r}: see `idp client token list`.")
    audit.record(db, Event.INITIAL_TOKEN_REMOVED, visitor, token_id=token_id)


def find_token(db: Session, token: str) -> str | None:
    """Return the id of a token that is good for one more client, or None."""
    return db.scalar(
        select(InitialAccessToken.id).where(InitialAccessToken.token_digest == crypto.digest(token), _is_good())
    )


def claim_use(db: Session, token_id: str) -> bool:
    """Use a token once; of many at the same time, as many win as it has uses left."""
    use = (
        update(InitialAccessToken)
        .where(InitialAccessToken.id == token_id, _is_good())
        .values(uses_left=InitialAccessToken.uses_left - 1)  # NULL stays NULL: any number
    )
    return bool(count_changed(db, use))


def _is_good() -> ColumnElement[bool]:
    is_left = or_(InitialAccessToken.uses_left.is_(None), InitialAccessToken.uses_left > 0)
    return is_left & (InitialAccessToken.expires_at > clock.now())
