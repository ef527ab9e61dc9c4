"""Links that are mailed: one purpose, one use, and an end."""

import pytest
from sqlalchemy import select

from idp import crypto
from idp.accounts import deletion, one_time_links, users
from idp.accounts.one_time_links import LinkInfo, binding_of, claim_link, make_link, page_url, peek_link
from idp.accounts.visitor import OPERATOR
from idp.errors import ExpiredError
from idp.models import OneTimeLink, User
from tests.at_once import transactions_at_once
from tests.waiting import at_that_moment

PURPOSE = one_time_links.RESET_PASSWORD
HOUR = 3_600


@pytest.fixture
def token(db, ada):
    """A link of Ada's that is good for an hour."""
    return made(db, ada)


def made(db, user, purpose=PURPOSE):
    secret = make_link(
        db,
        purpose,
        user_id=user.id,
        email=user.email_key,
        binding=binding_of(user.email_key, user.password_hash),
        lifetime=HOUR,
        data={"email": "new@example.org"},
    )
    db.commit()
    return secret


def is_good(db, token, purpose=PURPOSE):
    try:
        peek_link(db, token, purpose)
    except ExpiredError:
        return False
    return True


def test_a_link_says_what_it_was_made_for(db, ada, token):
    link = peek_link(db, token, PURPOSE)
    assert link == LinkInfo(ada.id, "ada@example.org", {"email": "new@example.org"})
    assert claim_link(db, token, PURPOSE) == link


def test_looking_at_it_does_not_use_it_up(db, token):
    for _ in range(3):
        assert is_good(db, token)
    assert claim_link(db, token, PURPOSE)


def test_it_is_good_once(db, token):
    claim_link(db, token, PURPOSE)
    db.commit()
    assert not is_good(db, token)
    with pytest.raises(ExpiredError):
        claim_link(db, token, PURPOSE)


def test_it_is_good_for_nothing_else(db, token):
    for purpose in (one_time_links.VERIFY_ADDRESS, one_time_links.INVITATION, ""):
        assert not is_good(db, token, purpose)
        with pytest.raises(ExpiredError):
            claim_link(db, token, purpose)
    assert is_good(db, token)


def test_it_ends_in_time(db, clock, ada):
    token = made(db, ada)
    clock.advance(HOUR - 1)
    assert is_good(db, token)
    clock.advance(1)
    assert not is_good(db, token)
    with pytest.raises(ExpiredError):
        claim_link(db, token, PURPOSE)


@pytest.mark.parametrize("changed", ["password", "address", "disabled", "gone"])
def test_it_dies_when_the_account_changes(db, ada, token, changed):
    if changed == "password":
        ada.password_hash = crypto.hash_password("another password entirely", 4)
    elif changed == "address":
        ada.email = ada.email_key = "countess@example.org"
    elif changed == "disabled":
        users.disable_user(db, OPERATOR, ada.id)
    else:
        db.delete(ada)
    db.commit()
    assert not is_good(db, token)
    with pytest.raises(ExpiredError):
        claim_link(db, token, PURPOSE)
    db.commit()


def test_other_changes_leave_it_alone(db, ada, token):
    ada.given_name, ada.nickname = "Augusta", "Countess"
    db.commit()
    assert is_good(db, token)


def test_whoever_has_no_account_is_bound_by_the_caller(db):
    token = make_link(db, one_time_links.INVITATION, user_id=None, email="zoe@example.org", binding="x", lifetime=HOUR)
    assert isinstance(claim_link(db, token, one_time_links.INVITATION), LinkInfo)


@pytest.mark.parametrize("nonsense", ["", "x", "\x00", "\ud800", "ä" * 43, "a" * 70_000])
def test_what_is_no_token_opens_nothing(db, token, nonsense):
    assert not is_good(db, nonsense)
    with pytest.raises(ExpiredError):
        claim_link(db, nonsense, PURPOSE)


def test_the_secret_is_stored_nowhere(db, token):
    row = db.execute(select(OneTimeLink.__table__)).one()
    assert token not in repr(row)
    assert row.token_digest == crypto.digest(token)


def test_of_many_who_claim_it_at_once_one_gets_it(settings, token):
    outcomes = transactions_at_once(settings, 8, lambda db, _number: claim_link(db, token, PURPOSE))
    assert sum(isinstance(outcome, LinkInfo) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, ExpiredError) for outcome in outcomes) == 7


def test_who_claims_it_while_the_account_is_deleted_gets_nothing(settings, db, ada, token):
    """Neither waits for the other: who deletes holds the account first, and then its links."""

    def claim(own):
        with pytest.raises(ExpiredError):
            claim_link(own, token, PURPOSE)
        return True

    def delete(own):
        assert deletion.delete_account(own, OPERATOR, ada.id)

    assert at_that_moment(settings, lambda own: users.disable_user(own, OPERATOR, ada.id), claim, then=delete)
    assert db.scalar(select(OneTimeLink.id)) is None


def test_links_of_a_deleted_account_go_with_it(db, ada, token):
    db.delete(db.get(User, ada.id))
    db.commit()
    assert db.execute(select(OneTimeLink.id)).all() == []


def test_each_purpose_has_a_page_of_ours(settings):
    for purpose in one_time_links.PAGES:
        url = page_url(settings, purpose, "t-o_k")
        assert url.startswith(f"{settings.issuer}/")
        assert url.endswith("?token=t-o_k")
