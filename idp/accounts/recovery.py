"""Back into an account whose password or user name is forgotten.

People get a mail: what a page or an app answers is the same for every name, at the same cost. Apps that the operator
trusts with it (scope `recovery:password`) may learn more, and hand out one-time passwords themselves.
"""

from sqlalchemy import ColumnElement, RowMapping, and_, select, update
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import (
    audit,
    known_browsers,
    names,
    one_time_links,
    password_policy,
    passwords,
    throttle,
    users,
)
from idp.accounts.audit import Event
from idp.accounts.one_time_links import LinkInfo
from idp.accounts.same_work import NOBODY, trial
from idp.accounts.visitor import Visitor
from idp.mail import messages, outbox
from idp.models import User
from idp.settings import Settings

LINK_LIFETIME = 30 * 60
# What nobody mistakes for something else when reading it out; 20 of them hold 99 bits.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789-"
_TEMPORARY_LENGTH = 20
_COLUMNS = (User.id, User.username, User.email, User.email_key, User.password_hash, User.given_name, User.family_name)


def request_password_reset(
    db: Session, settings: Settings, visitor: Visitor, identifier: str, language: str = "en", form: str = ""
) -> None:
    """Mail a link to set a new password, if an account has this user name or address, and its mailbox has room.

    Returns nothing to tell by; the old password stays good until the link is used.

    Args:
        form: names what was sent: who presses the button twice gets one mail.

    Raises:
        Throttled: too often for this name, or from this network.
    """
    _spend(db, settings, visitor, identifier, throttle.RECOVERY_ACCOUNT)
    if throttle.is_sent_again(db, form):
        return
    found = _find(db, users.has_sign_in_name(identifier))
    email = found["email"] if found else NOBODY
    is_admitted = throttle.admits_mail(db, settings, email, typed=identifier, is_awaited=True)
    with trial(db, is_kept=is_admitted):
        token = one_time_links.make_link(
            db,
            one_time_links.RESET_PASSWORD,
            user_id=found["id"] if found else None,
            email=names.email_key(email),
            binding=one_time_links.binding_of(found["email_key"], found["password_hash"]) if found else "",
            lifetime=LINK_LIFETIME,
        )
        message = messages.reset_password(
            settings,
            language,
            name=names.full_name(found["given_name"], found["family_name"]) if found else "",
            username=found["username"] if found else "",
            link=one_time_links.page_url(settings, one_time_links.RESET_PASSWORD, token),
            minutes=LINK_LIFETIME // 60,
        )
        outbox.post(db, settings, message, email)
    audit.record(db, Event.RECOVERY_REQUESTED, visitor, user_id=found["id"] if found else None)


def peek_reset(db: Session, token: str) -> LinkInfo:
    """Look at a link without using it, for the page that asks for the new password.

    Raises:
        ExpiredError: it is no good any more.
    """
    return one_time_links.peek_link(db, token, one_time_links.RESET_PASSWORD)


def reset_password(
    db: Session, settings: Settings, visitor: Visitor, token: str, new_password: str, language: str = "en"
) -> str:
    """Use a link: the password is the new one, all sessions end, and every other link of the account is dead.

    The address is proven by it, too, and the account knows the browser that it was used in.

    Returns:
        The account's id.

    Raises:
        ExpiredError: the link is no good any more.
        PasswordRefused: the new password breaks the policy; the link stays good. The field is `new_password`.
        Throttled: too many new passwords from this network.
    """
    user = db.get_one(User, peek_reset(db, token).user_id)
    throttle.spend(db, settings, throttle.PASSWORD_ESTIMATE_ADDRESS, visitor.network)
    password_policy.check_new_password(settings, new_password, password_policy.own_data_of(user), "new_password")
    place = passwords.place_of_owner(visitor, user.id)
    password_hash = passwords.hash_new(db, settings, new_password, place)  # before the claim: it holds a lock
    link = one_time_links.claim_link(db, token, one_time_links.RESET_PASSWORD)
    passwords.replace_password(
        db, settings, visitor, user.id, password_hash=password_hash, event=Event.PASSWORD_RESET, language=language
    )
    db.execute(
        update(User)
        .where(User.id == link.user_id, User.email_verified_at.is_(None))
        .values(email_verified_at=clock.now())
    )
    known_browsers.remember(db, visitor, user.id)
    return user.id


def remind_usernames(
    db: Session, settings: Settings, visitor: Visitor, email: str, language: str = "en", form: str = ""
) -> None:
    """Mail the user name of the account with this address to it, if that mailbox has room.

    Returns nothing to tell by.

    Args:
        form: as for `request_password_reset`.

    Raises:
        Throttled: too often for this address, or from this network.
    """
    _spend(db, settings, visitor, email, throttle.REMINDER_ACCOUNT)
    if throttle.is_sent_again(db, form):
        return
    found = _find(db, User.email_key == names.email_key(email))
    username, recipient = (found["username"], found["email"]) if found else ("", NOBODY)
    is_admitted = throttle.admits_mail(db, settings, recipient, typed=email)
    with trial(db, is_kept=is_admitted):
        sign_in_url = settings.url(one_time_links.SIGN_IN_PAGE)
        message = messages.forgotten_usernames(settings, language, username=username, sign_in_url=sign_in_url)
        outbox.post(db, settings, message, recipient)
    audit.record(db, Event.USERNAME_REMINDED, visitor, user_id=found["id"] if found else None)


# -- For apps that the operator trusts with it -------------------------------------


def issue_temporary_password(
    db: Session, settings: Settings, visitor: Visitor, identifier: str, language: str = "en"
) -> tuple[str, str, str] | None:
    """Give an account a one-time password, which must be changed at the next sign-in. All its sessions end.

    Returns:
        User name, address and password, for the app to hand over; None when there is no such account.

    Raises:
        Throttled: too often for this name, or from this network.
    """
    _spend(db, settings, visitor, identifier, throttle.RECOVERY_ACCOUNT)
    found = _find(db, users.has_sign_in_name(identifier))
    if found is None:
        audit.record(db, Event.PASSWORD_ISSUED, visitor)
        return None
    password = "".join(_LETTERS[byte % len(_LETTERS)] for byte in crypto.random_bytes(_TEMPORARY_LENGTH))
    user_id = found["id"]
    password_hash = passwords.hash_new(db, settings, password, passwords.place_of_owner(visitor, user_id))
    owner = passwords.replace_password(
        db,
        settings,
        visitor,
        user_id,
        password_hash=password_hash,
        event=Event.PASSWORD_ISSUED,
        is_temporary=True,
        language=language,
    )
    return owner["username"], owner["email"], password


def find_usernames(db: Session, settings: Settings, visitor: Visitor, email: str) -> tuple[tuple[str, str], ...]:
    """Return user name and address of each account with this address: one, or none.

    Raises:
        Throttled: too often for this address, or from this network.
    """
    _spend(db, settings, visitor, email, throttle.REMINDER_ACCOUNT)
    found = _find(db, User.email_key == names.email_key(email))
    audit.record(db, Event.USERNAME_REMINDED, visitor, user_id=found["id"] if found else None)
    return ((found["username"], found["email"]),) if found else ()


def find_address(db: Session, identifier: str) -> str:
    """Return the address of the account with this user name or address, or nothing; for `one_time_codes.send_code`."""
    found = _find(db, users.has_sign_in_name(identifier))
    return str(found["email"]) if found else ""


def _spend(db: Session, settings: Settings, visitor: Visitor, identifier: str, kind: str) -> None:
    """Charge an attempt. Names have a kind apart from passwords: asking for the one would keep the other away."""
    account = names.username_key(identifier)
    throttle.spend_all(db, settings, (throttle.RECOVERY_ADDRESS, visitor.network), (kind, account))


def _find(db: Session, condition: ColumnElement[bool]) -> RowMapping | None:
    """Find an account that may be recovered: not a disabled one, nor one whose address nobody has proven."""
    may_recover = and_(condition, User.disabled_at.is_(None), User.is_registration_pending.is_(False))
    row = db.execute(select(*_COLUMNS).where(may_recover).limit(1)).first()
    return None if row is None else row._mapping
