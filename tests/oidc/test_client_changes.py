"""A client that is changed while people use it: what counts at once, what ends, and what stays."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp import crypto
from idp.accounts.visitor import OPERATOR
from idp.errors import AlreadyExistsError, InvalidInputError
from idp.models import Client, User
from idp.oidc import client_store
from idp.oidc.client_keys import SECRET_PURPOSE
from idp.oidc.clients import TOKEN_EXCHANGE_GRANT, ClientMetadata
from idp.settings import Settings
from idp.storage import database
from tests.at_once import transactions_at_once
from tests.relying_party import RelyingParty

API = "https://api.example.org/"
Change = Callable[..., tuple[ClientMetadata, str | None]]


@pytest.fixture
def change(db: Session, settings: Settings) -> Change:
    """Change a client and commit."""

    def make(client_id: str, **changes: Any) -> tuple[ClientMetadata, str | None]:
        db.rollback()
        before = client_store.get_client(db, client_id)
        done = client_store.update_client(db, settings, OPERATOR, before, replace(before, **changes))
        db.commit()
        return done

    return make


@pytest.mark.parametrize(
    "changes",
    [
        {"client_name": "Other"},
        {
            "scopes": (
                "openid",
                "profile",
                "email",
                "address",
                "phone",
                "roles",
                "account",
                "offline_access",
                "recovery",
            )
        },
        {"access_token_lifetime": 60},
        {"redirect_uris": ("https://new.example.org/",)},
        {"is_trusted": False},
        {"resources": ("https://api.example.org/",)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_it_holds_stays_when_nothing_is_taken_away(
    rp: RelyingParty, change: Change, changes: dict[str, Any]
) -> None:
    tokens = rp.log_in()
    if "recovery" in changes.get("scopes", ()):
        changes = {**changes, "grant_types": (*rp.metadata.grant_types, "client_credentials")}
    change(rp.metadata.client_id, **changes)
    assert rp.request_userinfo(tokens.access_token).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": ("openid",)},
        {"subject_type": "pairwise"},
        {"grant_types": ("authorization_code",)},
        {"grant_types": ("client_credentials",), "response_types": ()},
        {"resources": ("https://other.example.org/",)},
        {"is_access_token_session_bound": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_it_holds_ends_when_a_right_is_taken_away(
    rp: RelyingParty, change: Change, changes: dict[str, Any]
) -> None:
    change(rp.metadata.client_id, resources=(rp.issuer, "https://other.example.org/"))
    tokens = rp.log_in(scope="openid email offline_access", resource=rp.issuer)
    assert rp.is_good(tokens)
    change(rp.metadata.client_id, **changes)
    assert rp.request_userinfo(tokens.access_token).status_code == 401
    refused = rp.request_refresh(tokens.refresh_token)
    assert refused.status_code == 400


@pytest.mark.parametrize("access_token_format", ["opaque", "jwt"])
@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": ("recovery",)},
        {"resources": ()},
        {"grant_types": (TOKEN_EXCHANGE_GRANT,), "scopes": ()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_token_of_its_own_ends_when_a_right_is_taken_away(
    relying_party: Callable[..., RelyingParty], change: Change, changes: dict[str, Any], access_token_format: str
) -> None:
    """It hangs on no grant of a person that could be ended."""
    job = relying_party(
        grant_types=("client_credentials", TOKEN_EXCHANGE_GRANT),
        redirect_uris=(),
        scopes=("recovery", "recovery:password"),
        resources=(API,),
        access_token_format=access_token_format,
    )
    told = job.post("token_endpoint", grant_type="client_credentials", resource=API).json
    change(job.metadata.client_id, client_name="Other")
    assert job.introspect(told["access_token"])["scope"] == "recovery recovery:password"
    change(job.metadata.client_id, **changes)
    assert job.introspect(told["access_token"]) == {"active": False}


@pytest.mark.parametrize(
    "changes",
    [{"scopes": ("openid",)}, {"resources": ("https://other.example.org/",)}, {"grant_types": ("client_credentials",)}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_an_api_exchanged_ends_when_a_right_is_taken_from_the_api(
    rp: RelyingParty, relying_party: Callable[..., RelyingParty], change: Change, changes: dict[str, Any]
) -> None:
    """It hangs on what people granted to another app, and that goes on."""
    api = relying_party(
        grant_types=(TOKEN_EXCHANGE_GRANT,),
        redirect_uris=(),
        protected_resources=(API,),
        resources=(rp.issuer,),
        scopes=("openid", "email"),
    )
    change(rp.metadata.client_id, resources=(API,))
    tokens = rp.log_in(scope="openid email offline_access", resource=API)
    form = {"grant_type": TOKEN_EXCHANGE_GRANT, "subject_token": tokens.access_token, "resource": rp.issuer}
    form["subject_token_type"] = "urn:ietf:params:oauth:token-type:access_token"
    exchanged = api.post("token_endpoint", **form).json["access_token"]
    assert api.request_userinfo(exchanged).status_code == 200
    change(api.metadata.client_id, **changes)
    assert api.request_userinfo(exchanged).status_code == 401
    assert rp.introspect(tokens.access_token)["active"]


def test_what_people_allowed_it_stays(stranger: RelyingParty, change: Change) -> None:
    stranger.log_in()
    change(stranger.metadata.client_id, scopes=("openid", "email"))
    assert stranger.ask().code  # nobody is asked again


def test_every_process_notices_at_once(rp: RelyingParty, ada: User, change: Change) -> None:
    assert rp.send().status_code == 303
    change(rp.metadata.client_id, redirect_uris=("https://new.example.org/",))
    assert rp.send().status_code == 400


def test_the_secret_stays_where_it_is_still_needed(rp: RelyingParty, change: Change) -> None:
    _, secret = change(rp.metadata.client_id, token_endpoint_auth_method="client_secret_post", client_name="Other")
    assert secret is None
    assert rp.log_in()


def test_a_secret_that_is_to_sign_must_be_a_new_one(
    rp: RelyingParty, change: Change, db: Session, settings: Settings
) -> None:
    """Only a digest of the old one is known: nothing can be checked with that."""
    client, secret = change(rp.metadata.client_id, request_object_signing_alg="HS256")
    assert secret not in (None, rp.secret)
    assert client.has_secret(str(secret))
    sealed = client.client_secret_sealed
    assert sealed is not None
    assert crypto.unseal(settings.secret_key, SECRET_PURPOSE, sealed) == secret
    assert str(secret) not in str(db.execute(select(Client.__table__)).mappings().all())
    rotated = client_store.rotate_secret(db, settings, OPERATOR, client.client_id)
    fresh = client_store.get_client(db, client.client_id).client_secret_sealed
    assert fresh is not None
    assert crypto.unseal(settings.secret_key, SECRET_PURPOSE, fresh) == rotated
    db.commit()
    after, again = change(client.client_id, request_object_signing_alg=None)
    assert again is None
    assert after.client_secret_sealed is None
    assert after.has_secret(rotated)


def test_a_change_is_held_to_the_rules(rp: RelyingParty, change: Change, db: Session) -> None:
    with pytest.raises(InvalidInputError) as refused:
        change(rp.metadata.client_id, redirect_uris=("http://app.example.org/",))
    assert set(refused.value.faults) == {"redirect_uris"}
    db.rollback()
    assert client_store.get_client(db, rp.metadata.client_id).redirect_uris == rp.metadata.redirect_uris


def test_a_secret_is_not_made_for_what_the_client_was_before(
    rp: RelyingParty, settings: Settings, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that keeps a secret would get none that signs, or one that keeps none any more would have one."""
    genuine = client_store._with_secret

    def make_public_meanwhile(*given: Any) -> ClientMetadata:
        with monkeypatch.context() as patch, database.open_session(settings) as own:
            patch.setattr(client_store, "_with_secret", genuine)
            public = replace(rp.metadata, token_endpoint_auth_method="none", is_pkce_required=True)
            client_store.update_client(own, settings, OPERATOR, rp.metadata, public)
        return genuine(*given)

    monkeypatch.setattr(client_store, "_with_secret", make_public_meanwhile)
    with pytest.raises(AlreadyExistsError):
        client_store.rotate_secret(db, settings, OPERATOR, rp.metadata.client_id)
    db.rollback()
    assert client_store.get_client(db, rp.metadata.client_id).client_secret_digest is None


def test_of_two_at_once_the_second_looks_again(rp: RelyingParty, settings: Settings, db: Session) -> None:
    """Neither change is lost: whoever read an older client is told so."""
    before = client_store.get_client(db, rp.metadata.client_id)
    db.rollback()

    def change(own: Session, number: int) -> None:
        client_store.update_client(own, settings, OPERATOR, before, replace(before, client_name=f"N{number}"))

    outcomes = transactions_at_once(settings, 4, change)
    assert sorted(isinstance(each, AlreadyExistsError) for each in outcomes) == [False, True, True, True]
    assert client_store.get_client(db, rp.metadata.client_id).version == before.version + 1
