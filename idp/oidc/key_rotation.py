"""When one signing key follows another: published before it signs, and after it did, without a restart.

A next key is made `key_publish_lead` seconds before the active one has reached the age of `key_rotation_interval`. When
it has been published for that lead, it becomes active: by then every process has read it, and every app that keeps a
JWKS for less than the lead has fetched it. The one before it retires, and is forgotten when nothing that it signed can
be shown any more. The worker does all of it; `idp keys rotate` begins it early, or at once. A clock that was ahead and
is set back puts nothing off for much longer than that.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.visitor import SYSTEM, Visitor
from idp.clock import CLOCKS_APART
from idp.errors import NotReadyError
from idp.models import Client, SigningKey
from idp.oidc.keys import ALGORITHMS, RELOAD_EVERY, generate_key, list_keys, load_keys, store_key
from idp.settings import Settings


@dataclass(frozen=True)
class Prospect:
    """What happens to a key next, and when, in seconds since the epoch; never, where the worker has nothing to do."""

    what: str
    at: int | None


@dataclass(frozen=True)
class _Keys:
    """The active and the next key of one algorithm."""

    active: SigningKey | None
    next: SigningKey | None


def rotate_due(engine: Engine, settings: Settings, stop: threading.Event | None = None) -> Mapping[str, int]:
    """Do what the schedule says: the worker's job. Of several workers one does it.

    Args:
        stop: ends the round early, between two algorithms.

    Returns:
        How many keys were published, began to sign and were removed.

    Raises:
        NotReadyError: the secret key does not fit; nothing is written then.
    """
    counts = {"key_published": 0, "key_activated": 0, "key_removed": 0}
    for algorithm in ALGORITHMS:
        if stop is not None and stop.is_set():
            break
        with Session(engine) as db, db.begin():
            for step in advance(db, settings, SYSTEM, algorithm):
                counts[step] += 1
    with Session(engine) as db, db.begin():
        counts["key_removed"] = remove_unneeded(db, settings, SYSTEM)
        _bring_back(db)
    return counts


def advance(
    db: Session, settings: Settings, visitor: Visitor, algorithm: str, *, is_wanted: bool = False
) -> Sequence[str]:
    """Take the steps of one algorithm that are due. However many do it at once, each step is taken once.

    Args:
        is_wanted: a successor is to be published now, however young the active key is.

    Returns:
        The steps: `key_published`, `key_activated`.

    Raises:
        NotReadyError: the secret key does not fit; nothing is written then.
    """
    if not _due(_keys_of(db, algorithm), settings, is_wanted=is_wanted):
        return ()
    load_keys(db, settings)  # a key that was sealed with a foreign secret key would be of no use to anybody
    fresh = generate_key(algorithm)  # before the lock: it takes a while
    _lock(db, algorithm)
    found = _keys_of(db, algorithm)
    due = _due(found, settings, is_wanted=is_wanted)
    if due == "key_published":
        is_first = found.active is None
        return (due,) if store_key(db, settings, visitor, fresh, "active" if is_first else "next") else ()
    if due == "key_activated":
        assert found.next is not None
        _activate(db, visitor, algorithm, found.next.kid)
        return (due,)
    return ()


def revoke_all(
    db: Session, settings: Settings, visitor: Visitor, *, is_secret_key_new: bool = False
) -> Mapping[str, str]:
    """Exchange every key at once, and forget the old ones: they are, or may be, in the wrong hands.

    Whatever the old keys signed is worthless here from the moment of the commit. Until the processes have read the
    table again they sign with the old ones, so that apps which have fetched the new ones refuse a sign-in.

    Args:
        is_secret_key_new: the settings have another secret key than the one that the old keys were sealed with.

    Returns:
        The id of the new key, by algorithm.

    Raises:
        NotReadyError: the secret key does not fit, and nobody said that it is new; or it does, and somebody said so.
    """
    if not is_secret_key_new:
        load_keys(db, settings)
    elif _opens_old_keys(db, settings):
        raise NotReadyError(
            "The secret key is still the one that the signing keys are sealed with: put another one in its place "
            "first, or leave out --new-secret-key."
        )
    fresh = [generate_key(algorithm) for algorithm in ALGORITHMS]
    for algorithm in ALGORITHMS:
        _lock(db, algorithm)
    revoked = db.execute(delete(SigningKey).returning(SigningKey.kid, SigningKey.algorithm)).all()
    for kid, algorithm in revoked:
        audit.record(db, Event.KEY_REVOKED, visitor, kid=kid, algorithm=algorithm)
    for pair in fresh:
        store_key(db, settings, visitor, pair, "active")
    return {pair.algorithm: pair.kid for pair in fresh}


def _opens_old_keys(db: Session, settings: Settings) -> bool:
    try:
        load_keys(db, settings)
    except NotReadyError:
        return False
    return True


def remove_unneeded(db: Session, settings: Settings, visitor: Visitor) -> int:
    """Forget the retired keys whose tokens nobody can show any more; returns how many."""
    before = clock.now() - kept_for(db, settings)
    gone = db.execute(
        delete(SigningKey)
        .where(SigningKey.state == "retired", SigningKey.retired_at < before)
        .returning(SigningKey.kid, SigningKey.algorithm)
    ).all()
    for kid, algorithm in gone:
        audit.record(db, Event.KEY_REMOVED, visitor, kid=kid, algorithm=algorithm)
    return len(gone)


def _bring_back(db: Session) -> None:
    """Have what happened further ahead than clocks may differ happen now: the clock was set back since.

    A next key would wait for that day, and nothing but an emergency would exchange the active one until then.
    """
    now = clock.now()
    for moment in (SigningKey.created_at, SigningKey.activated_at, SigningKey.retired_at):
        db.execute(update(SigningKey).where(moment > now + CLOCKS_APART).values({moment: now}))


def kept_for(db: Session, settings: Settings) -> int:
    """Return for how many seconds a retired key stays published.

    That is as long as anything it signed may be shown: ID tokens and JWT access tokens until they expire, and ID tokens
    as hints for as long as the session lives that they speak of. A process may have signed with it for a little longer
    than the table says.
    """
    longest_of_clients = db.execute(
        select(func.max(Client.id_token_lifetime), func.max(Client.access_token_lifetime))
    ).one()
    lifetimes = (settings.session_lifetime, settings.id_token_lifetime, settings.access_token_lifetime)
    return max(*lifetimes, *(each or 0 for each in longest_of_clients)) + 2 * RELOAD_EVERY


def prospects(db: Session, settings: Settings) -> Sequence[tuple[SigningKey, Prospect]]:
    """Return all keys, each with what happens to it next."""
    found = list_keys(db)
    waiting = {key.algorithm: key for key in found if key.state == "next"}
    lasts = kept_for(db, settings)

    def prospect(key: SigningKey) -> Prospect:
        if key.state == "retired":
            return Prospect("is removed", (key.retired_at or key.created_at) + lasts)
        if key.state == "next":
            return Prospect("signs", key.created_at + settings.key_publish_lead)
        if successor := waiting.get(key.algorithm):
            return Prospect("retires", successor.created_at + settings.key_publish_lead)
        return Prospect("gets a successor", _successor_due_at(key, settings))

    return [(key, prospect(key)) for key in found]


def _due(found: _Keys, settings: Settings, *, is_wanted: bool) -> str | None:
    """Return the step that is due for an algorithm, or None."""
    now = clock.now()
    if found.active is None:
        return "key_published"
    if found.next is not None:
        return "key_activated" if found.next.created_at + settings.key_publish_lead <= now else None
    due_at = _successor_due_at(found.active, settings)
    return "key_published" if is_wanted or (due_at is not None and due_at <= now) else None


def _successor_due_at(active: SigningKey, settings: Settings) -> int | None:
    """Return when a successor is to be published: so early that it signs when the active key has its full age."""
    if not settings.key_rotation_interval:
        return None
    early = min(settings.key_publish_lead, settings.key_rotation_interval)
    return (active.activated_at or active.created_at) + settings.key_rotation_interval - early


def _lock(db: Session, algorithm: str) -> None:
    """Let nobody else touch an algorithm's keys until this transaction ends: whoever comes second sees what was done.

    The algorithm's rows are written to as they are; SQLite has one writer at a time in any case.
    """
    db.execute(update(SigningKey).where(SigningKey.algorithm == algorithm).values(algorithm=algorithm))
    db.expire_all()


def _keys_of(db: Session, algorithm: str) -> _Keys:
    found = db.scalars(
        select(SigningKey)
        .where(SigningKey.algorithm == algorithm, SigningKey.state != "retired")
        .order_by(SigningKey.created_at, SigningKey.kid)
        .execution_options(populate_existing=True)
    ).all()
    by_state = {key.state: key for key in reversed(found)}  # of several next keys the oldest is the next one
    return _Keys(by_state.get("active"), by_state.get("next"))


def _activate(db: Session, visitor: Visitor, algorithm: str, kid: str) -> None:
    """Let the next key sign. The one before it retires, and its private half is destroyed."""
    now = clock.now()
    db.execute(
        update(SigningKey)
        .where(SigningKey.algorithm == algorithm, SigningKey.state == "active")
        .values(state="retired", retired_at=now, private_sealed="")
    )
    db.execute(update(SigningKey).where(SigningKey.kid == kid).values(state="active", activated_at=now))
    audit.record(db, Event.KEY_ROTATED, visitor, kid=kid, algorithm=algorithm)
