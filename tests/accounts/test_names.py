"""Names as people write them; names that pass for somebody else's."""

import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from idp.accounts import names
from idp.accounts.users import Person
from idp.errors import InvalidInputError

ADDRESS = "somebody@example.org"
ANY_TEXT = st.text(st.characters(codec=None), max_size=80)  # lone surrogates too


@example("ǰ")  # case folding takes this letter apart
@example("@¸")  # an address, of which less is folded
@example("@. 0")
@given(ANY_TEXT)
def test_the_key_of_a_key_is_the_key_and_is_normal(text):
    key = names.username_key(text)
    assert names.username_key(key) == key
    assert unicodedata.is_normalized("NFC" if "@" in key else "NFKC", key)


@given(ANY_TEXT)
def test_a_key_can_be_stored_whatever_was_typed(text):
    key = names.username_key(text)
    key.encode("utf-8")
    assert "\x00" not in key
    names.username_skeleton(text).encode("utf-8")


@example("a" * 65, ADDRESS, "Ada")
@example("ada", f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 63}.org", "Ada")
@example("ada", ADDRESS, "A" * 101)
@given(st.just("ada") | ANY_TEXT, st.just(ADDRESS) | st.emails() | ANY_TEXT, ANY_TEXT)
def test_checks_never_crash_and_what_passes_can_be_stored(username, email, given_name):
    try:
        person = Person(username, email, given_name).check()
    except InvalidInputError:
        return
    for value in vars(person).values():
        value.encode("utf-8")
    assert len(person.username) <= 64
    assert len(person.email) <= 254
    assert len(person.given_name) <= 100


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "ADA"),
        ("josé", "JOSE\u0301"),  # composed and decomposed
        ("straße", "STRASSE"),
        ("ﬁsher", "Fisher"),  # a ligature
        ("ａｄａ", "ada"),  # full width
        ("ΣΟΦΌΣ", "σοφός"),
        (" ada ", "ada"),
    ],
)
def test_spellings_of_one_name_have_one_key(one, other):
    assert names.username_key(one) == names.username_key(other)


@pytest.mark.parametrize(("one", "other"), [("ada", "adá"), ("jose", "josé"), ("müller", "mueller"), ("i", "l")])
def test_different_names_stay_different(one, other):
    assert names.username_key(one) != names.username_key(other)
    assert names.username_skeleton(one) != names.username_skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("paypal", "раураl"),  # Cyrillic letters
        ("paypal", "paypaI"),  # a capital i
        ("Paypal", "paypaI"),  # which is seen before capitals and small letters are the same
        ("paypal", "paypa1"),
        ("oscar", "οscar"),  # Greek omicron
        ("BOBA", "ВОВА"),  # Latin and Cyrillic capitals
        ("O2", "02"),
    ],
)
def test_names_that_look_alike_have_one_skeleton(one, other):
    assert names.username_skeleton(one) == names.username_skeleton(other)


@pytest.mark.parametrize(
    "username",
    [
        *(
            "ada",
            "a",
            "ada.lovelace",
            "ada-l_2",
            "josé",
            "Jose\u0301",
            "Søren",
            "Łukasz",
            "Nguyễn",
            "İstanbul",
            "Ελένη",
        ),
        *("Жанна", "محمد", "עברית", "नेहा", "தமிழ்", "ไทย", "김철수", "李小龍", "田中さくら", "田中ユニ", "タナカken"),
    ],
)
def test_user_names_of_one_writing_are_welcome(username):
    assert names.check_username(username, ADDRESS) == []


@pytest.mark.parametrize(
    ("username", "fault"),
    [
        ("", "Enter a user name"),
        ("   ", "Enter a user name"),
        ("ada lovelace", "no spaces"),
        ("ada\u3000lovelace\t!", "no spaces"),
        ("ada lovelace!", "but not: !"),
        ("ada\u00adl", "U+00AD"),  # a soft hyphen, which nobody sees
        ("ada\u200bl", "U+200B"),
        ("ada\ufe0f", "U+FE0F"),  # marks and letters that nobody sees: else this were another "ada"
        ("a\u034fda", "U+034F"),
        ("ada\U000e0101", "U+E0101"),
        ("ada\u115f", "U+115F"),
        ("ada\u3164", "U+1160"),  # a letter's place in Korean, in each of its spellings
        ("ada\uffa0", "U+1160"),
        ("adi\u0307", "U+0307"),  # a second dot above an i
        ("ada\x00l", "?"),
        ("ada\ud800", "?"),
        ("o'brien", "'"),
        ("<script>", "<"),
        ("_ada", "begin and end"),
        ("ada.", "begin and end"),
        ("ada_", "begin and end"),
        ("pаypal", "mixes alphabets"),  # one Cyrillic letter
        ("micrоsoft", "mixes alphabets"),
        ("a" * 65, "more than 64"),
        ("ß" * 33, "more than 64"),  # under its key, where they are two letters each
        ("e\u0301" * 64 + "x", "more than 64"),
        ("another@example.org", "your own e-mail address"),
    ],
)
def test_user_names_are_refused_with_the_reason(username, fault):
    assert any(fault in sentence for sentence in names.check_username(username, ADDRESS))


def test_64_characters_are_not_too_many():
    assert names.check_username("a" * 64, ADDRESS) == []


@pytest.mark.parametrize("username", [ADDRESS, ADDRESS.upper(), f" {ADDRESS}"])
def test_ones_own_address_may_be_the_user_name(username):
    assert names.check_username(username, ADDRESS) == []


@pytest.mark.parametrize(
    "email",
    [
        "ada@example.org",
        "Ada.Lovelace+tag@Example.ORG",
        "jörg@bücher.example",
        "a@intranet.local",
        "o'brien@example.org",
        "bounce+ada=example.com@example.org",
    ],
)
def test_addresses_as_people_have_them_are_welcome(email):
    _, faults = names.check_email(email)
    assert faults == []


@pytest.mark.parametrize(
    "email",
    [
        *("", " ", "ada", "ada@", "@example.org", "a b@example.org", "ada@exa mple.org", "ada@example..org"),
        *("a@[127.0.0.1]", "a\n@example.org", "a@example.org\nBcc: b@example.org", "a\x00@example.org"),
        *("\ud800@example.org", "x" * 400 + "@example.org", "ada@" + "x" * 400),
        "=?utf-8?q?a=0d=0aBcc=3a=20eve=40example.org?=@example.org",
    ],
)
def test_what_is_no_address_is_refused(email):
    _, faults = names.check_email(email)
    assert len(faults) == 1


@pytest.mark.parametrize(
    "name",
    [
        "O'Brien",
        "van der Berg",
        "Ng",
        "X Æ A-12",
        "José María",
        "李",
        "D’Angelo",
        "Jr.",
        "नेहा",
        "سارا\u200cجان",
        "Ada ❤\ufe0f",
    ],
)
def test_peoples_names_have_no_rules_of_form(name):
    assert names.check_person_name(name, "name") == (name, [])


def test_peoples_names_are_tidied():
    assert names.check_person_name("  Jose\u0301 \t  Mari\u0301a\n", "name") == ("José María", [])
    assert names.check_person_name("   ", "name") == (None, [])


@pytest.mark.parametrize(
    "name",
    [
        "x" * 101,
        "a\x07b",
        "<b>Ada</b>",
        "a\ud800",
        "a\ue000",
        " " * 400 + "Ada",
        "\u3164",  # and more of which nothing would be seen
        "\u2800 \u200d",
        "\ufe0f",
    ],
)
def test_peoples_names_that_cannot_be_shown_are_refused(name):
    tidy, faults = names.check_person_name(name, "first name")
    assert tidy is None
    assert len(faults) == 1
    assert "first name" in faults[0]


def test_every_fault_of_a_person_is_named_at_once():
    with pytest.raises(InvalidInputError) as refusal:
        Person("a b", "nowhere", "x" * 101, "<>").check()
    assert list(refusal.value.faults) == ["given_name", "family_name", "email", "username"]


def test_a_person_is_stored_in_one_spelling():
    person = Person("  Jose\u0301 ", " Jose@EXAMPLE.org ", "  Jose\u0301", "").check()
    assert person == Person("José", "Jose@example.org", "José", "")


def test_a_flood_of_accents_is_never_sorted(monkeypatch):
    # Normalising sorts combining marks: 32,000 of them take half a second, eight times as many take 64 times that.
    lengths = []

    def normalize(form, text):
        lengths.append(len(text))
        return unicodedata.normalize(form, text)

    seen = SimpleNamespace(normalize=normalize, category=unicodedata.category)
    monkeypatch.setattr(names, "unicodedata", seen)
    flood = "a" + "\u0301\u0316" * 10_000
    names.username_key(flood)
    names.username_skeleton(flood)
    with pytest.raises(InvalidInputError):
        Person(flood, flood + "@example.org", flood, flood).check()
    assert lengths
    assert max(lengths) <= 4 * 320


# -- Addresses: what mail goes to by different ways never shares a key -------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("boss@grossbank.de", "boss@großbank.de"),
        ("strasse@example.org", "straße@example.org"),
        ("boss@example.org", "ｂoss@example.org"),
    ],
)
def test_two_mailboxes_never_share_a_key(one, other):
    assert names.email_key(one) != names.email_key(other)
    assert names.username_key(one) != names.username_key(other)
    assert names.domain_key(one.partition("@")[2]) == names.domain_key(one.partition("@")[2].upper())


def test_a_domain_is_compared_as_dns_has_it():
    assert names.domain_key("Bücher.de") == names.domain_key("xn--bcher-kva.de") == "xn--bcher-kva.de"
    assert names.domain_key("großbank.de") == "xn--grobank-2va.de"
    assert names.email_key("Ada@BÜCHER.de") == "ada@xn--bcher-kva.de"


def test_a_user_name_that_looks_like_an_id_is_refused():
    assert "id" in names.check_username("0123456789abcdef" * 2, "ada@example.org")[0]
