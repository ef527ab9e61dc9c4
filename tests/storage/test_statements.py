"""Prepared statements do what SQLAlchemy's own would: in the session's transaction, with its types and its errors."""

import pytest
from sqlalchemy import Engine, event, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from idp.migrations import runner
from idp.models import Client, RevokedAccessToken, SigningKey
from idp.settings import Settings
from idp.storage.statements import Prepared, value

ADD = Prepared(insert(RevokedAccessToken), columns=("token_id", "expires_at"))
FIND = Prepared(
    select(RevokedAccessToken.token_id, RevokedAccessToken.expires_at)
    .where(RevokedAccessToken.expires_at > value("now"), RevokedAccessToken.token_id.not_in(("x", "y")))
    .order_by(RevokedAccessToken.token_id)
)
POSTPONE = Prepared(
    update(RevokedAccessToken)
    .where(RevokedAccessToken.expires_at < value("before"))
    .values(expires_at=value("then"))
    .returning(RevokedAccessToken.token_id)
)
ADD_KEY = Prepared(
    insert(SigningKey), columns=("kid", "algorithm", "state", "public_jwk", "private_sealed", "created_at")
)
FIND_KEY = Prepared(select(SigningKey.public_jwk, SigningKey.retired_at).where(SigningKey.kid == value("kid")))


@pytest.fixture
def db(empty_database: Settings, engine: Engine):
    runner.upgrade(empty_database)
    with Session(engine, expire_on_commit=False) as session:
        yield session


def test_rows_come_by_the_names_of_their_columns(db):
    assert ADD.run(db, token_id="a", expires_at=10) == 1
    ADD.run(db, token_id="b", expires_at=20)
    assert FIND.first(db, now=0) == {"token_id": "a", "expires_at": 10}
    assert FIND.first(db, now=15) == {"token_id": "b", "expires_at": 20}
    assert FIND.scalar(db, now=15) == "b"
    assert FIND.first(db, now=99) is None
    assert FIND.scalar(db, now=99) is None


def test_what_is_returned_by_an_update(db):
    ADD.run(db, token_id="a", expires_at=10)
    assert POSTPONE.first(db, before=15, then=50) == {"token_id": "a"}
    assert POSTPONE.first(db, before=15, then=50) is None


def test_types_are_those_of_the_columns(db):
    jwk = {"kty": "RSA", "n": "ä", "more": [1, None]}
    ADD_KEY.run(db, kid="k", algorithm="RS256", state="next", public_jwk=jwk, private_sealed="sealed", created_at=2**40)
    assert FIND_KEY.first(db, kid="k") == {"public_jwk": jwk, "retired_at": None}


def test_they_are_part_of_the_sessions_transaction(db, engine):
    ADD.run(db, token_id="a", expires_at=10)
    db.rollback()
    assert FIND.first(db, now=0) is None
    ADD.run(db, token_id="a", expires_at=10)
    with Session(engine) as other:
        assert FIND.first(other, now=0) is None
    db.commit()
    with Session(engine) as other:
        assert FIND.scalar(other, now=0) == "a"


def test_they_see_what_was_done_by_objects(db):
    db.add(RevokedAccessToken(token_id="a", expires_at=10))
    assert FIND.scalar(db, now=0) == "a"


def test_errors_are_sqlalchemys_and_hold_no_values(db):
    ADD.run(db, token_id="a secret", expires_at=10)
    db.commit()
    with pytest.raises(IntegrityError) as told:
        ADD.run(db, token_id="a secret", expires_at=10)
    assert "INSERT INTO revoked_access_token" in str(told.value)
    assert told.value.params is None
    db.rollback()
    assert FIND.scalar(db, now=0) == "a secret"


def test_a_table_that_is_not_there(empty_database, engine):
    with Session(engine) as db, pytest.raises((OperationalError, ProgrammingError)):
        FIND.first(db, now=0)


def test_listeners_hear_of_them(db, engine):
    heard = []
    event.listen(engine, "before_cursor_execute", lambda *told: heard.append(told[2]))
    FIND.first(db, now=0)
    assert [sql.split()[0] for sql in heard] == ["SELECT"]


def test_a_value_that_the_statement_does_not_have(db):
    with pytest.raises(TypeError, match="colour"):
        FIND.first(db, now=0, colour="red")


def test_a_column_that_an_insert_was_to_be_given_and_is_not(db):
    """SQLAlchemy marks its place with what a database would take for a number."""
    with pytest.raises(TypeError, match="expires_at"):
        ADD.run(db, token_id="a")


def test_columns_that_an_insert_leaves_out_have_their_defaults(db):
    add = Prepared(
        insert(Client),
        columns=(
            *("client_id", "version", "client_name", "token_endpoint_auth_method", "redirect_uris"),
            *("post_logout_redirect_uris", "grant_types", "response_types", "scopes", "is_trusted", "is_pkce_required"),
            *("has_id_token_claims", "is_access_token_session_bound", "created_at", "updated_at"),
        ),
    )
    lists = {f"{name}s": [] for name in ("redirect_uri", "post_logout_redirect_uri", "grant_type", "response_type")}
    flags = {f"is_{name}": True for name in ("trusted", "pkce_required", "access_token_session_bound")}
    named = {"client_id": "c", "client_name": "C", "token_endpoint_auth_method": "none"}
    add.run(db, version=1, created_at=1, updated_at=1, scopes=[], has_id_token_claims=True, **named, **lists, **flags)
    found = Prepared(select(Client.subject_type, Client.is_trusted, Client.is_single_session, Client.resources))
    assert found.first(db) == {
        "subject_type": "public", "is_trusted": True, "is_single_session": False, "resources": []
    }  # fmt: skip
