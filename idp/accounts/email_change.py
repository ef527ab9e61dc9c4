"""Another address: asked for with the password, confirmed from the new mailbox, told to the old one.

Until the new address is confirmed the old one stands. Another password, another address, a second request (unless it is
for the same address and no mail can go there now) or calling it off kills the link.
"""

from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp import clock, sentences
from idp.accounts import audit, names, one_time_links, passwords, throttle, users
from idp.accounts.audit import Event
from idp.accounts.email_verification import already_registered_message
from idp.accounts.one_time_links import LinkInfo
from idp.accounts.same_work import trial
from idp.accounts.visitor import Visitor
from idp.errors import ExpiredError, InvalidInputError, refuse_faults
from idp.mail import messages, outbox
from idp.models import OneTimeLink, User
from idp.settings import Settings
from idp.storage.changes import count_changed

LINK_LIFETIME = 24 * 3_600


def request_change(
    db: Session,
    settings: Settings,
    visitor: Visitor,
    user_id: str,
    new_email: str,
    current_password: str,
    language: str = "en",
    form: str = "",
) -> str:
    """Ask for another address: a link goes to the new one, and the old one is told.

    A link that was mailed before is dead then: that address may have been mistyped, and be a stranger's.

    Whether the new address belongs to another account is told to nobody but its owner; the work is the same. Nothing
    goes to it while its mailbox has no room; a link that it already got stays good then.

    Args:
        form: names what was sent: who presses the button twice gets one mail, whose link stays good.

    Returns:
        The new address in its normal form.

    Raises:
        InvalidInputError: no address, the same one, or a wrong password.
        Throttled: too many wrong passwords, or too many mails.
    """
    email, faults = names.check_email(new_email)
    refuse_faults({"email": faults})
    user = passwords.require_password(
        db, settings, visitor, user_id, current_password, refused=Event.ADDRESS_CHANGE_REFUSED
    )
    key, name = names.email_key(email), names.full_name(user.given_name, user.family_name)
    if key == user.email_key:
        raise InvalidInputError({"email": [sentences.ADDRESS_SAME()]})
    throttle.spend(db, settings, throttle.EMAIL_CHANGE, user_id)
    # Who has called it off since, or asked for yet another address, means it.
    if throttle.is_sent_again(db, form) and pending_change(db, user_id) == email:
        return email
    owner = users.owner_of_address(db, email)
    if owner is not None and (owner["is_registration_pending"] or owner["id"] == user_id):
        owner = None  # nobody else has an account with it
    recipient = email if owner is None else owner["email"]
    is_admitted = throttle.admits_mail(db, settings, recipient, is_awaited=owner is None)
    # Of two who ask at once the later one finds the link of the other: the charge has ended the hold of the password.
    one_time_links.binding_digest(db, user_id, lock=True)
    _end_links(db, user_id, spared="" if is_admitted else key)
    # Written for a taken address too, but mailed to nobody then: what waits is shown to who asked for it.
    token = one_time_links.make_link(
        db,
        one_time_links.CHANGE_ADDRESS,
        user_id=user_id,
        email=key,
        binding=one_time_links.binding_of(user.email_key, user.password_hash),
        lifetime=LINK_LIFETIME,
        data={"email": email},
    )
    if owner is None:
        link = one_time_links.page_url(settings, one_time_links.CHANGE_ADDRESS, token)
        message = messages.confirm_new_address(settings, language, name=name, link=link, hours=LINK_LIFETIME // 3_600)
    else:
        message = already_registered_message(settings, owner, language)
    with trial(db, is_kept=is_admitted):
        outbox.post(db, settings, message, recipient)
    password_url = settings.url(one_time_links.PASSWORD_PAGE)
    message = messages.address_change_requested(
        settings, language, name=name, new_address=email, password_url=password_url
    )
    outbox.post(db, settings, message, user.email)
    audit.record(db, Event.ADDRESS_CHANGE_REQUESTED, visitor, user_id=user_id)
    return email


def call_off_change(db: Session, visitor: Visitor, user_id: str) -> bool:
    """Keep the old address after all. Returns whether another one waited for confirmation."""
    if not _end_links(db, user_id):
        return False
    audit.record(db, Event.ADDRESS_CHANGE_REVOKED, visitor, user_id=user_id)
    return True


def _end_links(db: Session, user_id: str, *, spared: str = "") -> bool:
    """End what was mailed to new addresses of an account, but for one (its key); returns whether there was anything."""
    now = clock.now()
    end = (
        update(OneTimeLink)
        .where(
            OneTimeLink.user_id == user_id,
            OneTimeLink.purpose == one_time_links.CHANGE_ADDRESS,
            OneTimeLink.email_key != spared,
            OneTimeLink.claimed_at.is_(None),
            OneTimeLink.expires_at > now,
        )
        .values(claimed_at=now)
        .execution_options(synchronize_session=False)
    )
    return bool(count_changed(db, end))


def pending_change(db: Session, user_id: str) -> str | None:
    """Return the address that waits for confirmation, or None."""
    rows = db.execute(
        select(OneTimeLink.data, OneTimeLink.binding)
        .where(
            OneTimeLink.user_id == user_id,
            OneTimeLink.purpose == one_time_links.CHANGE_ADDRESS,
            OneTimeLink.claimed_at.is_(None),
            OneTimeLink.expires_at > clock.now(),
        )
        .order_by(OneTimeLink.created_at.desc())
    ).all()
    bound = one_time_links.binding_digest(db, user_id) if rows else None
    return next((str(row.data["email"]) for row in rows if row.binding == bound), None)


def peek_change(db: Session, token: str) -> LinkInfo:
    """Look at a link without using it; `data["email"]` is the new address.

    Raises:
        ExpiredError: it is no good any more.
    """
    return one_time_links.peek_link(db, token, one_time_links.CHANGE_ADDRESS)


def confirm_change(db: Session, settings: Settings, visitor: Visitor, token: str, language: str = "en") -> str:
    """Use a link: the new address is the account's, proven, and the old one is told.

    A user name that was the old address becomes the new one.

    Returns:
        The account's id.

    Raises:
        ExpiredError: the link is no good any more, or the address was taken meanwhile.
    """
    link = one_time_links.claim_link(db, token, one_time_links.CHANGE_ADDRESS)
    email, now = str(link.data["email"]), clock.now()
    before = db.execute(
        select(User.id, User.username_key, User.email, User.email_key, User.given_name, User.family_name).where(
            User.id == link.user_id
        )
    ).one()
    values: dict[str, Any] = {"email": email, "email_key": link.email_key, "email_verified_at": now, "updated_at": now}
    if before.username_key == before.email_key and len(email) <= names.USERNAME_MOST >= len(link.email_key):
        values |= {
            "username": email,
            "username_key": names.username_key(email),
            "username_skeleton": names.username_skeleton(email),
        }
    # Whoever registered with this address and never confirmed it has proven nothing.
    db.execute(delete(User).where(User.email_key == link.email_key, User.is_registration_pending))
    owner = users.owner_of_address(db, email)
    if owner is not None and owner["id"] != before.id:
        raise ExpiredError(sentences.ADDRESS_GONE())
    try:
        with db.begin_nested():
            db.execute(update(User).where(User.id == before.id).values(values))
    except IntegrityError:
        raise ExpiredError(sentences.ADDRESS_GONE()) from None
    name = names.full_name(before.given_name, before.family_name)
    password_url = settings.url(one_time_links.PASSWORD_PAGE)
    message = messages.address_changed(settings, language, name=name, new_address=email, password_url=password_url)
    outbox.post(db, settings, message, before.email)
    audit.record(db, Event.ADDRESS_CHANGED, visitor, user_id=before.id)
    return str(before.id)
