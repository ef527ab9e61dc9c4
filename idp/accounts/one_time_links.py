"""Links that are mailed: one purpose, one use, and dead as soon as what they were made for has changed.

The database holds the digest of a link's secret. Looking at a link (GET) changes nothing, because mail scanners open
what they find; only a form that is sent (POST) claims it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import RowMapping, insert, or_, select, update
from sqlalchemy.orm import Session

from idp import clock, crypto, sentences
from idp.errors import ExpiredError
from idp.models import OneTimeLink, User
from idp.settings import Settings

VERIFY_ADDRESS = "verify_address"
CHANGE_ADDRESS = "change_address"
RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose
INVITATION = "invitation"

# The page that each kind of link leads to.
PAGES: Mapping[str, str] = {
    VERIFY_ADDRESS: "/verify-email",
    CHANGE_ADDRESS: "/confirm-email",
    RESET_PASSWORD: "/reset-password",
    INVITATION: "/register",
}
PARAMETER = "token"
SIGN_IN_PAGE, RECOVERY_PAGE, PASSWORD_PAGE = "/sign-in", "/forgot-password", "/account/password"

_COLUMNS = OneTimeLink.user_id, OneTimeLink.email_key, OneTimeLink.binding, OneTimeLink.data


@dataclass(frozen=True)
class LinkInfo:
    """What a link that is good says.

    Attributes:
        user_id: whose it is; None for somebody who has no account yet.
        email_key: whom it was mailed to.
        data: what it carries out.
    """

    user_id: str | None
    email_key: str
    data: Mapping[str, Any]


def make_link(
    db: Session,
    purpose: str,
    *,
    user_id: str | None,
    email: str,
    binding: str,
    lifetime: int,
    data: Mapping[str, Any] | None = None,
) -> str:
    """Write a link down.

    Args:
        purpose: one of the constants above.
        user_id: whose it is, if there is an account.
        email: key of the address that it is mailed to.
        binding: what must not change before the link is used, see `binding_of`; only its digest is stored.
        lifetime: seconds that it is good for.
        data: what it carries out; JSON.

    Returns:
        The secret, which goes into the mail and nowhere else.
    """
    token, now = crypto.new_token(), clock.now()
    db.execute(
        insert(OneTimeLink).values(
            id=crypto.new_row_id(now),
            purpose=purpose,
            token_digest=crypto.digest(token),
            user_id=user_id,
            email_key=email,
            binding=crypto.digest(binding),
            data=dict(data or {}),
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    return token


def binding_of(email_key: str, password_hash: str | None) -> str:
    """Return what every link of an account is bound to: another address or another password is its end."""
    return f"{email_key} {password_hash or ''}"


def binding_digest(db: Session, user_id: str, *, lock: bool = False) -> str:
    """Return the digest that the links of an account must bear to be good; one that none bears if it is disabled.

    Args:
        lock: holds on to the account until the transaction ends.
    """
    query = select(User.email_key, User.password_hash).where(User.id == user_id, User.disabled_at.is_(None))
    account = db.execute(query.with_for_update() if lock else query).first()
    return "" if account is None else crypto.digest(binding_of(account.email_key, account.password_hash))


def peek_link(db: Session, token: str, purpose: str) -> LinkInfo:
    """Look at a link without using it.

    Raises:
        ExpiredError: it is unknown, used, too old, of another purpose, or what it was made for has changed.
    """
    row = db.execute(
        select(*_COLUMNS).where(
            OneTimeLink.token_digest == crypto.digest(token),
            OneTimeLink.purpose == purpose,
            OneTimeLink.claimed_at.is_(None),
            OneTimeLink.expires_at > clock.now(),
        )
    ).first()
    if row is None or not _is_bound(db, row._mapping):
        raise ExpiredError(sentences.LINK_GONE())
    return _info(row._mapping)


def claim_link(db: Session, token: str, purpose: str) -> LinkInfo:
    """Use a link: of any number who try at once, one gets it.

    Raises:
        ExpiredError: as `peek_link`. A link whose account has changed is used up by the attempt.
    """
    now = clock.now()
    # Its account is held with it, and before it, as by all who end links of an account, or the account: nobody changes
    # password or address until the commit, and on PostgreSQL nobody waits for each other.
    account = select(User.id).where(User.id == OneTimeLink.user_id).with_for_update()
    row = db.execute(
        update(OneTimeLink)
        .where(
            OneTimeLink.token_digest == crypto.digest(token),
            OneTimeLink.purpose == purpose,
            OneTimeLink.claimed_at.is_(None),
            OneTimeLink.expires_at > now,
            or_(OneTimeLink.user_id.is_(None), account.exists()),
        )
        .values(claimed_at=now)
        .returning(*_COLUMNS)
        .execution_options(synchronize_session=False)
    ).first()
    if row is None or not _is_bound(db, row._mapping):
        raise ExpiredError(sentences.LINK_GONE())
    return _info(row._mapping)


def page_url(settings: Settings, purpose: str, token: str) -> str:
    """Return the URL that goes into the mail."""
    return settings.url(f"{PAGES[purpose]}?{urlencode({PARAMETER: token})}")


def _is_bound(db: Session, row: RowMapping) -> bool:
    """Tell whether the account is still what it was when the link was made; whoever has none is bound by the caller."""
    if row["user_id"] is None:
        return True
    return crypto.are_equal(binding_digest(db, row["user_id"]), row["binding"])


def _info(row: RowMapping) -> LinkInfo:
    return LinkInfo(row["user_id"], row["email_key"], row["data"])
