"""A message becomes a row, in the transaction of what it tells. Delivery comes later, in the worker."""

import json
import logging
import unicodedata

from sqlalchemy import insert
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.clock import DAY
from idp.mail.messages import Message
from idp.models import MailMessage
from idp.settings import Settings

PURPOSE = "mail"  # the sealing key's
BULK = ("invitation",)  # kinds of which an operator posts thousands at once, while nobody sits and waits for one
HEAD_START = DAY  # seconds by which other mail is due earlier: it goes before bulk that has waited for less
ADDRESS_MOST = 254  # characters (RFC 5321 section 4.5.3.1.3)

log = logging.getLogger(__name__)


def post(db: Session, settings: Settings, message: Message, recipient: str) -> str:
    """Have a message sent, if the caller's transaction is committed.

    The row is written even where the configuration leaves no way to send it (see `Settings.mail_route`): mail then
    waits, `idp doctor` says so, and this puts a warning into the log.

    Args:
        db: the caller's transaction.
        message: from `idp.mail.messages`.
        recipient: an address as `idp.accounts.names.check_email` gives it.

    Returns:
        The row's id.

    Raises:
        ValueError: the recipient is no address that a mail's header could hold.
    """
    check_recipient(recipient)
    now = clock.now()
    row_id = crypto.new_row_id(now)
    body = json.dumps({"text": message.text, "html": message.html})
    db.execute(
        insert(MailMessage).values(
            id=row_id,
            kind=message.kind,
            recipient=recipient,
            subject=message.subject,
            body_sealed=crypto.seal(settings.secret_key, PURPOSE, body),
            state="waiting",
            attempts=0,
            created_at=now,
            next_attempt_at=now if message.kind in BULK else now - HEAD_START,
        )
    )
    if settings.mail_route == "nowhere":
        log.warning("Mail %s (%s) waits: no mail server is set. `idp doctor` says what to do.", row_id, message.kind)
    return row_id


def open_body(settings: Settings, sealed: str) -> tuple[str, str]:
    """Return text and HTML of a row's body.

    Args:
        sealed: as `post` wrote it.

    Raises:
        NotReadyError: the secret key is another one.
    """
    body = json.loads(crypto.unseal(settings.secret_key, PURPOSE, sealed))
    return body["text"], body["html"]


def check_recipient(recipient: str) -> None:
    """Check that an address can stand in a header, and names one mailbox.

    Args:
        recipient: where a message is to go.

    Raises:
        ValueError: it cannot. The address is not in the error's text.
    """
    local, at, domain = recipient.rpartition("@")
    if not (local and at and domain) or len(recipient) > ADDRESS_MOST:
        raise ValueError("a recipient must be one e-mail address")
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in " ,;<>" for c in recipient):
        raise ValueError("a recipient must not hold control characters, spaces or separators")
    if names_other_letters(recipient):
        raise ValueError("a recipient must not hold what stands for other letters")


def names_other_letters(text: str) -> bool:
    """Tell whether a header would hold something else than this text: an encoded word (RFC 2047).

    Whoever reads a header decodes those, Python when it writes one, and what comes out may be new lines with headers of
    a stranger's behind them.
    """
    return "=?" in text
