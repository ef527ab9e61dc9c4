"""Token revocation (RFC 7009)."""

import pytest
from sqlalchemy import select

from idp.models import AuditEvent
from tests.relying_party import error_of

OFFLINE = "openid offline_access"


def test_an_access_token_is_given_back_alone(rp):
    tokens = rp.log_in(scope=OFFLINE)
    rp.revoke(tokens.access_token)
    assert not rp.is_good(tokens)
    assert rp.introspect(tokens.access_token) == {"active": False}
    assert rp.is_good(rp.refresh(tokens.refresh_token))


def test_a_refresh_token_takes_all_of_its_grant_along(rp):
    first = rp.log_in(scope=OFFLINE)
    second = rp.refresh(first.refresh_token)
    rp.revoke(second.refresh_token)
    assert not rp.is_good(first)
    assert not rp.is_good(second)
    assert error_of(rp.request_refresh(second.refresh_token)) == "invalid_grant"


def test_a_used_refresh_token_does_so_too(rp):
    """An app that lost the newest one can still end it all."""
    first = rp.log_in(scope=OFFLINE)
    second = rp.refresh(first.refresh_token)
    rp.revoke(first.refresh_token)
    assert not rp.is_good(second)


def test_other_sign_ins_go_on(rp):
    first, second = rp.log_in(scope=OFFLINE), rp.log_in(scope=OFFLINE)
    rp.revoke(first.refresh_token)
    assert rp.is_good(second)


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "unknown_kind"])
def test_a_wrong_hint_does_no_harm(rp, kind, hint):
    tokens = rp.log_in(scope=OFFLINE)
    rp.revoke(tokens.response[kind], token_type_hint=hint)
    assert not rp.is_good(tokens)


@pytest.mark.parametrize("token", ["x", "é", "idp_rt_x", "idp_at_x", "x" * 9_000])
def test_there_may_be_nothing_to_revoke(rp, token):
    rp.revoke(token)


def test_giving_back_twice_is_no_error(rp):
    tokens = rp.log_in(scope=OFFLINE)
    for _ in range(2):
        rp.revoke(tokens.access_token)
        rp.revoke(tokens.refresh_token)


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_tokens_of_other_apps_are_left_alone(rp, relying_party, kind):
    tokens = rp.log_in(scope=OFFLINE)
    response = relying_party().post("revocation_endpoint", token=tokens.response[kind])
    assert response.status_code == 400
    assert error_of(response) == "invalid_grant"
    assert rp.is_good(rp.refresh(tokens.refresh_token))


def test_a_public_client_gives_back_what_it_has(public_rp):
    tokens = public_rp.log_in(scope=OFFLINE)
    public_rp.revoke(tokens.refresh_token)
    assert not public_rp.is_good(tokens)


def test_a_missing_token_is_named(rp):
    response = rp.post("revocation_endpoint")
    assert response.status_code == 400
    assert error_of(response) == "invalid_request"


def test_it_is_written_down_where_something_ended(rp, db):
    tokens = rp.log_in(scope=OFFLINE)
    rp.revoke("nonsense")
    for token in (tokens.access_token, tokens.refresh_token):
        for _ in range(2):
            rp.revoke(token)
    events = db.scalars(select(AuditEvent).where(AuditEvent.event == "client:token:revoke")).all()
    assert [event.client_id for event in events] == [rp.metadata.client_id] * 2
