"""Six digits that are mailed: an app's second step before an account is made, or a name or password is sent.

Six digits are soon guessed, so a code has few guesses and few minutes, and serves one app for one purpose. The
database holds a digest of the digits together with the code's id as the app knows it, of which it has only a digest
either: who reads the table can try no digits out.
"""

from sqlalchemy import BigInteger, ColumnElement, and_, case, insert, literal, select, update
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import audit, names, throttle
from idp.accounts.audit import Event
from idp.accounts.same_work import NOBODY, trial
from idp.accounts.visitor import Visitor
from idp.errors import refuse_faults
from idp.mail import messages, outbox
from idp.models import OneTimeCode, User
from idp.settings import Settings

REGISTRATION, PASSWORD, USERNAME = "registration", "password", "username"
PURPOSES = (REGISTRATION, PASSWORD, USERNAME)
LIFETIME = 10 * 60
GUESSES = 5
DIGITS = 6


def send_code(
    db: Session,
    settings: Settings,
    visitor: Visitor,
    purpose: str,
    client_id: str,
    email: str,
    app_name: str,
    language: str = "en",
    *,
    typed: str = "",
) -> str:
    """Mail a code. To an address without an account none is sent, but for registration; nobody can tell.

    Nor is one sent to a mailbox that has no room.

    Args:
        purpose: one of `PURPOSES`.
        client_id: the app that will present it.
        email: where to; nothing when a name is nobody's.
        app_name: what the mail calls the app.
        typed: the name or address that was typed, where it is not `email`.

    Returns:
        The code's id, which the app presents with the digits.

    Raises:
        InvalidInputError: for registration, an address that is none.
        Throttled: too often for this address, or from this network.
    """
    if purpose == REGISTRATION:
        email, faults = names.check_email(email)
        refuse_faults({"email": faults})
    key = names.email_key(email)
    # The name as typed: one bucket for a name and the address behind it would betray that they belong together.
    account = f"{purpose} {names.username_key(typed or email)}"
    throttle.spend_all(db, settings, (throttle.CODE_ADDRESS, visitor.network), (throttle.CODE_ACCOUNT, account))
    owner = db.execute(
        select(User.id, User.email).where(
            User.email_key == key, User.disabled_at.is_(None), User.is_registration_pending.is_(False)
        )
    ).first()
    recipient = email if purpose == REGISTRATION else (owner.email if owner else NOBODY)
    is_admitted = throttle.admits_mail(db, settings, recipient, typed=typed or email)
    handle, digits, now = crypto.new_token(), _new_digits(), clock.now()
    with trial(db, is_kept=is_admitted):
        db.execute(
            insert(OneTimeCode).values(
                id=_id_of(handle),
                purpose=purpose,
                client_id=client_id,
                email_key=key,
                code_digest=_digest_of(handle, digits),
                guesses_left=GUESSES,
                created_at=now,
                expires_at=now + LIFETIME,
            )
        )
        message = messages.one_time_code(settings, language, code=digits, app_name=app_name, minutes=LIFETIME // 60)
        outbox.post(db, settings, message, recipient)
    audit.record(
        db, Event.CODE_SENT, visitor, user_id=owner.id if owner else None, client_id=client_id, purpose=purpose
    )
    return handle


def check_code(db: Session, visitor: Visitor, handle: str, digits: str, client_id: str) -> bool:
    """Tell whether digits are right without using the code up; a wrong guess is one guess less.

    Args:
        handle: the id that `send_code` returned.
    """
    code_digest = _digest_of(handle, digits)
    guessed = db.execute(
        update(OneTimeCode)
        .where(_is_open(handle, client_id))
        .values(guesses_left=_left_after(code_digest))
        .returning(OneTimeCode.code_digest)
        .execution_options(synchronize_session=False)
    ).first()
    is_right = guessed is not None and crypto.are_equal(guessed.code_digest, code_digest)
    if not is_right:
        note_refusal(db, visitor, client_id)
    return is_right


def claim_code(db: Session, handle: str, digits: str, purpose: str, client_id: str, email: str) -> bool:
    """Use a code: of any number who try at once with the right digits, one is told that they are right.

    Whoever undoes work because it was refused notes that afterwards (`note_refusal`), or it is undone as well.

    Args:
        handle: the id that `send_code` returned.
        purpose: the one that it was sent for; another opens nothing, and costs no guess.
        email: the address that it was sent to; likewise.
    """
    code_digest = _digest_of(handle, digits)
    serves = and_(OneTimeCode.purpose == purpose, OneTimeCode.email_key == names.email_key(email))
    guessed = db.execute(
        update(OneTimeCode)
        .where(_is_open(handle, client_id), serves)
        .values(
            guesses_left=_left_after(code_digest),
            claimed_at=case((OneTimeCode.code_digest == code_digest, literal(clock.now(), BigInteger))),
        )
        .returning(OneTimeCode.claimed_at)
        .execution_options(synchronize_session=False)
    ).first()
    return guessed is not None and guessed.claimed_at is not None


def note_refusal(db: Session, visitor: Visitor, client_id: str) -> None:
    """Write down that an app presented a code that is none, or for something else."""
    audit.record(db, Event.CODE_REFUSED, visitor, client_id=client_id)


def _is_open(handle: str, client_id: str) -> ColumnElement[bool]:
    return and_(
        OneTimeCode.id == _id_of(handle),
        OneTimeCode.client_id == client_id,
        OneTimeCode.claimed_at.is_(None),
        OneTimeCode.expires_at > clock.now(),
        OneTimeCode.guesses_left > 0,
    )


def _left_after(code_digest: str) -> ColumnElement[int]:
    return OneTimeCode.guesses_left - case((OneTimeCode.code_digest == code_digest, 0), else_=1)


def _new_digits() -> str:
    # 64 bits over a million leave no digit likelier than another by more than one in ten trillions.
    return f"{int.from_bytes(crypto.random_bytes(8), 'big') % 10**DIGITS:0{DIGITS}}"


def _id_of(handle: str) -> str:
    return crypto.digest(handle)[:32]


def _digest_of(handle: str, digits: str) -> str:
    return crypto.digest(f"{handle} {''.join(digits.split())}")
