"""Tokens, digests, password hashes, and what hangs on the secret key."""

import re
import unicodedata

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idp import crypto
from idp.errors import NotReadyError

KEY = "one secret key, long enough for everybody"  # gitleaks:allow
OTHER_KEY = "another secret key, long enough as well"  # gitleaks:allow
ANY_TEXT = st.text(st.characters(codec=None), max_size=200)
COST = 4


def test_tokens_and_ids_are_long_random_and_safe_in_urls():
    tokens, ids = {crypto.new_token() for _ in range(200)}, {crypto.new_id() for _ in range(200)}
    assert len(tokens) == len(ids) == 200
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids)
    assert len(crypto.random_bytes(8)) == 8


@given(ANY_TEXT)
def test_a_digest_is_64_hexadecimal_digits_and_is_recognised(secret):
    stored = crypto.digest(secret)
    assert re.fullmatch(r"[0-9a-f]{64}", stored)
    assert crypto.is_digest_of(secret, stored)
    assert not crypto.is_digest_of(secret + "x", stored)


@given(ANY_TEXT, ANY_TEXT)
def test_comparison_is_by_value_for_any_text(one, other):
    assert crypto.are_equal(one, one)
    assert crypto.are_equal(one, other) is (one == other)


# -- Passwords ------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(ANY_TEXT)
def test_any_password_opens_its_hash_and_a_longer_one_does_not(password):
    stored = crypto.hash_password(password, COST)
    assert crypto.verify_password(password, stored)
    assert not crypto.verify_password(password + "x", stored)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a" * 72 + "b", "a" * 72 + "c"),  # bcrypt alone reads 72 bytes
        ("🦄" * 18 + "a", "🦄" * 18 + "b"),
        ("nul\x00one", "nul\x00two"),
        ("\x00", ""),
        ("\ud800", "\ud801"),
        ("Case", "case"),
        ("space", "space "),
    ],
)
def test_different_passwords_have_different_hashes(one, other):
    assert not crypto.verify_password(one, crypto.hash_password(other, COST))


def test_a_keyboard_that_composes_letters_otherwise_makes_no_difference():
    password = "crème brûlée ﬁne"
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert crypto.verify_password(unicodedata.normalize(form, password), crypto.hash_password(password, COST))


def test_each_hash_has_a_salt_of_its_own_and_fits_its_column():
    hashes = {crypto.hash_password("x", COST) for _ in range(5)}
    assert len(hashes) == 5
    assert all(len(stored) <= 100 for stored in hashes)


def test_plain_bcrypt_hashes_from_elsewhere_are_understood():
    for password in ("short", "a" * 100, "nul\x00inside", "ünï"):
        plain = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(COST)).decode()
        assert crypto.verify_password(password, plain)
        assert not crypto.verify_password("x" + password, plain)


def test_a_hash_of_another_cost_or_making_is_outdated():
    stored = crypto.hash_password("x", COST)
    assert not crypto.is_password_hash_outdated(stored, COST)
    assert crypto.is_password_hash_outdated(stored, COST + 1)
    assert crypto.is_password_hash_outdated(stored.removeprefix("sha256"), COST)


def test_the_dummy_hash_costs_what_a_real_one_does_and_opens_to_nothing(monkeypatch):
    crypto.dummy_password_hash.cache_clear()
    monkeypatch.setattr(bcrypt, "hashpw", None)  # making it hashes nothing
    dummy = crypto.dummy_password_hash(COST)
    monkeypatch.undo()
    assert dummy == crypto.dummy_password_hash(COST)
    assert len(dummy) == len(crypto.hash_password("x", COST))
    assert not crypto.is_password_hash_outdated(dummy, COST)
    for password in ("", "x", dummy, "None"):
        assert not crypto.verify_password(password, dummy)


# -- The secret key -----------------------------------------------------------------------


@given(st.text(max_size=200))
def test_what_is_sealed_is_hidden_and_comes_back(plain):
    sealed = crypto.seal(KEY, "purpose", plain)
    assert crypto.unseal(KEY, "purpose", sealed) == plain
    assert len(plain) < 8 or plain not in sealed


@pytest.mark.parametrize(("key", "purpose"), [(OTHER_KEY, "purpose"), (KEY, "another purpose")])
def test_another_key_or_purpose_opens_nothing(key, purpose):
    with pytest.raises(NotReadyError, match="secret key"):
        crypto.unseal(key, purpose, crypto.seal(KEY, "purpose", "plain"))


def test_what_was_altered_does_not_open():
    sealed = crypto.seal(KEY, "purpose", "plain")
    middle = len(sealed) // 2
    altered = sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    for faulty in (altered, sealed[:-4], "", "nonsense"):
        with pytest.raises(NotReadyError):
            crypto.unseal(KEY, "purpose", faulty)


@given(st.binary(max_size=100))
def test_a_mac_vouches_for_its_message_only(message):
    tag = crypto.mac(KEY, "purpose", message)
    assert len(tag) == 16
    assert crypto.is_mac_of(KEY, "purpose", message, tag)
    assert not crypto.is_mac_of(KEY, "purpose", message + b"x", tag)
    assert not crypto.is_mac_of(KEY, "another purpose", message, tag)
    assert not crypto.is_mac_of(OTHER_KEY, "purpose", message, tag)
    assert not crypto.is_mac_of(KEY, "purpose", message, tag[:-1])
    assert not crypto.is_mac_of(KEY, "purpose", message, b"")


def test_without_a_secret_key_the_error_names_the_command_that_helps():
    for use in (lambda: crypto.mac("", "purpose", b""), lambda: crypto.seal("", "purpose", "x")):
        with pytest.raises(NotReadyError, match="idp init"):
            use()


def test_ids_of_rows_follow_their_time_and_cannot_be_foreseen():
    made = [crypto.new_row_id(now) for now in (0, 1, 1_800_000_000, 1_800_000_001, 2**32 - 1)]
    assert made == sorted(made)
    assert len(crypto.new_row_id(2**40)) == 32
    assert {len(each) for each in made} == {32}
    assert all(bytes.fromhex(each) for each in made)
    assert len({crypto.new_row_id(1) for _ in range(1_000)}) == 1_000
