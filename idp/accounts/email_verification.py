"""Proof that an address is its owner's: a link that only who reads the mailbox can use."""

from sqlalchemy import RowMapping, select, update
from sqlalchemy.orm import Session

from idp import clock, sentences
from idp.accounts import audit, names, one_time_links, throttle, users
from idp.accounts.audit import Event
from idp.accounts.one_time_links import LinkInfo
from idp.accounts.same_work import NOBODY, trial
from idp.accounts.visitor import Visitor
from idp.errors import ExpiredError
from idp.mail import messages, outbox
from idp.mail.messages import Message
from idp.models import User
from idp.settings import Settings

LINK_LIFETIME = 24 * 3_600


def prepare_message(
    db: Session,
    settings: Settings,
    *,
    user_id: str | None,
    email: str,
    password_hash: str | None,
    name: str,
    language: str = "en",
) -> Message:
    """Write a link down that proves an address, and return the mail that carries it.

    Args:
        user_id: whose; None where no account is meant and nothing is kept.
        email: where to.
        password_hash: the account's: whoever registers again makes earlier links worthless.
        name: what the mail calls the person.
    """
    key = names.email_key(email)
    token = one_time_links.make_link(
        db,
        one_time_links.VERIFY_ADDRESS,
        user_id=user_id,
        email=key,
        binding=one_time_links.binding_of(key, password_hash),
        lifetime=LINK_LIFETIME,
    )
    link = one_time_links.page_url(settings, one_time_links.VERIFY_ADDRESS, token)
    return messages.verify_address(settings, language, name=name, link=link, hours=LINK_LIFETIME // 3_600)


def already_registered_message(settings: Settings, owner: RowMapping, language: str) -> Message:
    """Return the mail that tells an account's owner that somebody gave their address as their own.

    Args:
        owner: from `users.owner_of_address`.
    """
    return messages.address_already_registered(
        settings,
        language,
        name=names.full_name(owner["given_name"], owner["family_name"]),
        sign_in_url=settings.url(one_time_links.SIGN_IN_PAGE),
        recovery_url=settings.url(one_time_links.RECOVERY_PAGE),
    )


def peek_verification(db: Session, token: str) -> LinkInfo:
    """Look at a link without using it, for the page that asks for the click.

    Raises:
        ExpiredError: it is no good any more.
    """
    return one_time_links.peek_link(db, token, one_time_links.VERIFY_ADDRESS)


def verify_address(db: Session, visitor: Visitor, token: str) -> str:
    """Use a link: the address is proven, and a registration that waited for that is complete.

    Nobody is signed in by it: who registered has a password.

    Returns:
        The account's id.

    Raises:
        ExpiredError: the link is no good any more.
    """
    link = one_time_links.claim_link(db, token, one_time_links.VERIFY_ADDRESS)
    now = clock.now()
    proven = db.execute(
        update(User)
        .where(User.id == link.user_id, User.email_key == link.email_key)
        .values(email_verified_at=now, is_registration_pending=False, claimed_preauthorization=None, updated_at=now)
        .returning(User.id)
    ).scalar()
    if proven is None:  # pragma: no cover - the claim holds the account's row
        raise ExpiredError(sentences.LINK_GONE())
    audit.record(db, Event.ADDRESS_VERIFIED, visitor, user_id=proven)
    return proven


def resend(
    db: Session, settings: Settings, visitor: Visitor, identifier: str, language: str = "en", form: str = ""
) -> None:
    """Mail the link again, if an account has this user name or address and is not confirmed yet.

    Returns nothing to tell by; the work is the same for every name, and for a mailbox that has no room.

    Args:
        form: names what was sent: who presses the button twice gets one mail.

    Raises:
        Throttled: too often for this name, or from this network.
    """
    account = names.username_key(identifier)
    throttle.spend_all(db, settings, (throttle.RESEND_ADDRESS, visitor.network), (throttle.RESEND_ACCOUNT, account))
    if throttle.is_sent_again(db, form):
        return
    found = db.execute(
        select(User.id, User.email, User.password_hash, User.given_name, User.family_name)
        .where(users.has_sign_in_name(identifier), User.email_verified_at.is_(None), User.disabled_at.is_(None))
        .limit(1)
    ).first()
    email = found.email if found else NOBODY
    is_admitted = throttle.admits_mail(db, settings, email, typed=identifier)
    with trial(db, is_kept=is_admitted):
        message = prepare_message(
            db,
            settings,
            user_id=found.id if found else None,
            email=email,
            password_hash=found.password_hash if found else None,
            name=names.full_name(found.given_name, found.family_name) if found else "",
            language=language,
        )
        outbox.post(db, settings, message, email)
    audit.record(db, Event.CONFIRMATION_RESENT, visitor, user_id=found.id if found else None)
