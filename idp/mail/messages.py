"""Every mail that the provider sends: one function each, and nothing but words.

What people typed in may stand in a mail to somebody else (a name, in a registration with a stranger's address). So a
name that holds an address, a link or a telephone number is left out: our mails are no billboard.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from idp import clock
from idp.mail import wording
from idp.mail.layout import Block, Code, Items, Letterhead, Link, Paragraph, as_html, as_text
from idp.settings import Settings

SUBJECT_MOST = 200  # characters
NAME_MOST = 64
_BILLBOARD = re.compile(r"[/\\@:]|www\.|\w\.\w{2,}|(?:\d\W{0,3}){5}", re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """What is said, before it is known to whom.

    Attributes:
        kind: which message it is, for lists and the audit.
        subject: one line; holds no secret, because it is stored and listed in clear.
        text: for programs that show no HTML, and for people who want none.
        html: the same with buttons.
    """

    kind: str
    subject: str
    text: str
    html: str


def verify_address(settings: Settings, language: str, *, name: str, link: str, hours: int) -> Message:
    """Ask who registered to prove the address.

    Args:
        name: the person's; may be empty, here and in the others.
        link: a one-time link.
        hours: how long it is good for.
    """
    return _compose(settings, language, "verify_address", name, links=(link,), lasts=("hour", hours))


def invitation(settings: Settings, language: str, *, link: str, days: int, app_name: str = "") -> Message:
    """Invite somebody to register.

    Args:
        link: a one-time link, which proves the address.
        days: how long it is good for.
        app_name: to which app they are invited; empty for all.
    """
    app = _line(app_name or settings.brand_name, NAME_MOST)
    return _compose(settings, language, "invitation", links=(link,), lasts=("day", days), app=app)


def address_already_registered(
    settings: Settings, language: str, *, name: str, sign_in_url: str, recovery_url: str
) -> Message:
    """Tell the owner of an account that somebody registered with its address.

    Args:
        sign_in_url: where to sign in.
        recovery_url: where to ask for a new password.
    """
    return _compose(settings, language, "address_already_registered", name, links=(sign_in_url, recovery_url))


def reset_password(settings: Settings, language: str, *, name: str, username: str, link: str, minutes: int) -> Message:
    """Let somebody who forgot the password set a new one.

    Args:
        username: the account's; it may be what was forgotten, too.
        link: a one-time link.
        minutes: how long it is good for.
    """
    lasts = ("minute", minutes)
    return _compose(settings, language, "reset_password", name, links=(link,), lasts=lasts, username=username)


def password_changed(settings: Settings, language: str, *, name: str, recovery_url: str) -> Message:
    """Tell that the password was changed, by whomever.

    Args:
        recovery_url: where the owner gets another one.
    """
    return _compose(settings, language, "password_changed", name, links=(recovery_url,), at=clock.now())


def forgotten_usernames(settings: Settings, language: str, *, username: str, sign_in_url: str) -> Message:
    """Tell which user name belongs to the address.

    Args:
        username: the account's.
        sign_in_url: where to sign in.
    """
    return _compose(settings, language, "forgotten_usernames", links=(sign_in_url,), shown=Items((username,)))


def confirm_new_address(settings: Settings, language: str, *, name: str, link: str, hours: int) -> Message:
    """Ask for proof of the new address; goes there.

    Args:
        link: a one-time link.
        hours: how long it is good for.
    """
    return _compose(settings, language, "confirm_new_address", name, links=(link,), lasts=("hour", hours))


def address_change_requested(
    settings: Settings, language: str, *, name: str, new_address: str, password_url: str
) -> Message:
    """Tell the old address that another was asked for.

    Args:
        new_address: which one.
        password_url: where the owner changes the password, which ends that.
    """
    links = (password_url,)
    return _compose(settings, language, "address_change_requested", name, links=links, new_address=new_address)


def address_changed(settings: Settings, language: str, *, name: str, new_address: str, password_url: str) -> Message:
    """Tell the old address that it is none any more.

    Args:
        new_address: which one is now.
        password_url: where the owner changes the password.
    """
    return _compose(settings, language, "address_changed", name, links=(password_url,), new_address=new_address)


def one_time_code(settings: Settings, language: str, *, code: str, app_name: str, minutes: int) -> Message:
    """Send digits to be typed in at an app.

    Args:
        code: the digits; they stand in the body only.
        app_name: which app asks for them.
        minutes: how long they are good for.
    """
    lasts = ("minute", minutes)
    return _compose(settings, language, "one_time_code", shown=Code(code), lasts=lasts, app=_line(app_name, NAME_MOST))


def account_deletion(settings: Settings, language: str, *, name: str, due: int, sign_in_url: str) -> Message:
    """Tell that the account will be deleted, and until when that can be revoked.

    Args:
        due: when, in seconds since the epoch.
        sign_in_url: where to sign in, which offers to keep the account.
    """
    return _compose(settings, language, "account_deletion", name, links=(sign_in_url,), at=due)


def test_message(settings: Settings, language: str) -> Message:
    """Show an operator that mail arrives."""
    return _compose(settings, language, "test_message", links=(settings.issuer,), at=clock.now())


def _compose(
    settings: Settings,
    language: str,
    kind: str,
    name: str | None = None,
    *,
    links: Sequence[str] = (),
    shown: Block | None = None,
    lasts: tuple[str, int] | None = None,
    at: int | None = None,
    **filling: str,
) -> Message:
    """Put a message together: greeting, what it says, what is shown, its links, what it says behind them."""
    language = wording.choose_language(language)
    words = wording.wording_of(language)
    filling["brand"] = _line(settings.brand_name, NAME_MOST)
    if lasts:
        filling["span"] = wording.span(language, *lasts)
    if at is not None:
        filling["moment"] = wording.moment(language, at)
    subject = _line(words[kind]["subject"].format(**filling), SUBJECT_MOST)
    head = Letterhead(
        brand=filling["brand"],
        accent=settings.brand_accent,
        url=settings.issuer,
        footer=words["frame"]["footer"].format(**filling),
        language=language,
    )
    blocks = [*_greeting(words, name), *_blocks(words[kind], links, shown, filling)]
    return Message(kind, subject, as_text(head, blocks), as_html(head, subject, blocks))


def _greeting(words: Any, name: str | None) -> Iterator[Block]:
    if name is None:
        return
    spoken = _line(name, NAME_MOST)
    is_billboard = not spoken or _BILLBOARD.search("".join(c for c in spoken if c not in wording.JOINERS))
    yield Paragraph(words["frame"]["greeting_nobody" if is_billboard else "greeting"].format(name=spoken))


def _blocks(words: Any, links: Sequence[str], shown: Block | None, filling: dict[str, str]) -> Iterator[Block]:
    yield from (Paragraph(sentence.format(**filling)) for sentence in words["before"])
    if shown:
        yield shown
    for label, url in zip(words.get("links", ()), links, strict=True):
        yield Link(label, url)
    yield from (Paragraph(sentence.format(**filling)) for sentence in words["after"])


def _line(value: str, most: int) -> str:
    """Return a value as one tidy line: no control characters, no line breaks, nothing that turns text around."""
    unfit = ("Cc", "Cf", "Cs", "Zl", "Zp")
    plain = "".join(" " if unicodedata.category(c) in unfit and c not in wording.JOINERS else c for c in value)
    return " ".join(plain.replace("=?", "= ?").split())[:most]  # an encoded word (RFC 2047) would become something else
