"""A row becomes a mail as it travels (RFC 5322), with addresses as its envelope needs them."""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

import idna

from idp.mail.outbox import check_recipient, names_other_letters
from idp.mail.wording import JOINERS
from idp.settings import Settings

NOBODY = "nobody@localhost"  # the sender where no mail server asks for one


@dataclass(frozen=True)
class Envelope:
    """A mail, ready to hand over.

    Attributes:
        sender: who hears of bounces.
        recipient: where it goes; a domain in it is ASCII.
        content: headers and body.
        is_international: an address holds more than ASCII, so that servers must speak SMTPUTF8 (RFC 6531).
    """

    sender: str
    recipient: str
    content: bytes
    is_international: bool


def compose(
    settings: Settings, *, mail_id: str, recipient: str, subject: str, text: str, html: str, created_at: int
) -> Envelope:
    """Put a mail into its envelope.

    Made twice from one row it bears the same Message-ID and date: a duplicate can be told as one.

    Args:
        settings: say who sends.
        mail_id: the row's id.
        recipient: the address.
        subject: one line.
        text: for programs that show no HTML.
        html: the same, to look at.
        created_at: when it was posted, in seconds since the epoch.

    Raises:
        ValueError: recipient or subject cannot stand in a header.
    """
    check_recipient(recipient)
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in subject) or names_other_letters(subject):
        raise ValueError("a subject must be one line")
    sender = sender_of(settings)
    local, _, domain = recipient.rpartition("@")
    to = Address(username=local, domain=_ascii_domain(domain))
    mail = EmailMessage(policy=policy.SMTPUTF8 if not to.addr_spec.isascii() else policy.SMTP)
    mail["From"] = sender
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = format_datetime(datetime.fromtimestamp(created_at, UTC))
    mail["Message-ID"] = f"<{mail_id}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies, please
    mail["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
    # Quoted-printable passes every server unchanged, and a long link comes out of it in one piece.
    mail.set_content(text, cte="quoted-printable")
    mail.add_alternative(html, subtype="html", cte="quoted-printable")
    return Envelope(sender.addr_spec, to.addr_spec, mail.as_bytes(), not to.addr_spec.isascii())


def sender_of(settings: Settings) -> Address:
    """Return who sends mail; the brand's name stands where the setting names nobody."""
    name, address = parseaddr(settings.mail_from or NOBODY)
    plain = "".join(c if c.isprintable() or c in JOINERS else " " for c in name or settings.brand_name)
    return Address(plain, addr_spec=address)


def _ascii_domain(domain: str) -> str:
    """Return a domain as DNS knows it (RFC 5891); what cannot be written so stays as it is."""
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain
