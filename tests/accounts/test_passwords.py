"""What a password must be, and what happens when it changes."""

import hashlib
import string
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from zxcvbn import matching

from idp import crypto, hashing, sentences
from idp.accounts import breached_passwords, deletion, email_change, password_policy, passwords, sessions, sign_in
from idp.accounts.audit import Event, list_events
from idp.accounts.breached_passwords import _digest_after, is_breached
from idp.accounts.visitor import OPERATOR
from idp.errors import InvalidInputError, NotFoundError, PasswordRefused, SignInRefused, Throttled
from idp.models import User
from idp.settings import Settings
from idp.storage import database
from tests.factories import PASSWORD
from tests.living_session import find_session_by_id

NEW = "seven purple elephants dancing"
BY_OPERATOR = "nine green walruses resting"
OWN = ("ada", "ada.byron@example.org", "Augusta", "Lovelace")
STRICT = Settings(bcrypt_cost=4)


def unmet(password, settings=STRICT, own=OWN):
    try:
        password_policy.check_new_password(settings, password, own)
    except PasswordRefused as refusal:
        return refusal.unmet
    return ()


# -- The policy -------------------------------------------------------------------


def test_length_is_from_10_to_1024():
    lenient = Settings(password_min_score=0)
    assert "at least 10" in unmet("x7#kQ9!mz", lenient)[0]
    assert unmet("x7#kQ9!mzp", lenient) == ()
    assert unmet("x7#kQ9!mzp" * 102 + "abcd", lenient) == ()
    assert "at most 1024" in unmet("x7#kQ9!mzp" * 102 + "abcde", lenient)[0]


def test_the_least_length_is_a_setting():
    assert "at least 20" in unmet("x7#kQ9!mzp", Settings(password_min_length=20))[0]


@pytest.mark.parametrize(
    "password",
    [
        *("password123", "qwertyuiop", "aaaaaaaaaaaa", "1234567890", "P@ssw0rd!!", "\x00" * 20),
        *("Admin@123456", "Qwerty!12345", "Passw0rd!2018#", "Winter@2026!", "blue house"),  # whose parts are all easy
        *("Winter2026!Winter2026!", "Admin@123456Admin@123456"),
        *("Willkommen@2025", "Passwort#1234", "München2026!", "hund katze"),
    ],
)
def test_what_attackers_try_first_is_refused(password):
    assert any("easy to guess" in sentence for sentence in unmet(password))


def listed(path, passwords, end="\n"):
    """A file of the digests of these passwords, as Have I Been Pwned has them."""
    digests = sorted(hashlib.sha1(each.encode()).hexdigest().upper() for each in passwords)
    path.write_text("".join(f"{each}:{count}{end}" for count, each in enumerate(digests)), "ascii", newline="")
    return str(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_was_stolen_elsewhere_is_refused(tmp_path, end):
    stolen = listed(tmp_path / "stolen", [NEW, *string.ascii_letters], end)
    strict = Settings(breached_passwords_file=stolen)
    assert unmet(NEW, strict) == (sentences.PASSWORD_BREACHED(),)
    assert unmet(NEW.replace("e", "\uff45"), strict) == (sentences.PASSWORD_BREACHED(),)  # wide letters
    assert unmet(BY_OPERATOR, strict) == ()
    assert unmet("password123", strict) == (sentences.PASSWORD_EASY(),)


@given(st.sets(st.text(max_size=5), max_size=40), st.text(max_size=5), st.booleans())
def test_a_list_of_any_length_is_looked_into_right(tmp_path_factory, passwords, other, is_cut):
    path = tmp_path_factory.mktemp("list") / "stolen"
    digests = sorted(hashlib.sha1(each.encode()).hexdigest() for each in passwords)
    path.write_text("\n".join(digests) + "\n" * (not is_cut), "ascii")
    assert all(is_breached(str(path), each) for each in passwords)
    assert is_breached(str(path), other) == (other in passwords)


def test_a_long_list_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "stolen"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte without a line
    read = []
    monkeypatch.setattr(
        breached_passwords, "_digest_after", lambda file, at: read.append(at) or _digest_after(file, at)
    )
    assert not is_breached(str(path), NEW)
    assert len(read) <= 42


def test_a_list_that_is_gone_stops_nobody_and_the_log_says_so(tmp_path, caplog):
    assert unmet(NEW, Settings(breached_passwords_file=str(tmp_path / "gone"))) == ()
    assert "The file of breached passwords cannot be read: No such file or directory" in caplog.text
    assert NEW not in caplog.text


def test_ones_own_data_are_easy_to_guess_however_often_they_are_repeated():
    assert unmet("gwrtqxd9" * 4) == ()
    assert unmet("gwrtqxd9" * 4, own=("gwrtqxd9",)) == (sentences.PASSWORD_EASY(),)


def test_a_password_made_to_keep_the_estimate_busy_is_estimated_by_its_beginning(monkeypatch):
    """Signs that may be letters are read in every combination, of which these have 736: almost a second of work."""
    looks = []

    def counted(*given, **options):
        looks.append(given)
        return dictionary_match(*given, **options)

    dictionary_match = matching.dictionary_match
    monkeypatch.setattr(matching, "dictionary_match", counted)
    assert unmet("4@8({[<369&#!1/|0$5+7%24@8({[<36") == (), "which is strong all the same"
    assert len(looks) < 140
    assert unmet("1|7!+({4@ correct horse battery") == (), "and so is what has them in front"


def test_the_least_score_is_a_setting():
    assert unmet("password123", Settings(password_min_score=0)) == ()
    assert unmet("eleven moons", Settings(password_min_score=3)) == ()
    assert unmet("eleven moons", Settings(password_min_score=4))


WIDE = str.maketrans({code: code + 0xFEE0 for code in range(0x21, 0x7F)})  # as keyboards for Chinese and Japanese write


@pytest.mark.parametrize("password", ["password123", "P@ssw0rd!!", "LoveLace!1"])
def test_a_password_is_judged_as_it_is_hashed(password):
    wide = password.translate(WIDE)
    assert crypto.verify_password(password, crypto.hash_password(wide, 4))
    assert unmet(wide) == unmet(password) == unmet(password, own=[datum.translate(WIDE) for datum in OWN])


@pytest.mark.parametrize("password", ["e\u0301" * 5, "\ufdfa"], ids=["fewer are hashed", "one, hashed as 18"])
def test_length_is_that_of_what_is_typed_and_of_what_is_hashed(password):
    assert "at least 10" in unmet(password, Settings(password_min_score=0))[0]


@pytest.mark.parametrize(
    "password", ["Brimsdale Quorn", "brimsdale-2026", "qu0rnbr1msdale", "login.brimsdale.example", "brimsdalelogin"]
)
def test_the_providers_own_name_and_address_are_easy_to_guess(password):
    assert unmet(password) == ()
    ours = Settings(brand_name="Brimsdale Quorn", issuer="https://login.brimsdale.example/auth")
    assert any("easy to guess" in sentence for sentence in unmet(password, ours))


def test_each_thread_estimates_by_its_own_persons_data():
    """zxcvbn has one place for them in a process."""
    people = [(f"qorvath{letter}", f"zemblin{letter}") for letter in string.ascii_lowercase]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            judged = [threads.submit(unmet, "".join(own), STRICT, own) for own in people]
            assert {each.result() for each in judged} == {(sentences.PASSWORD_EASY(),)}
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize(
    "password",
    ["augustalovelace"[7:] + "12", "ada.byron@example.org", "ADA.BYRON@EXAMPLE.ORG", "LoveLace!1", "Augusta-01"],
)
def test_ones_own_data_are_no_password(password):
    assert any("your own name" in sentence for sentence in unmet(password))


def test_ones_own_name_may_be_a_small_part_of_a_password():
    assert unmet("augusta likes seven purple elephants") == ()


@pytest.mark.parametrize(
    "password",
    [PASSWORD, "пароль из многих слов", "正確馬電池釘書針長密碼語", "🦄🍕🚀🎸🌵🐙🧲🪐🎲🧦", "lots of      spaces  "],
)
def test_no_kind_of_character_is_asked_for_or_forbidden(password):
    assert unmet(password) == ()


def test_every_unmet_rule_is_named():
    assert len(unmet("ada")) == 2
    assert len(unmet("abc")) == 2
    with pytest.raises(PasswordRefused) as refusal:
        password_policy.check_new_password(STRICT, "", OWN, "new_password")
    assert set(refusal.value.faults) == {"new_password"}


@given(st.text(st.characters(codec=None), max_size=100), st.lists(st.text(max_size=20), max_size=4))
def test_the_policy_never_crashes(password, own):
    assert all(isinstance(sentence, str) for sentence in unmet(password, own=own))


# -- Changing ---------------------------------------------------------------------


@pytest.fixture
def here(db, settings, visitor, ada):
    """The session in which the password is changed."""
    _, session_id = sessions.start_session(db, settings, visitor, ada.id)
    db.commit()
    return session_id


def change(db, settings, visitor, ada, here, current=PASSWORD, new=NEW):
    passwords.change_password(db, settings, visitor, ada.id, current, new, keep_session=here)
    db.commit()


def stored(db, ada):
    return db.get(User, ada.id, populate_existing=True).password_hash


def test_a_change_needs_the_current_password(db, settings, visitor, ada, here):
    before = stored(db, ada)
    with pytest.raises(InvalidInputError) as refusal:
        change(db, settings, visitor, ada, here, current="not it")
    assert set(refusal.value.faults) == {"current_password"}
    db.commit()
    assert stored(db, ada) == before
    assert list_events(db)[0].event == "account:password:refuse"


def test_after_a_change_only_the_new_password_opens(db, settings, visitor, ada, here):
    change(db, settings, visitor, ada, here)
    with pytest.raises(SignInRefused):
        sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)
    assert sign_in.sign_in(db, settings, visitor, "ada", NEW)


def test_a_change_ends_the_other_sessions_and_keeps_this_one(db, settings, visitor, stranger, ada, here, make_user):
    elsewhere = sessions.start_session(db, settings, stranger, ada.id)[1]
    of_bob = sessions.start_session(db, settings, stranger, make_user("bob").id)[1]
    change(db, settings, visitor, ada, here)
    assert find_session_by_id(db, settings, here)
    assert find_session_by_id(db, settings, of_bob)
    assert find_session_by_id(db, settings, elsewhere) is None


def test_the_new_password_obeys_the_policy(db, settings, visitor, ada, here):
    before = stored(db, ada)
    for new in ("short", "lovelace01", PASSWORD):
        with pytest.raises(InvalidInputError) as refusal:
            change(db, settings, visitor, ada, here, new=new)
        assert set(refusal.value.faults) == {"new_password"}
    assert stored(db, ada) == before


@pytest.fixture
def set_by_operator(settings, monkeypatch, ada):
    """Have the operator set a password while one is checked or hashed: a function that says at which of these."""

    def at(turn):
        run, turns = hashing.run, []

        def overtaken(*given):
            turns.append(given)
            if len(turns) == turn:
                with database.open_session(settings) as own:
                    passwords.set_password(own, settings, OPERATOR, ada.id, BY_OPERATOR)
            return run(*given)

        monkeypatch.setattr(hashing, "run", overtaken)

    return at


NEEDING_THE_CURRENT_PASSWORD = {
    "change the password": lambda *given: passwords.change_password(*given, PASSWORD, NEW, keep_session=""),
    "change the address": lambda *given: email_change.request_change(*given, "new@example.org", PASSWORD),
    "delete the account": lambda *given: deletion.request_deletion(*given, PASSWORD),
}


@pytest.mark.parametrize("way", NEEDING_THE_CURRENT_PASSWORD)
def test_the_current_password_is_wrong_once_it_was_replaced_while_it_was_checked(
    db, settings, visitor, ada, set_by_operator, way
):
    set_by_operator(1)
    with pytest.raises(InvalidInputError) as refusal:
        NEEDING_THE_CURRENT_PASSWORD[way](db, settings, visitor, ada.id)
    assert set(refusal.value.faults) == {"current_password"}
    db.commit()
    assert crypto.verify_password(BY_OPERATOR, stored(db, ada))
    assert list_events(db)[0].event.endswith(":refuse")
    assert (db.get(User, ada.id).deletion_due_at, email_change.pending_change(db, ada.id)) == (None, None)


def test_a_password_that_is_set_while_another_is_hashed_stays(db, settings, visitor, ada, here, set_by_operator):
    set_by_operator(2)
    with pytest.raises(InvalidInputError) as refusal:
        change(db, settings, visitor, ada, here)
    assert set(refusal.value.faults) == {"current_password"}
    db.commit()
    assert crypto.verify_password(BY_OPERATOR, stored(db, ada))
    assert list_events(db)[0].event == "account:password:refuse"


def test_guesses_at_the_current_password_slow_down(db, settings, visitor, ada, here, clock):
    for _ in range(settings.throttle_account_burst):
        with pytest.raises(InvalidInputError):
            change(db, settings, visitor, ada, here, current="not it")
    with pytest.raises(Throttled):
        change(db, settings, visitor, ada, here)
    clock.advance(settings.throttle_account_interval)
    change(db, settings, visitor, ada, here)


def test_right_ones_are_not_charged(db, settings, visitor, ada, clock):
    for _ in range(settings.throttle_account_burst + 1):
        passwords.require_password(db, settings, visitor, ada.id, PASSWORD, refused=Event.PASSWORD_CHANGE_REFUSED)


def test_one_network_has_so_many_new_ones_estimated(db, settings, visitor, ada, here, clock):
    few = replace(settings, throttle_address_burst=1)
    with pytest.raises(PasswordRefused):
        change(db, few, visitor, ada, here, new="short")
    with pytest.raises(Throttled):
        change(db, few, visitor, ada, here)


def test_an_account_without_a_password_has_none_to_change(db, settings, visitor, make_user, here):
    nobody = make_user("bob", None)
    with pytest.raises(NotFoundError):
        change(db, settings, visitor, nobody, here)
    with pytest.raises(NotFoundError):
        passwords.set_password(db, settings, visitor, "0" * 32, NEW)


def test_an_operator_sets_a_password_and_ends_every_session(db, settings, visitor, ada, here):
    passwords.set_password(db, settings, visitor, ada.id, NEW)
    db.commit()
    assert find_session_by_id(db, settings, here) is None
    assert sign_in.sign_in(db, settings, visitor, "ada", NEW)
    with pytest.raises(PasswordRefused):
        passwords.set_password(db, settings, visitor, ada.id, "lovelace01")


def test_the_owner_is_told_of_every_change(db, settings, visitor, ada, here, mailbox):
    change(db, settings, visitor, ada, here)
    passwords.set_password(db, settings, visitor, ada.id, PASSWORD, language="de")
    mails = mailbox.all("password_changed")
    assert [mail.recipient for mail in mails] == ["ada@example.org"] * 2
    assert mails[0].subject != mails[1].subject
    assert all(f"{settings.issuer}/forgot-password\n" in mail.text for mail in mails)
    assert all(secret not in mail.text for mail in mails for secret in (PASSWORD, NEW))


def test_a_refused_change_is_told_to_nobody(db, settings, visitor, ada, here, mailbox):
    for current, new in (("not it", NEW), (PASSWORD, "short"), (PASSWORD, PASSWORD)):
        with pytest.raises(InvalidInputError):
            change(db, settings, visitor, ada, here, current, new)
    assert mailbox.kinds() == []


def test_a_temporary_password_says_so_in_every_session_until_it_is_changed(db, settings, visitor, stranger, ada, here):
    assert not find_session_by_id(db, settings, here).must_change_password
    passwords.set_password(db, settings, visitor, ada.id, NEW, is_temporary=True)
    ids = [sign_in.sign_in(db, settings, who, "ada", NEW)[1] for who in (visitor, stranger)]
    assert all(find_session_by_id(db, settings, each).must_change_password for each in ids)
    passwords.change_password(db, settings, visitor, ada.id, NEW, PASSWORD, keep_session=ids[0])
    assert not find_session_by_id(db, settings, ids[0]).must_change_password


# -- Hashes of another making ---------------------------------------------------------


def test_another_cost_means_a_new_hash_at_sign_in(db, settings, visitor, ada):
    ada.password_hash = crypto.hash_password(PASSWORD, 5)
    db.commit()
    sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)
    db.commit()
    assert stored(db, ada).startswith("sha256$2b$04$")
    assert sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)


def test_the_same_cost_leaves_the_hash_alone(db, settings, visitor, ada):
    before = stored(db, ada)
    sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)
    db.commit()
    assert stored(db, ada) == before


@pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2y"])
def test_a_plain_bcrypt_hash_from_elsewhere_opens_once_and_is_replaced(db, settings, visitor, ada, prefix):
    plain = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).replace(b"$2b$", b"$" + prefix + b"$")
    ada.password_hash = plain.decode()
    db.commit()
    with pytest.raises(SignInRefused):
        sign_in.sign_in(db, settings, visitor, "ada", "not it")
    db.commit()
    assert stored(db, ada) == plain.decode()
    sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)
    db.commit()
    assert stored(db, ada).startswith("sha256$2b$04$")
    assert sign_in.sign_in(db, settings, visitor, "ada", PASSWORD)


def test_a_password_is_refused_when_it_has_changed_while_it_was_checked(db, settings, visitor, ada):
    before = stored(db, ada)
    ada.password_hash = crypto.hash_password(NEW, 4)
    db.commit()
    assert not passwords.confirm(db, settings, visitor, ada.id, PASSWORD, before)
    assert passwords.confirm(db, settings, visitor, ada.id, NEW, ada.password_hash)
