"""Which browsers an account knows: those that have signed in to it, or opened what was mailed to it.

Sessions say so, for as long as their rows are kept (`sessions.KEPT_AFTER_END`).
"""

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts.sessions import PASSWORD_ACR
from idp.accounts.visitor import Visitor
from idp.models import BrowserSession
from idp.storage.statements import Prepared, value

NEVER_BEGAN = "never_began"  # why a row is over that only says that an account knows a browser

_BY_BROWSER = Prepared(
    select(BrowserSession.id)
    .where(BrowserSession.user_id == value("user_id"), BrowserSession.browser_digest == value("browser_digest"))
    .limit(1)
)


def is_known(db: Session, user_id: str, browser_digest: str) -> bool:
    """Tell whether this browser has signed in to this account before."""
    if not browser_digest:
        return False
    return _BY_BROWSER.first(db, user_id=user_id, browser_digest=browser_digest) is not None


def remember(db: Session, visitor: Visitor, user_id: str) -> None:
    """Have the account know this browser from now on, as if somebody had signed in with it and out again.

    Whoever has proven to own the account's mailbox is not to wait behind strangers who guess at its password.
    """
    if not visitor.browser_digest or is_known(db, user_id, visitor.browser_digest):
        return
    now = clock.now()
    db.execute(
        insert(BrowserSession).values(
            id=crypto.new_id(),
            user_id=user_id,
            token_digest=crypto.digest(crypto.new_token()),
            browser_digest=visitor.browser_digest,
            auth_time=now,
            acr=PASSWORD_ACR,
            amr=[],
            user_agent=visitor.user_agent,
            address=visitor.address,
            created_at=now,
            last_seen_at=now,
            expires_at=now,
            ended_at=now,
            end_reason=NEVER_BEGAN,
        )
    )
