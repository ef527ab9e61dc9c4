"""What people tell about themselves, and what form it has."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idp.accounts import profile
from idp.accounts.audit import list_events
from idp.errors import InvalidInputError, NotFoundError
from idp.models import User
from idp.oidc import claims
from tests.factories import EVERY_CLAIM

ANY_TEXT = st.text(st.characters(codec=None), max_size=120)
FAR = 5_000


def update(db, visitor, ada, **changes):
    whole = profile.update_profile(db, visitor, ada.id, changes)
    db.commit()
    return whole


def test_every_field_can_be_read_and_written(db, visitor, ada):
    wanted = {name: value for name, value in EVERY_CLAIM.items() if name in profile.FIELDS}
    assert set(profile.FIELDS) - set(wanted) == {"given_name", "family_name"}
    whole = update(db, visitor, ada, **wanted)
    assert whole == {"given_name": "Ada", "family_name": "Lovelace", **wanted}
    assert profile.read_profile(db, ada.id) == whole


def test_the_fields_are_the_standard_claims():
    selected = {column.key for column in claims.COLUMNS}
    assert set(profile.FIELDS) <= selected


def test_every_field_fits_its_column():
    for name, field in profile.FIELDS.items():
        assert field.most == User.__table__.c[name].type.length, name


def test_what_is_not_named_stays(db, visitor, ada):
    update(db, visitor, ada, nickname="Countess")
    whole = update(db, visitor, ada, gender="female")
    assert (whole["nickname"], whole["given_name"]) == ("Countess", "Ada")


@pytest.mark.parametrize("nothing", [None, "", "   ", "\n"])
def test_nothing_clears_a_field(db, visitor, ada, nothing):
    update(db, visitor, ada, nickname="Countess")
    assert update(db, visitor, ada, nickname=nothing)["nickname"] is None


def test_all_faults_are_named_and_nothing_is_changed(db, visitor, ada):
    with pytest.raises(InvalidInputError) as refusal:
        update(db, visitor, ada, nickname="Countess", picture="no url", birthdate="tomorrow", roles="admin", email="x")
    assert set(refusal.value.faults) == {"picture", "birthdate", "roles", "email"}
    assert profile.read_profile(db, ada.id)["nickname"] is None


def test_apps_see_that_something_changed(db, visitor, clock, make_user):
    ada = make_user()
    clock.advance(100)
    update(db, visitor, ada, nickname="Countess")
    db.refresh(ada)
    assert ada.updated_at == int(clock())
    event = list_events(db)[0]
    assert (event.event, event.details) == ("account:profile:change", {"fields": ["nickname"]})
    clock.advance(100)
    update(db, visitor, ada, nickname=" Countess ")
    db.refresh(ada)
    assert ada.updated_at == int(clock()) - 100


def test_another_phone_number_is_not_verified(db, visitor, ada):
    ada.phone_number, ada.phone_number_verified_at = "+44 20 7946 0000", 1
    db.commit()
    update(db, visitor, ada, nickname="Countess", phone_number="+44 20 7946 0000")
    db.refresh(ada)
    assert ada.phone_number_verified_at == 1
    update(db, visitor, ada, phone_number="+44 20 7946 0001")
    db.refresh(ada)
    assert ada.phone_number_verified_at is None


GOOD = [
    ("given_name", "Anne-Marie"),
    ("given_name", "李"),
    ("family_name", "O'Neil y Núñez, Jr."),
    ("picture", "https://example.org/a.png?x=1#y"),
    ("website", "http://bücher.example/"),
    ("profile", "https://example.org:8443/~ada"),
    ("birthdate", "1815-12-10"),
    ("birthdate", "2000-02-29"),
    ("birthdate", "0000-02-29"),
    ("birthdate", "1815"),
    ("zoneinfo", "Europe/Berlin"),
    ("zoneinfo", "UTC"),
    ("locale", "de"),
    ("locale", "de-AT"),
    ("locale", "zh-Hant-TW"),
    ("locale", "es-419"),
    ("phone_number", "+49 (30) 123-4567"),
    ("phone_number", "030/1234567"),
    ("phone_number", "+1 555 0100 x 12"),
    ("postal_code", "SW1Y 4JH"),
    ("country", "Côte d’Ivoire"),
]
BAD = [
    ("given_name", "x" * 101),
    ("given_name", "x" * FAR),
    ("family_name", "<script>"),
    ("nickname", "a\x00b"),
    ("nickname", "a\u202eb"),
    ("nickname", "a\ud800b"),
    ("picture", "javascript:alert(1)"),
    ("picture", "//example.org/a.png"),
    ("picture", "https://"),
    ("picture", "https://user:password@example.org/"),
    ("picture", "https://[::1"),
    ("picture", "https://example.org/" + "x" * 500),
    ("website", "ftp://example.org"),
    ("website", 'https://example.org/"onload="'),
    ("website", "https://example.org/a b"),
    ("birthdate", "10.13.1815"),
    ("birthdate", "12/10/1815"),
    ("birthdate", "1815-13-01"),
    ("birthdate", "1900-02-29"),
    ("birthdate", "1815-00-10"),
    ("birthdate", "0000"),
    ("birthdate", "١٨١٥"),
    ("zoneinfo", "Europe/Atlantis"),
    ("zoneinfo", "../etc/passwd"),
    ("locale", "deutsch"),
    ("locale", "d"),
    ("phone_number", "call me"),
    ("phone_number", "12"),
    ("phone_number", "1" * 41),
    ("phone_number", "+49 30 ++"),
    ("nonsense", "x"),
    ("password_hash", "x"),
    ("disabled_at", "1"),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_values_as_people_have_them_are_welcome(name, value):
    assert profile.check_field(name, value) == (value, None)


@pytest.mark.parametrize(("name", "value"), BAD)
def test_values_of_another_form_are_refused_with_a_sentence(name, value):
    normal, fault = profile.check_field(name, value)
    assert normal is None
    assert fault.endswith(".")


@pytest.mark.parametrize(
    ("name", "typed", "stored"),
    [
        ("given_name", "  Ada \n Augusta ", "Ada Augusta"),
        ("given_name", "Jose\u0301", "José"),
        ("zoneinfo", "europe/berlin", "Europe/Berlin"),
        ("locale", "de_AT", "de-AT"),
        ("birthdate", "10.12.1815", "1815-12-10"),
        ("birthdate", "1. 2. 1990", "1990-02-01"),
    ],
)
def test_values_are_tidied(name, typed, stored):
    assert profile.check_field(name, typed) == (stored, None)


@settings(deadline=None)  # the first look at the time zones reads a folder
@given(st.sampled_from(sorted(profile.FIELDS)), ANY_TEXT)
def test_checks_never_crash_and_what_passes_can_be_stored(name, text):
    normal, fault = profile.check_field(name, text)
    assert normal is None or fault is None
    if normal is not None:
        normal.encode("utf-8")
        assert "\x00" not in normal
        assert 1 <= len(normal) <= profile.FIELDS[name].most


@settings(deadline=None)
@given(st.sampled_from(sorted(profile.FIELDS)), ANY_TEXT)
def test_what_was_stored_can_be_stored_again(name, text):
    normal, fault = profile.check_field(name, text)
    if fault is None:
        assert profile.check_field(name, normal) == (normal, None)


@settings(deadline=None)
@given(st.dates())
def test_every_date_is_one(date):
    assert profile.check_field("birthdate", date.isoformat()) == (date.isoformat(), None)


def test_there_must_be_an_account(db, visitor):
    with pytest.raises(NotFoundError):
        profile.update_profile(db, visitor, "0" * 32, {"nickname": "x"})
