"""Sweeps work a few rows at a time, rest between, take no lock to look, and pass what has to stay once."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, insert, select, update
from sqlalchemy.orm import Session

from idp import clock, crypto, worker
from idp.models import AuthorizationGrant, BrowserSession, Client, Throttle, User
from idp.settings import Settings
from idp.storage import batches
from idp.storage.batches import Batch, Walk, in_batches
from tests.relying_party import RelyingParty

DAY = 86_400


@pytest.fixture
def engine(db: Session) -> Engine:
    """Where the provider's data is."""
    bind = db.get_bind()
    assert isinstance(bind, Engine)
    return bind


@pytest.fixture
def asked(engine: Engine) -> Iterator[list[tuple[str, int]]]:
    """What the database was asked, and how many rows it changed for that."""
    found: list[tuple[str, int]] = []

    def note(_connection: Any, cursor: Any, sql: str, *_: Any) -> None:
        found.append((sql, cursor.rowcount))

    event.listen(engine, "after_cursor_execute", note)
    yield found
    event.remove(engine, "after_cursor_execute", note)


def test_no_transaction_deletes_more_than_a_batch(engine: Engine, db: Session, asked: list[tuple[str, int]]) -> None:
    count = 2 * batches.BATCH + 50
    db.execute(insert(Throttle), [{"bucket": f"b{number}", "available_at": 1} for number in range(count)])
    db.commit()
    commits: list[int] = []
    event.listen(engine, "commit", lambda _: commits.append(len(asked)))
    assert worker.sweep_all(engine)["throttle"] == count
    deleted = [rows for sql, rows in asked if sql.startswith("DELETE FROM throttle")]
    assert deleted == [batches.BATCH, batches.BATCH, 50]
    assert len(commits) >= len(worker.SWEEPS) + 2
    for first, last in zip([0, *commits], commits, strict=False):
        assert sum(sql.startswith("DELETE") for sql, _ in asked[first:last]) <= 1


def test_kinds_that_others_hang_on_come_in_smaller_batches() -> None:
    weights = {sweep.name: sweep.weight for sweep in worker.SWEEPS}
    assert weights["deleted_account"] > weights["pending_registration"] > weights["throttle"] == 1
    assert all(batches.BATCH // weight >= 1 for weight in weights.values())


def test_looking_takes_no_lock(engine: Engine, asked: list[tuple[str, int]], settings: Settings) -> None:
    """An UPDATE or DELETE would begin SQLite's one write transaction even where it finds nothing."""
    assert not any(worker.sweep_all(engine).values())
    assert worker._end_expired_sessions(engine, settings, None) == {"session_expired": 0}
    assert asked
    assert {sql.split()[0] for sql, _ in asked} == {"SELECT"}


def test_others_have_their_turn_between_two_batches(engine: Engine) -> None:
    class Stop(threading.Event):
        waits: list[float]

        def wait(self, timeout: float | None = None) -> bool:
            self.waits.append(timeout or 0.0)
            return self.is_set()

    stop = Stop()
    stop.waits = []
    left = [3, 3, 2]
    assert in_batches(engine, stop, lambda _: Batch(left.pop(0), not left)) == 8
    assert len(stop.waits) == 2
    assert all(wait > 0 for wait in stop.waits)
    stop.set()
    assert in_batches(engine, stop, lambda _: Batch(1, is_last=False)) == 0


@pytest.fixture
def old_grants(relying_party: Callable[..., RelyingParty], make_user: Callable[..., User], db: Session) -> list[str]:
    """Ids of grants whose time is over, the oldest first; their session lives."""
    make_user("ada")
    relying_party().log_in()
    session_id = db.scalars(select(BrowserSession.id)).one()
    user_id = db.scalars(select(User.id)).one()
    client_id = db.scalars(select(Client.client_id)).first()
    common = {
        "client_id": client_id, "user_id": user_id, "scope": "", "auth_time": 1, "acr": "", "amr": [],
        "is_offline": False, "created_at": 1, "resources": [],
    }  # fmt: skip
    rows = [{"id": crypto.new_id(), "session_id": session_id, "expires_at": at, **common} for at in range(1, 10)]
    db.execute(insert(AuthorizationGrant), rows)
    db.commit()
    return [str(row["id"]) for row in rows]


def _walk() -> Walk:
    return Walk(AuthorizationGrant.id, AuthorizationGrant.expires_at, unless=worker._HAS_LIVING_SESSION)


@pytest.fixture
def before_deletion(engine: Engine) -> Iterator[list[str]]:
    """What others do once it was looked for what may go: statements."""
    meanwhile: list[str] = []

    def change(_connection: Any, cursor: Any, sql: str, *_: Any) -> None:
        while sql.startswith("DELETE") and meanwhile:
            cursor.execute(meanwhile.pop())

    event.listen(engine, "before_cursor_execute", change)
    yield meanwhile
    event.remove(engine, "before_cursor_execute", change)


def test_what_is_of_use_again_when_it_is_to_go_stays(engine: Engine, db: Session, before_deletion: list[str]) -> None:
    db.execute(insert(Throttle), [{"bucket": name, "available_at": 1} for name in "ab"])
    db.commit()
    before_deletion.append("UPDATE throttle SET available_at = 2000000000 WHERE bucket = 'a'")
    with Session(engine) as own, own.begin():
        assert batches.delete_expired(Throttle.bucket, Throttle.available_at, own, most=10) == 1
    assert db.scalars(select(Throttle.bucket)).all() == ["a"]


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE {BrowserSession.__tablename__} SET ended_at = NULL",
        f"UPDATE {AuthorizationGrant.__tablename__} SET expires_at = 2000000000",
    ],
)
def test_what_is_held_again_when_it_is_to_go_stays(
    old_grants: list[str], engine: Engine, db: Session, before_deletion: list[str], change: str
) -> None:
    db.scalars(select(BrowserSession)).one().ended_at = 1
    db.commit()
    before_deletion.append(change)
    assert in_batches(engine, None, lambda own: _walk().delete_some(own, most=20)) == 0
    assert not before_deletion


def test_rows_of_the_same_second_are_all_looked_at(
    old_grants: list[str], engine: Engine, db: Session, asked: list[tuple[str, int]]
) -> None:
    db.execute(update(AuthorizationGrant).where(AuthorizationGrant.id.in_(old_grants)).values(expires_at=1))
    db.commit()
    walk = _walk()
    in_batches(engine, None, lambda own: walk.delete_some(own, most=2))
    assert sum("ORDER BY" in sql for sql, _ in asked) == 5


def test_what_has_to_stay_is_looked_at_once_a_round(
    old_grants: list[str], engine: Engine, asked: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "FRUITLESS", 3)
    walk = _walk()
    seen = 0
    for _ in range(3):  # tired; tired; and then all were seen
        asked.clear()
        assert in_batches(engine, None, lambda db: walk.delete_some(db, most=2)) == 0
        looks = sum("ORDER BY" in sql for sql, _ in asked)
        assert looks <= 3
        seen += looks
    assert seen == 3 + 2 + 3
    assert not any(sql.startswith("DELETE") for sql, _ in asked)


def test_what_may_go_behind_what_has_to_stay_is_reached(
    old_grants: list[str], engine: Engine, db: Session, monkeypatch: pytest.MonkeyPatch, clock: Any
) -> None:
    monkeypatch.setattr(batches, "FRUITLESS", 1)
    ended = db.scalars(select(BrowserSession)).one()
    other = {column.key: getattr(ended, column.key) for column in BrowserSession.__table__.columns}
    fresh = {"id": crypto.new_id(), "token_digest": "another", "ended_at": 1}
    db.execute(insert(BrowserSession).values({**other, **fresh}))
    for free in (old_grants[4], old_grants[7]):
        grant = db.get_one(AuthorizationGrant, free)
        grant.session_id = fresh["id"]
    db.commit()
    walk = _walk()
    rounds = [in_batches(engine, None, lambda own: walk.delete_some(own, most=2)) for _ in range(5)]
    assert sum(rounds) == 2
    left = db.scalar(select(func.count()).select_from(AuthorizationGrant).where(AuthorizationGrant.expires_at < DAY))
    assert left == len(old_grants) - 2


def test_a_walk_begins_anew_when_it_has_seen_all(old_grants: list[str], engine: Engine, db: Session) -> None:
    walk = _walk()
    for _ in range(2):
        assert in_batches(engine, None, lambda own: walk.delete_some(own, most=4)) == 0
    db.execute(BrowserSession.__table__.update().values(ended_at=clock.now()))
    db.commit()
    with Session(engine) as own, own.begin():
        assert walk.delete_some(own, most=4) == Batch(4, is_last=False)
    assert in_batches(engine, None, lambda own: walk.delete_some(own, most=4)) == len(old_grants) - 4
