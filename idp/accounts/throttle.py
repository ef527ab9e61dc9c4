"""Attempts that slow down: one bucket each for an account, a known browser of it, a network address.

The generic cell rate algorithm: a bucket admits a burst, then one attempt an interval. Nobody is locked out for good:
a stranger who hammers at an account exhausts the bucket of unknown browsers, while browsers that signed in to the
account before have buckets of their own (OWASP "device cookies").

An attempt is charged, and the charge committed, before the password is hashed: many at once cannot all slip through
while the first one is still hashing, and no write lock is held during a quarter of a second of bcrypt.

Buckets are rows of a table, or keys of a server such as Redis (`shared_buckets`); while that is away, rows again.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import BigInteger, case, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningInsert

from idp import clock, crypto, metrics
from idp.accounts import names, same_work, shared_buckets
from idp.accounts.shared_buckets import SharedBuckets
from idp.clock import CLOCKS_APART
from idp.errors import Busy, Throttled
from idp.hashing import Lane
from idp.models import Throttle
from idp.settings import Settings
from idp.storage.batches import delete_expired
from idp.storage.database import INSERTS, EitherInsert
from idp.storage.statements import Prepared, value

SIGN_IN_ACCOUNT = "sign_in_account"
SIGN_IN_KNOWN_BROWSER = "sign_in_known_browser"
SIGN_IN_ADDRESS = "sign_in_address"
SIGN_IN_EVIDENCE = "sign_in_evidence"  # rows of the audit about attempts that were not admitted
SIGN_IN_EVIDENCE_ADDRESS = "sign_in_evidence_address"
PASSWORD_CHANGE = "password_change"  # noqa: S105 - a bucket's name
PASSWORD_ESTIMATE_ADDRESS = "password_estimate_address"  # noqa: S105 - a bucket's name
REGISTRATION_ACCOUNT = "registration_account"
REGISTRATION_ADDRESS = "registration_address"
RECOVERY_ACCOUNT = "recovery_account"
RECOVERY_ADDRESS = "recovery_address"
REMINDER_ACCOUNT = "reminder_account"
RESEND_ACCOUNT = "resend_account"
RESEND_ADDRESS = "resend_address"
EMAIL_CHANGE = "email_change"
CODE_ACCOUNT = "code_account"
CODE_ADDRESS = "code_address"
MAILBOX = "mailbox"
FORM = "form"
CLIENT_AUTHENTICATION_ADDRESS = "client_authentication_address"
CLIENT_CHANGE = "client_change"
CLIENT_REGISTRATION_ADDRESS = "client_registration_address"
DEVICE_AUTHORIZATION_ADDRESS = "device_authorization_address"
WAITING_REQUEST_ADDRESS = "waiting_request_address"
PUSHED_REQUEST_ADDRESS = "pushed_request_address"  # apart: any page may have its visitors' browsers push some
USER_CODE_ACCOUNT = "user_code_account"
USER_CODE_ADDRESS = "user_code_address"
# Whose refusals are counted: not those of evidence, which are of attempts that were counted already.
COUNTED = (
    SIGN_IN_ACCOUNT,
    SIGN_IN_KNOWN_BROWSER,
    SIGN_IN_ADDRESS,
    PASSWORD_CHANGE,
    PASSWORD_ESTIMATE_ADDRESS,
    REGISTRATION_ACCOUNT,
    REGISTRATION_ADDRESS,
    RECOVERY_ACCOUNT,
    RECOVERY_ADDRESS,
    REMINDER_ACCOUNT,
    RESEND_ACCOUNT,
    RESEND_ADDRESS,
    EMAIL_CHANGE,
    CODE_ACCOUNT,
    CODE_ADDRESS,
    MAILBOX,
    CLIENT_AUTHENTICATION_ADDRESS,
    CLIENT_CHANGE,
    CLIENT_REGISTRATION_ADDRESS,
    DEVICE_AUTHORIZATION_ADDRESS,
    WAITING_REQUEST_ADDRESS,
    PUSHED_REQUEST_ADDRESS,
    USER_CODE_ACCOUNT,
    USER_CODE_ADDRESS,
)

MAIL_BURST = 5  # mails that strangers may cause to one mailbox at once
MAIL_KEPT = 1  # beyond these, for what its owner may wait for: a flood of other mails must not keep that away
MAIL_INTERVAL = 600  # seconds until they may cause the next
AGAIN_WITHIN = 60  # seconds in which the same form sent once more does nothing more
CLIENTS_BURST = 50  # clients that one network may register at once, where anyone may
CLIENTS_INTERVAL = 600  # seconds until it may register the next
# Requests of apps that may wait for a person, as against attempts to sign in: no school or office comes near to that.
REQUESTS_FOR_ATTEMPT = 20
DOUBTED_FROM = 5  # a network is doubtful while it has used more than this part of its burst: a fifth
_MAILS = (REGISTRATION_ACCOUNT, RECOVERY_ACCOUNT, REMINDER_ACCOUNT, RESEND_ACCOUNT, EMAIL_CHANGE, CODE_ACCOUNT)


@dataclass(frozen=True)
class Charge:
    """One attempt that was paid for."""

    bucket: str
    interval: int
    shared: SharedBuckets | None = None
    lane: Lane = Lane.NEW  # in which its password is hashed: whose bucket has run low waits behind others

    def refund(self, db: Session) -> None:
        """Give the attempt back: it turned out to be honest."""
        if self.shared is not None:
            self.shared.refund(self.bucket, self.interval)
            return
        _REFUND.run(db, charged=self.bucket, interval=self.interval)


def spend(db: Session, settings: Settings, kind: str, subject: str, *, is_kept: bool = True) -> Charge:
    """Charge one attempt to a bucket, and commit that unless it is not to be kept by itself.

    Args:
        kind: one of the constants above.
        subject: account, browser or network; only its digest is stored.
        is_kept: whether it stays whatever follows; else it is committed with what it is for.

    Raises:
        Throttled: the bucket is empty; says for how long. Nothing is charged then.
    """
    (charge,) = spend_all(db, settings, (kind, subject), is_kept=is_kept)
    return charge


def spend_all(db: Session, settings: Settings, *buckets: tuple[str, str], is_kept: bool = True) -> tuple[Charge, ...]:
    """Charge one attempt to several buckets, one after the other, as `spend` does.

    Args:
        buckets: kind and subject of each, as for `spend`.
        is_kept: as for `spend`.

    Raises:
        Throttled: one is empty. What those before it were charged stays: whoever tries many accounts pays for each.
    """
    charges: list[Charge] = []
    for kind, subject in buckets:
        try:
            charges.append(_spend(db, settings, kind, subject))
        except Throttled:
            if charges:
                db.commit()
            else:
                db.rollback()
            if kind in COUNTED:
                metrics.add(metrics.throttled(kind))
            raise
    if is_kept:
        db.commit()
    return tuple(charges)


def admits(db: Session, settings: Settings, *buckets: tuple[str, str]) -> bool:
    """Charge several buckets, as `spend_all`, and tell whether all had room.

    So is evidence kept, but only so much of it: whoever sends nonsense all day fills no disk with it.
    """
    try:
        spend_all(db, settings, *buckets)
    except Throttled:
        return False
    return True


def admits_mail(db: Session, settings: Settings, recipient: str, *, typed: str = "", is_awaited: bool = False) -> bool:
    """Charge a mail that strangers may cause to its mailbox, and tell whether it is to be kept.

    A mailbox has this one bucket, whoever asks and however. Who asks is not told that it is empty, and has the same
    work done (see `same_work`): a name and an address that are refused together would betray that they belong
    together. Buckets of names as typed, which refuse aloud, stand before it. The charge goes with the mail: a commit
    of its own would take longer than none, and tell whether there was a charge.

    Args:
        recipient: whom it is for; none is kept for `same_work.NOBODY`.
        typed: what was typed: for nobody that is charged, apart from all mailboxes.
        is_awaited: it brings its owner on, whoever asked for it; then it may also have what is kept for that.
    """
    mailbox = f"nobody {names.username_key(typed)}" if recipient == same_work.NOBODY else names.email_key(recipient)
    bucket, burst = _bucket_of(MAILBOX, mailbox), MAIL_BURST + MAIL_KEPT
    admitted = burst if is_awaited else MAIL_BURST
    # Who was charged for what is kept is further ahead than this burst, and had no wrong clock.
    apart = CLOCKS_APART + (burst - admitted) * MAIL_INTERVAL
    shared = shared_buckets.of(settings)
    answer = shared.spend(bucket, admitted, MAIL_INTERVAL, apart) if shared is not None else None
    is_admitted = answer[0] if answer else _charge(db, bucket, admitted, MAIL_INTERVAL, apart) is not None
    if not is_admitted:
        metrics.add(metrics.throttled(MAILBOX))
    return is_admitted and recipient != same_work.NOBODY


def is_sent_again(db: Session, form: str) -> bool:
    """Tell whether a form did its work just now, because its button was pressed twice; and note that it does.

    That is committed with the work, so of several at once the others wait. What failed is tried anew, but not what was
    refused.

    Args:
        form: names it as it was sent; only its digest is stored. Empty for what is no form: then it is always new.
    """
    return form != "" and _charge(db, _bucket_of(FORM, form), 1, AGAIN_WITHIN, CLOCKS_APART) is None


def _spend(db: Session, settings: Settings, kind: str, subject: str) -> Charge:
    burst, interval = _limits(settings, kind)
    bucket = _bucket_of(kind, subject)
    shared = shared_buckets.of(settings)
    answer = shared.spend(bucket, burst, interval, CLOCKS_APART) if shared is not None else None
    if answer is None:
        shared, answer = None, _spend_in_table(db, bucket, burst, interval)
    is_charged, available_at = answer
    if not is_charged:
        raise Throttled(max(1, available_at + interval - clock.now() - burst * interval))
    is_doubtful = (available_at - clock.now()) // interval * DOUBTED_FROM > burst
    return Charge(bucket, interval, shared, Lane.DOUBTFUL if is_doubtful else Lane.NEW)


def _bucket_of(kind: str, subject: str) -> str:
    return f"{kind}:{crypto.digest(subject)[:32]}"


def _charging(insert: EitherInsert) -> ReturningInsert[tuple[int]]:
    """Return the statement that charges an attempt to a row, or does nothing where the bucket is empty."""
    now, farthest, interval, span = (value(name, BigInteger()) for name in ("now", "farthest", "interval", "span"))
    base = case((Throttle.available_at.between(now, farthest), Throttle.available_at), else_=now)
    return (
        insert.values(bucket=value("charged"), available_at=value("first"))
        .on_conflict_do_update(
            index_elements=[Throttle.bucket],
            set_={"available_at": base + interval},
            where=or_(Throttle.available_at + interval - now <= span, Throttle.available_at > farthest),
        )
        .returning(Throttle.available_at)
    )


_CHARGE = Prepared({name: _charging(insert(Throttle)) for name, insert in INSERTS.items()})
_REFUND = Prepared(
    update(Throttle)
    .where(Throttle.bucket == value("charged"))
    .values(available_at=Throttle.available_at - value("interval", BigInteger()))
)


def _spend_in_table(db: Session, bucket: str, burst: int, interval: int) -> tuple[bool, int]:
    """Charge one attempt to a row; returns whether that was possible, and when the bucket is full again."""
    charged = _charge(db, bucket, burst, interval, CLOCKS_APART)
    if charged is not None:
        return True, charged
    return False, db.scalar(select(Throttle.available_at).where(Throttle.bucket == bucket)) or clock.now()


def _charge(db: Session, bucket: str, burst: int, interval: int, clocks_apart: int) -> int | None:
    """Charge one attempt to a row by one statement; returns when the bucket is full again, or None if it was empty."""
    now = clock.now()
    # No attempt is charged further ahead than this: who wrote such a row had a clock that was set back since.
    times = {"now": now, "farthest": now + burst * interval + clocks_apart, "interval": interval}
    charged: int | None = _CHARGE.scalar(db, charged=bucket, first=now + interval, span=burst * interval, **times)
    return charged


@contextlib.contextmanager
def free_when_busy(db: Session, *charges: Charge) -> Iterator[None]:
    """Refund attempts that came to nothing, because too many passwords wait, and commit that: an error follows."""
    try:
        yield
    except Busy:
        for charge in charges:
            charge.refund(db)
        db.commit()
        raise


def sweep(db: Session, *, most: int) -> int:
    """Forget buckets that are full again; returns how many."""
    return delete_expired(Throttle.bucket, Throttle.available_at, db, most=most)


def _limits(settings: Settings, kind: str) -> tuple[int, int]:
    if kind == CLIENT_REGISTRATION_ADDRESS:
        return CLIENTS_BURST, CLIENTS_INTERVAL
    if kind in (WAITING_REQUEST_ADDRESS, PUSHED_REQUEST_ADDRESS):
        faster = max(1, settings.throttle_address_interval // REQUESTS_FOR_ATTEMPT)
        return settings.throttle_address_burst * REQUESTS_FOR_ATTEMPT, faster
    if kind.endswith("_address"):
        return settings.throttle_address_burst, settings.throttle_address_interval
    if kind in _MAILS:
        return MAIL_BURST, MAIL_INTERVAL
    return settings.throttle_account_burst, settings.throttle_account_interval
