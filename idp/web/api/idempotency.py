"""Idempotency-Key: a retry with the same key and body gets the same answer, and nothing happens twice.

The key is claimed, and the claim committed, before the work; the answer is stored in the work's own transaction, so
there is never one without the other. Only what succeeded is kept: a refusal changed nothing, so a retry may find that
it is admitted by now. Whoever comes while the work is done waits for its answer.
"""

import re
from collections.abc import Callable
from time import sleep

from flask import Response, request
from sqlalchemy import RowMapping, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from idp import clock, crypto, turns
from idp.clock import DAY
from idp.errors import Refusal
from idp.models import KeptAnswer
from idp.storage.changes import count_changed
from idp.storage.database import insert_into
from idp.storage.lean_session import pause
from idp.web import context

HEADER = "Idempotency-Key"
KEPT_FOR = DAY
CLAIM_LIFETIME = 60  # seconds after which somebody who died at the work is not waited for any more
KEY_PATTERN = r"^[!-~]{1,255}$"
_WAITS = 50
_WAIT = 0.1  # seconds
_ANSWERS, _REQUESTS = "kept answers", "repeated requests"  # a key of its own for each


class InvalidKey(Refusal):
    """An Idempotency-Key that is none."""

    code = "invalid_idempotency_key"


class KeyReused(Refusal):
    """The key of another request: whoever sent it would take that one's answer for this one's."""

    code = "idempotency_key_reused"
    status = 422


class InProgress(Refusal):
    """Somebody else is still at it."""

    code = "idempotency_in_progress"
    status = 409
    retry_after = 1

    def __init__(self) -> None:
        super().__init__("The first request with this Idempotency-Key is still being worked on.")


def once(client_id: str, work: Callable[[], Response]) -> Response:
    """Do the work, unless a request with the same key has done it: then return its answer.

    Args:
        client_id: whose key it is.
        work: makes the answer; called at most once. Without the header it is simply called.

    Raises:
        InvalidKey: it is no key.
        KeyReused: it was used for another request.
        InProgress: the request that it was used for is still being worked on.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return work()
    if not re.fullmatch(KEY_PATTERN, key):
        raise InvalidKey("The Idempotency-Key has 1 to 255 printable ASCII characters.")
    db, secret_key = context.database(), context.settings().secret_key
    key_digest = crypto.digest(f"{client_id} {key}")
    asked = f"{request.method} {request.path}\n".encode() + request.get_data()
    request_mac = crypto.mac(secret_key, _REQUESTS, asked).hex()
    claim_id = crypto.new_id()
    for _ in range(_WAITS):
        if _claim(db, key_digest, request_mac, claim_id):
            return _work(db, secret_key, key_digest, claim_id, work)
        kept = _find(db, key_digest)
        pause(db)  # a connection is too dear to wait with
        if kept is not None and kept["request_mac"] != request_mac:
            raise KeyReused("This Idempotency-Key was used for another request: take a new key for each.")
        if kept is not None and kept["status"] is not None:
            body = crypto.unseal(secret_key, _ANSWERS, kept["body_sealed"])
            return Response(body, kept["status"], mimetype="application/json")
        with turns.aside():
            sleep(_WAIT)
    raise InProgress


def _work(db: Session, secret_key: str, key_digest: str, claim_id: str, work: Callable[[], Response]) -> Response:
    own = and_(KeptAnswer.key_digest == key_digest, KeptAnswer.claim_id == claim_id)
    try:
        response = work()
        body_sealed = crypto.seal(secret_key, _ANSWERS, response.get_data(True))
        answer = {"status": response.status_code, "body_sealed": body_sealed}
        is_kept = count_changed(db, update(KeptAnswer).where(own).values(**answer))
        if is_kept:
            db.commit()  # already here: where that fails, the key is let go
    except Exception as fault:
        let_go = delete(KeptAnswer).where(own, KeptAnswer.status.is_(None))
        if isinstance(fault, Refusal) and fault.status < 500:
            db.execute(let_go)  # committed with the refusal's evidence
        else:
            db.rollback()
            db.execute(let_go)
            db.commit()
        raise
    if not is_kept:
        db.rollback()  # it took so long that another has taken over
        raise InProgress
    return response


def _claim(db: Session, key_digest: str, request_mac: str, claim_id: str) -> bool:
    """Claim a key that is new, expired, or left behind by a request that died; of many at once, one succeeds."""
    now = clock.now()
    fresh = {
        "request_mac": request_mac,
        "claim_id": claim_id,
        "claimed_until": now + CLAIM_LIFETIME,
        "status": None,
        "body_sealed": None,
        "expires_at": now + KEPT_FOR,
    }
    is_left_behind = and_(
        KeptAnswer.status.is_(None), KeptAnswer.claimed_until <= now, KeptAnswer.request_mac == request_mac
    )
    statement = (
        insert_into(db, KeptAnswer)
        .values(key_digest=key_digest, **fresh)
        .on_conflict_do_update(
            index_elements=[KeptAnswer.key_digest],
            set_=fresh,
            where=or_(KeptAnswer.expires_at <= now, is_left_behind),
        )
        .returning(KeptAnswer.claim_id)
    )
    claimed = db.execute(statement).first() is not None
    db.commit()
    return claimed


def _find(db: Session, key_digest: str) -> RowMapping | None:
    columns = (KeptAnswer.request_mac, KeptAnswer.status, KeptAnswer.body_sealed)
    row = db.execute(select(*columns).where(KeptAnswer.key_digest == key_digest)).first()
    return None if row is None else row._mapping
