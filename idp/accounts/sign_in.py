"""Signing in with a user name or an address, and a password."""

from sqlalchemy.orm import Session

from idp import clock, hashing, sentences
from idp.accounts import audit, known_browsers, names, passwords, sessions, throttle, users
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.clock import DAY
from idp.errors import AddressUnverified, SignInRefused, Throttled
from idp.hashing import Place
from idp.settings import Settings
from idp.storage.statements import Row

TEMPORARY_LIFETIME = 3 * DAY  # seconds that a one-time password opens an account for


def sign_in(
    db: Session, settings: Settings, visitor: Visitor, identifier: str, password: str, *, replaces: str | None = None
) -> tuple[str, str]:
    """Check a password and start a session.

    Args:
        identifier: user name or address, in any case.
        replaces: id of the session that this browser had before.

    Returns:
        The secret for the session cookie, and the session's id.

    Raises:
        SignInRefused: unknown name, wrong password or disabled account; text and cost are the same.
        AddressUnverified: the password is right, but the account waits for its address to be confirmed.
        Throttled: too many attempts.
        Busy: too many passwords wait to be checked; nothing was charged.
    """
    user = users.find_signing_in(db, identifier)
    charges, place = _spend(db, settings, visitor, identifier, user["id"] if user else None)
    stored = user["password_hash"] if user else None
    with throttle.free_when_busy(db, *charges):
        right = passwords.is_right(db, settings, password, stored, place)
        is_confirmed = (
            user is not None
            and stored is not None
            and right
            and user["disabled_at"] is None
            and passwords.confirm(db, settings, visitor, user["id"], password, stored)
        )
    if user is None or not is_confirmed:
        reason = "unknown_user" if user is None else _reason(user, right)
        audit.record(db, Event.SIGN_IN_REFUSED, visitor, user_id=user["id"] if user else None, reason=reason)
        raise SignInRefused(sentences.SIGN_IN_REFUSED())
    if user["is_password_temporary"] and clock.now() - (user["password_changed_at"] or 0) > TEMPORARY_LIFETIME:
        audit.record(db, Event.SIGN_IN_REFUSED, visitor, user_id=user["id"], reason="temporary_password_expired")
        raise SignInRefused(sentences.SIGN_IN_REFUSED())
    for charge in charges:
        charge.refund(db)
    if user["is_registration_pending"]:
        audit.record(db, Event.SIGN_IN_REFUSED, visitor, user_id=user["id"], reason="address_unverified")
        raise AddressUnverified(sentences.ADDRESS_UNVERIFIED())
    return sessions.start_session(db, settings, visitor, user["id"], replaces=replaces)


def _reason(user: Row, right: bool) -> str:
    if not right:
        return "wrong_password"
    return "changed_meanwhile" if user["disabled_at"] is None else "user_disabled"


def _spend(
    db: Session, settings: Settings, visitor: Visitor, identifier: str, user_id: str | None
) -> tuple[tuple[throttle.Charge, ...], Place]:
    """Charge an attempt to the account and to the network, and say where its password waits.

    A browser that the account knows has a bucket of its own and none beside it: whatever strangers do, in its own
    network too, does not keep it out.
    """
    # The bucket is that of the name as typed, not of the account behind it: a name and an address that shared one
    # would betray that they belong together.
    account = names.username_key(identifier)
    is_known = known_browsers.is_known(db, user_id or "", visitor.browser_digest)
    place = passwords.place_of_stranger(visitor)
    if user_id and is_known:
        place = passwords.place_of_owner(visitor, user_id)
    hashing.check_room(place)
    try:
        if is_known:
            known = f"{account} {visitor.browser_digest}"
            return throttle.spend_all(db, settings, (throttle.SIGN_IN_KNOWN_BROWSER, known)), place
        charges = throttle.spend_all(
            db, settings, (throttle.SIGN_IN_ADDRESS, visitor.network), (throttle.SIGN_IN_ACCOUNT, account)
        )
        # By the network: whom an attacker guesses at must not wait for that.
        return charges, passwords.place_of_stranger(visitor, charges[0].lane)
    except Throttled:
        network = throttle.SIGN_IN_EVIDENCE_ADDRESS, visitor.network
        if throttle.admits(db, settings, network, (throttle.SIGN_IN_EVIDENCE, account)):
            audit.record(db, Event.SIGN_IN_THROTTLED, visitor, user_id=user_id)
        raise
