"""Fills a database with people who have used the provider for a while: what `growth.py` and `sweeping.py` measure on.

Each person has a living session and, every second, one that has ended; a grant that is good while they are away, with a
living refresh token and every second time a used one; consents, roles, mails, throttle buckets and audit rows as they
come about. Access tokens have no row: each grant stands for one that is alive.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from idp import crypto
from idp.accounts.visitor import OPERATOR
from idp.migrations import runner
from idp.models import Base
from idp.oidc import refresh_tokens
from idp.oidc.client_store import register_client
from idp.oidc.clients import ClientMetadata
from idp.oidc.keys import ensure_keys
from idp.settings import Settings
from idp.storage import database

PASSWORD = "correct horse battery staple"
APPS = 20
CHUNK = 5_000  # people that are written at once
MADE = 2  # of which make a database is: another one is built anew
DAY = 86_400
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

Rows = dict[str, list[dict[str, Any]]]


def prepare(folder: Path, people: int, url: str, say: Callable[[str], None]) -> Settings:
    """Return the settings of an instance with so many people; built at the first time, and kept.

    Args:
        folder: where instances are kept, one for each size.
        people: how many.
        url: of a PostgreSQL database that is this instance's own; empty for SQLite.
        say: is told how far it has come.
    """
    instance = folder / f"{'postgresql' if url else 'sqlite'}-{people}"
    mark = instance / "population.json"
    key = "a secret key for a benchmark, and for nothing else"
    settings = Settings(
        instance=instance, secret_key=key, database_url=url, registration="open", bcrypt_cost=4, log_level="error",
        throttle_account_burst=10**6, throttle_address_burst=10**6, metrics_token="bench",
    )  # fmt: skip
    if mark.exists() and _is_fresh(json.loads(mark.read_text())):
        runner.upgrade(settings)
        return settings
    instance.mkdir(parents=True, exist_ok=True)
    for file in instance.glob("idp.sqlite3*"):
        file.unlink()
    engine = database.open_engine(settings)
    if url:
        with engine.begin() as connection:
            Base.metadata.drop_all(connection)
            connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))
    runner.upgrade(settings)
    engine.dispose()
    with database.open_session(settings) as db:
        ensure_keys(db, settings, OPERATOR)
    fill(settings, people, say)
    mark.write_text(json.dumps({"made": MADE, "at": int(time.time())}))
    return settings


def _is_fresh(mark: dict[str, int]) -> bool:
    """Tell whether people are as this program makes them, and their sessions are alive still."""
    return mark.get("made") == MADE and time.time() - mark.get("at", 0) < 3 * DAY


def fill(settings: Settings, people: int, say: Callable[[str], None]) -> None:
    """Write apps and people; indexes that are not unique are made when all is there, which is much quicker.

    Args:
        settings: of an instance that is empty, but has its schema.
        people: how many.
        say: is told how far it has come.
    """
    with database.open_session(settings) as db:
        for number in range(APPS):
            app = ClientMetadata(
                client_id=f"app-{number}", client_name=f"App {number}", redirect_uris=("https://app.example.org/cb",),
                scopes=("openid", "profile", "email", "offline_access"), is_trusted=number % 2 == 0,
                grant_types=("authorization_code", "refresh_token"),
                backchannel_logout_uri="http://127.0.0.1:9/logout",
            )  # fmt: skip
            register_client(db, settings, OPERATOR, app)
    engine = database.open_engine(settings)
    indexes = [index for table in Base.metadata.sorted_tables for index in table.indexes if not index.unique]
    is_sqlite = engine.dialect.name == "sqlite"
    now, told = int(time.time()), time.monotonic()
    password_hash = crypto.hash_password(PASSWORD, 4)
    with engine.connect() as connection:
        if is_sqlite:
            for pragma in ("foreign_keys=OFF", "synchronous=OFF", "cache_size=-600000", "temp_store=MEMORY"):
                connection.exec_driver_sql(f"PRAGMA {pragma}")
        for index in indexes:
            index.drop(connection)
        connection.commit()
        for first in range(0, people, CHUNK):
            rows = _rows(range(first, min(first + CHUNK, people)), now, password_hash)
            for table in Base.metadata.sorted_tables:
                if rows.get(table.name):
                    _insert(connection, table, rows[table.name])
            connection.commit()
            if time.monotonic() - told > 10:
                told = time.monotonic()
                say(f"  {first + CHUNK:,} of {people:,} people written ...")
        for index in indexes:
            index.create(connection)
        connection.commit()
        if not is_sqlite:  # as autovacuum does by itself sooner or later
            driver: Any = connection.connection.driver_connection
            driver.execute("VACUUM ANALYZE")  # outside of a transaction
    engine.dispose()  # pragmas of the next connection are the product's own


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    columns = list(rows[0])
    if connection.dialect.name == "sqlite":
        marks, names = ", ".join("?" * len(columns)), ", ".join(columns)
        sql = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'
        connection.exec_driver_sql(sql, [tuple(row.values()) for row in rows])
        return
    cursor = connection.connection.cursor()
    with cursor.copy(f'COPY "{table.name}" ({", ".join(columns)}) FROM STDIN') as copy:  # type: ignore[attr-defined]
        booleans = {column.name for column in table.columns if isinstance(column.type, sa.Boolean)}
        for row in rows:
            copy.write_row([bool(value) if name in booleans else value for name, value in row.items()])
    cursor.close()


def name_of(number: int) -> str:
    """Return a person's user name."""
    return f"person{number:07}"


def session_token(number: int) -> str:
    """Return the secret of a person's living session: the cookie's value."""
    return _id("session", number)


def _row_id(what: str, number: int) -> str:
    """Return an id like those that `crypto` makes for rows that come and go: the next person's follow."""
    return f"{abs(number):08x}{_id(what, number)[:24]}"


def _id(what: str, number: int) -> str:
    """Return an id as random as those that `crypto` makes, but the same in each run."""
    return hashlib.sha256(f"{what} {number}".encode()).hexdigest()[:32]


def _rows(numbers: range, now: int, password_hash: str) -> Rows:
    rows: Rows = {}
    for number in numbers:
        for table, row in _of_person(number, now, password_hash):
            rows.setdefault(table, []).append(row)
    return rows


def _of_person(number: int, now: int, password_hash: str) -> Iterator[tuple[str, dict[str, Any]]]:
    user_id, name, joined = _id("user", number), name_of(number), now - DAY * (5 + number % 300)
    seen, app = now - number % (3 * DAY), f"app-{number % APPS}"
    yield "user", {
        "id": user_id, "username": name, "username_key": name, "username_skeleton": name,
        "email": f"{name}@example.org", "email_key": f"{name}@example.org", "email_verified_at": joined,
        "given_name": f"Given {number % 997}", "family_name": f"Family {number % 9973}", "locale": "en",
        "password_hash": password_hash, "password_changed_at": joined, "is_password_temporary": 0,
        "is_registration_pending": 0, "created_at": joined, "updated_at": joined,
    }  # fmt: skip
    yield "audit_event", _event(joined, "account:user:create", user_id, {"username": name})
    if number % 10 == 0:
        yield "user_role", {"user_id": user_id, "role": f"role-{number % 7}"}
    sessions = [_session(user_id, _id("session", number), seen - DAY, seen, seen + 13 * DAY, None)]
    if number % 2:
        old = _id("old", number)
        sessions.append(_session(user_id, old, joined, joined + 100, joined + 14 * DAY, joined + 3_600))
    for session in sessions:
        yield "browser_session", session
        about = {"session_id": session["id"]}
        yield "audit_event", _event(session["created_at"], "account:session:start", user_id, about)
        if session["ended_at"]:
            about = {"session_id": session["id"], "reason": "signed_out"}
            yield "audit_event", _event(session["ended_at"], "account:session:end", user_id, about)
    grant_id = _row_id("grant", number)
    yield "authorization_grant", {
        "id": grant_id, "client_id": app, "user_id": user_id, "session_id": _id("session", number),
        "scope": "openid profile email offline_access", "kind": "code", "resources": "[]",
        "nonce": _id("nonce", number), "redirect_uri": "https://app.example.org/cb",
        "code_digest": crypto.digest(f"code {number}"), "code_challenge": crypto.digest(f"pkce {number}")[:43],
        "code_expires_at": seen + 60, "code_claimed_at": seen, "auth_time": seen - DAY, "acr": "aal1",
        "amr": '["pwd"]', "is_offline": 1, "created_at": seen, "expires_at": seen + 31 * DAY,
    }  # fmt: skip
    yield "refresh_token", _token(number, grant_id, app, seen, None)
    if number % 2:
        yield "refresh_token", _token(-number, grant_id, app, seen - DAY, seen)
    if number % 3 == 0:
        yield "consent", {
            "user_id": user_id, "client_id": app, "scope": "openid profile email", "claims": "[]", "granted_at": joined
        }  # fmt: skip
        yield "audit_event", _event(joined, "account:consent:give", user_id, {"scope": "openid profile email"})
    if number % 4 == 0:
        yield "mail_message", {
            "id": _row_id("mail", number), "kind": "confirmation", "recipient": f"{name}@example.org",
            "subject": "Confirm",
            "body_sealed": "", "state": "sent", "attempts": 1, "created_at": now - number % (29 * DAY) - 5,
            "next_attempt_at": now - number % (29 * DAY) - 5, "finished_at": now - number % (29 * DAY),
        }  # fmt: skip
    if number % 5 == 0:
        yield "throttle", {"bucket": f"sign_in_account:{_id('throttle', number)}", "available_at": now + 30 * DAY}
    if number % 50 == 0:
        yield "revoked_access_token", {"token_id": _id("revoked", number), "expires_at": now + 30 * DAY}
    if number % 20 == 0:  # an app that has not answered for a while
        yield "logout_notice", {
            "id": _row_id("notice", number), "client_id": "app-0", "user_id": user_id,
            "session_id": _id("old", number),
            "state": "waiting", "attempts": 3, "created_at": now - 3_600, "next_attempt_at": now - 600,
        }  # fmt: skip


def _event(at: int, event: str, user_id: str, details: dict[str, str]) -> dict[str, Any]:
    return {
        "at": at, "event": event, "user_id": user_id, "actor": "user", "address": "192.0.2.7",
        "user_agent": USER_AGENT, "details": json.dumps(details),
    }  # fmt: skip


def _session(user_id: str, session_id: str, began: int, seen: int, until: int, ended: int | None) -> dict[str, Any]:
    return {
        "id": session_id, "user_id": user_id, "token_digest": crypto.digest(session_id),
        "browser_digest": crypto.digest(f"browser {user_id}"), "auth_time": began, "acr": "aal1", "amr": '["pwd"]',
        "user_agent": USER_AGENT, "address": "192.0.2.7", "created_at": began, "last_seen_at": seen,
        "expires_at": until, "ended_at": ended, "end_reason": "signed_out" if ended else None,
    }  # fmt: skip


def _token_digest(number: int, made: int) -> str:
    return refresh_tokens.digest(f"{refresh_tokens.PREFIX}{made:08x}{_id('token', number):0<43}")


def _token(number: int, grant_id: str, app: str, made: int, claimed: int | None) -> dict[str, Any]:
    return {
        "id": _row_id("token", number), "grant_id": grant_id, "client_id": app,
        "token_digest": _token_digest(number, made), "scope": "openid profile email offline_access",
        "created_at": made, "expires_at": made + 30 * DAY, "claimed_at": claimed,
    }  # fmt: skip


# -- Rows with no more in them than must be, to be ended and swept ------------------------------


def plain_session(user_id: str, **given: Any) -> dict[str, Any]:
    """Return a session that nobody has used for long."""
    return {
        "id": crypto.new_id(), "user_id": user_id, "token_digest": crypto.digest(crypto.new_token()),
        "browser_digest": "", "auth_time": 1, "acr": "aal1", "amr": ["pwd"], "user_agent": "", "address": "",
        "created_at": 1, "last_seen_at": 1, "expires_at": int(time.time()) + DAY, **given,
    }  # fmt: skip


def plain_grant(user_id: str, session_id: str, **given: Any) -> dict[str, Any]:
    """Return a grant of an app, whose time is over unless something else is given."""
    return {
        "id": crypto.new_row_id(1), "client_id": "app-1", "user_id": user_id, "session_id": session_id,
        "scope": "openid", "auth_time": 1, "acr": "aal1", "amr": ["pwd"], "is_offline": False, "created_at": 1,
        "expires_at": 2, "code_claimed_at": 1, "resources": [], **given,
    }  # fmt: skip


def old_token(grant_id: str) -> dict[str, Any]:
    """Return a refresh token that was used, and whose time is over."""
    return {
        "id": crypto.new_row_id(1), "grant_id": grant_id, "client_id": "bench", "scope": "", "created_at": 1,
        "token_digest": refresh_tokens.digest(refresh_tokens.new(1)), "expires_at": 2, "claimed_at": 1,
    }  # fmt: skip
