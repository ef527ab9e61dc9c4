"""Settings: where values come from, and how faults are told."""

from dataclasses import FrozenInstanceError

import pytest

from idp import settings as module
from idp.errors import SettingsError
from idp.setting_rules import is_loopback
from idp.settings import Settings, declared, load

SECRET = "0123456789abcdef0123456789abcdef"  # gitleaks:allow


@pytest.fixture
def instance(tmp_path):
    return tmp_path


@pytest.fixture
def read(instance):
    """Load settings from this environment and this idp.toml; gives them, or the list of faults."""

    def read(toml="", **variables):
        if toml:
            (instance / "idp.toml").write_text(toml, "utf-8")
        try:
            return load({"IDP_INSTANCE": str(instance), "PATH": "/bin", **variables})
        except SettingsError as error:
            return error.faults

    return read


# -- Where values come from -------------------------------------------------------------


def test_without_anything_the_defaults_hold(read, instance):
    settings = read()
    for each in declared():
        if each.name != "instance":
            assert getattr(settings, each.name) == each.default
    assert settings.origins == {"instance": "IDP_INSTANCE"}
    assert settings.sqlalchemy_url == f"sqlite:///{instance}/idp.sqlite3"


def test_the_defaults_pass_their_own_checks():
    for each in declared():
        check = each.metadata["check"]
        assert not check or check(each.default) is None, each.name


def test_the_environment_wins_over_the_toml_file_and_that_over_the_default(read, instance):
    toml = 'brand_name = "From TOML"\nregistration = "open"\n'
    settings = read(toml, IDP_BRAND_NAME="From the environment")
    assert settings.brand_name == "From the environment"
    assert settings.registration == "open"
    assert settings.log_level == "info"
    assert settings.origins["brand_name"] == "IDP_BRAND_NAME"
    assert settings.origins["registration"] == str(instance / "idp.toml")
    assert "log_level" not in settings.origins


def test_a_file_named_by_a_variable_wins_over_the_toml_file(read, instance):
    path = instance / "mounted"
    path.write_text(SECRET + "\n", "utf-8")
    settings = read(f'secret_key = "{"x" * 40}"', IDP_SECRET_KEY_FILE=str(path))
    assert settings.secret_key == SECRET
    assert settings.origins["secret_key"] == f"IDP_SECRET_KEY_FILE ({path})"


def test_the_instances_own_secret_key_is_the_weakest_source(read, instance):
    (instance / "secret_key").write_text(SECRET + "\n", "utf-8")
    assert read().secret_key == SECRET
    assert read().origins["secret_key"] == str(instance / "secret_key")
    assert read(f'secret_key = "{"x" * 40}"').secret_key == "x" * 40
    assert read(IDP_SECRET_KEY="y" * 40).secret_key == "y" * 40


def test_text_numbers_and_choices_are_read_from_both_sources(read):
    assert read("session_lifetime = 7200").session_lifetime == 7200
    assert read(IDP_SESSION_LIFETIME=" 3600 ").session_lifetime == 3600
    assert read(IDP_SIGNING_ALGORITHM="ES256").signing_algorithm == "ES256"
    assert read(IDP_BRAND_NAME="  Büro  ").brand_name == "Büro"


@pytest.mark.parametrize("end", ["\r", " "])
def test_blanks_around_a_value_do_not_matter(instance, end):
    """As in a file of settings that was written on Windows."""
    (key := instance / "key").write_text(SECRET, "utf-8")
    values = {"INSTANCE": instance, "REGISTRATION": "open", "PROXY_HOPS": 1, "SECRET_KEY_FILE": key}
    settings = load({f"IDP_{name}": f"{value}{end}" for name, value in values.items()})
    assert (settings.instance, settings.registration, settings.proxy_hops) == (instance, "open", 1)
    assert settings.secret_key == SECRET


def test_variables_of_others_do_not_matter(read):
    assert isinstance(read(IDPX="1", HOME="/", IDP_VENV="/venv", IDP_TEST_CHROMIUM="/bin/true"), Settings)


def test_settings_never_change(read):
    with pytest.raises(FrozenInstanceError):
        read().issuer = "https://elsewhere.example.org"


# -- Faults -----------------------------------------------------------------------------


def test_every_fault_is_told_at_once(read):
    faults = read(
        'brand_accent = "blue"\nsession_lifetime = true\nsesion_idle_lifetime = 5\n',
        IDP_ISSUER="ftp://example.org",
        IDP_REGISTRATION="perhaps",
        IDP_PROXY_HOPS="many",
        IDP_ISUER="x",
        IDP_SECRET_KEY_FILE="/nowhere/at/all",
    )
    text = "\n".join(faults)
    for expected in (
        "brand_accent",
        "session_lifetime",
        "sesion_idle_lifetime",
        "ftp://example.org",
        "registration",
        "proxy_hops",
        "IDP_ISUER",
        "/nowhere/at/all",
    ):
        assert expected in text
    assert len(faults) == 8


def test_what_is_wrong_together_is_told_beside_what_is_wrong_by_itself(read):
    unknown, missing = read(IDP_ZZZ="x", IDP_SMTP_HOST="mail.example.org")
    assert unknown.startswith("IDP_ZZZ")
    assert missing.startswith("mail_from must be set")


def test_what_is_no_text_is_not_said_to_be_missing_too(read):
    (fault,) = read("smtp_password = 12345", IDP_SMTP_USERNAME="idp")
    assert fault.startswith("smtp_password (from")


def test_what_may_stand_in_a_file_that_cannot_be_read_is_not_said_to_be_missing(read):
    (fault,) = read("mail_from = ", IDP_SMTP_HOST="mail.example.org")
    assert "idp.toml is no TOML" in fault


def test_the_error_text_holds_every_fault():
    with pytest.raises(SettingsError) as error:
        load({"IDP_ISSUER": "x", "IDP_LOG_LEVEL": "y"})
    assert all(fault in str(error.value) for fault in error.value.faults)
    assert len(error.value.faults) == 2


@pytest.mark.parametrize(
    ("variable", "meant"), [("IDP_ISUER", "issuer"), ("IDP_SECRETKEY", "secret_key"), ("IDP_LOGLEVEL", "log_level")]
)
def test_an_unknown_variable_is_a_fault_with_a_suggestion(read, variable, meant):
    (fault,) = read(**{variable: "x"})
    assert fault == f"{variable} is an unknown setting; did you mean {meant}?"


def test_an_unknown_name_in_the_toml_file_is_a_fault_with_a_suggestion(read):
    (fault,) = read('regestration = "open"')
    assert fault.endswith("an unknown setting 'regestration'; did you mean registration?")


def test_a_name_that_resembles_nothing_gets_no_suggestion(read):
    assert read(IDP_ZZZ="x") == ("IDP_ZZZ is an unknown setting",)


@pytest.mark.parametrize("variable", ["IDP_NONSENSE_FILE", "IDP_INSTANCE_FILE", "IDP_FILE"])
def test_a_file_for_what_is_no_setting_is_a_fault(read, variable):
    (fault,) = read(**{variable: "/dev/null"})
    assert fault.startswith(f"{variable} is an unknown setting")


def test_the_instance_folder_cannot_be_set_inside_itself(read):
    (fault,) = read('instance = "/elsewhere"')
    assert "'instance'" in fault


def test_a_value_and_a_file_for_one_setting_are_a_fault(read, instance):
    (instance / "key").write_text(SECRET, "utf-8")
    (fault,) = read(IDP_SECRET_KEY="x" * 40, IDP_SECRET_KEY_FILE=str(instance / "key"))
    assert fault == "IDP_SECRET_KEY_FILE and IDP_SECRET_KEY are both set: keep one"


def test_an_empty_secret_key_takes_the_place_of_no_other(read, instance):
    """As Compose leaves it with `${IDP_SECRET_KEY:-}`: the instance's own is there, and would seem to be missing."""
    (instance / "secret_key").write_text(SECRET, "utf-8")
    (instance / "empty").write_text("\n", "utf-8")
    assert read(IDP_SECRET_KEY="") == ("IDP_SECRET_KEY is set, but empty: give it the secret key, or unset it",)
    (fault,) = read(IDP_SECRET_KEY_FILE=str(instance / "empty"))
    assert fault.startswith(f"IDP_SECRET_KEY_FILE ({instance / 'empty'}) is set, but empty")


def test_a_file_that_is_not_text_is_a_fault(read, instance):
    (instance / "key").write_bytes(b"\xff" * 40)
    assert any("cannot be read" in fault for fault in read(IDP_SECRET_KEY_FILE=str(instance / "key")))


def test_a_mark_that_editors_put_before_the_text_does_not_matter(read, instance):
    path = instance / "mounted"
    path.write_text(SECRET, "utf-8-sig")
    assert read('\ufeffbrand_name = "Tea"', IDP_SECRET_KEY_FILE=str(path)).brand_name == "Tea"
    assert read(IDP_SECRET_KEY_FILE=str(path)).secret_key == SECRET


@pytest.mark.parametrize("name", ["smtp_ca_file", "outgoing_ca_file"])
def test_a_file_of_certificates_holds_some(read, instance, name):
    path = instance / "ca.pem"
    path.write_text("no certificate\n", "utf-8")
    for value in (str(path), str(instance), str(instance / "missing.pem"), "x" * 5_000):
        (fault,) = read(**{f"IDP_{name.upper()}": value})
        assert "must be the path of a file of certificates (PEM)" in fault


@pytest.mark.parametrize("text", ["", "hunter2\n", "B" * 40 + "\n" + "A" * 40 + "\n", "C" * 32 + "\n", "A" * 39])
def test_a_file_of_breached_passwords_holds_digests_in_their_order(read, instance, text):
    path = instance / "breached"
    path.write_text(text, "ascii")
    for value in (str(path), str(instance), str(instance / "missing"), "x" * 5_000, "\x00"):
        (fault,) = read(IDP_BREACHED_PASSWORDS_FILE=value)
        assert "must be the path of a file of SHA-1 digests" in fault
    path.write_text("".join(f"{number:040X}:7\r\n" for number in range(3_000)) + "lost", "ascii", newline="")
    assert read(IDP_BREACHED_PASSWORDS_FILE=str(path)).breached_passwords_file == str(path)


def test_toml_that_is_none_is_a_fault(read):
    (fault,) = read("brand_name = ")
    assert "idp.toml is no TOML" in fault


@pytest.mark.parametrize("raw", ["", "1.5", "ten", "1e3", "0x10", "1_000", "9" * 13])
def test_what_is_no_whole_number_is_a_fault_with_the_unit(read, raw):
    (fault,) = read(IDP_SESSION_LIFETIME=raw)
    assert fault == f"session_lifetime (from IDP_SESSION_LIFETIME) must be a whole number of seconds, not {raw!r}"


@pytest.mark.parametrize("toml", ["bcrypt_cost = 12.0", "bcrypt_cost = true", "bcrypt_cost = [12]", "brand_name = 5"])
def test_a_toml_value_of_another_type_is_a_fault(read, toml):
    (fault,) = read(toml)
    assert toml.split()[0] in fault


@pytest.mark.parametrize(
    ("name", "fine", "faulty"),
    [
        ("proxy_hops", ("0", "10"), ("-1", "11")),
        ("password_min_length", ("8", "128"), ("7", "129")),
        ("password_min_score", ("0", "4"), ("-1", "5")),
        ("bcrypt_cost", ("4", "18"), ("3", "19")),
        ("session_idle_lifetime", ("600", "315360000"), ("599", "315360001")),
        ("session_lifetime", ("60", "315360000"), ("59", "315360001", "999999999999")),
        ("interaction_lifetime", ("60", "315360000"), ("59", "315360001")),
        ("authorization_code_lifetime", ("10", "600"), ("9", "601")),
        ("access_token_lifetime", ("10", "31536000"), ("9", "31536001")),
        ("id_token_lifetime", ("10", "86400"), ("9", "86401")),
        ("refresh_token_lifetime", ("60", "315360000"), ("59", "315360001")),
        ("throttle_account_burst", ("1", "1000000"), ("0", "1000001")),
        ("throttle_account_interval", ("1", "86400"), ("0", "86401")),
        ("throttle_address_burst", ("1", "1000000"), ("0", "1000001")),
        ("throttle_address_interval", ("1", "86400"), ("0", "86401")),
        (
            "throttle_url",
            ("", "redis://host", "redis://me:secret@[::1]:6379/1", "rediss://host:6380", "unix:///run/redis.sock"),
            ("host:6379", "http://host", "redis://", "redis://host:port", "unix://run/redis.sock", "REDIS://host"),
        ),
        ("brand_accent", ("#000000", "#AbCdEf"), ("", "blue", "#fff", "#12345g", "#0000000")),
        (
            "brand_name",
            ("X", "x" * 60, "Acme\u00a0GmbH", "خانه\u200cها", "\U0001f469\u200d\U0001f4bb Tea"),
            ("", " ", "x" * 61, "a\nb", "a\x07b", "a\x85b", "a\u2028b", "a\u2029b", "a\udcfcb"),
        ),
        ("brand_logo", ("", "logo.svg", "our-logo.png"), ("logo.gif", "../logo.svg", "a/b.svg", "/etc/x.svg", "svg")),
        ("registration", ("open", "preauthorized", "closed"), ("", "Open", "yes")),
        ("signing_algorithm", ("RS256", "ES256"), ("HS256", "none")),
        ("log_level", ("debug", "error"), ("trace", "INFO")),
    ],
)
def test_bounds_and_forms(read, name, fine, faulty):
    variable = f"IDP_{name.upper()}"
    for raw in fine:
        assert isinstance(read(**{variable: raw}), Settings), raw
    for raw in faulty:
        faults = read(**{variable: raw})
        assert isinstance(faults, tuple), raw
        assert len(faults) == 1
        assert name in faults[0]
        assert variable in faults[0]


def test_a_name_with_a_control_character_is_told_so(read):
    (fault,) = read(IDP_BRAND_NAME="a\x07b")
    assert "on one line, in UTF-8 and without control characters" in fault


# -- The issuer ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "issuer",
    [
        *("https://login.example.org", "https://example.org:8443/login", "https://xn--bcher-kva.example"),
        *("http://localhost:8000", "http://127.0.0.1:9000", "http://[::1]:9000", "http://idp.localhost"),
    ],
)
def test_issuers_that_are_fine(read, issuer):
    assert read(IDP_ISSUER=issuer).issuer == issuer


@pytest.mark.parametrize(
    ("issuer", "fault"),
    [
        ("http://login.example.org", "must be https"),
        ("http://192.0.2.1", "must be https"),
        ("http://localhost.example.org", "must be https"),
        ("https://login.example.org/", "slash"),
        ("https://login.example.org?x=1", "query"),
        ("https://login.example.org?", "query"),
        ("https://login.example.org#x", "fragment"),
        ("https://me@login.example.org", "user name"),
        ("login.example.org", "must be a URL"),
        ("ftp://login.example.org", "must be a URL"),
        ("https://", "must be a URL"),
        ("https://login.example.org:port", "is no URL"),
        ("https://[::1", "is no URL"),
        ("https://bücher.example", "characters"),
        ("https://login example.org", "characters"),
        ("https://login.example.org/a\nb", "characters"),
        ("", "must be a URL"),
    ],
)
def test_issuers_that_are_not(read, issuer, fault):
    (told,) = read(IDP_ISSUER=issuer)
    assert fault in told


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "::1")),
        *((host, False) for host in ("", None, "localhost.example.org", "10.0.0.1", "::2", "0.0.0.0", "example.org")),
    ],
)
def test_what_is_this_machine(host, expected):
    assert is_loopback(host) is expected


def test_what_follows_from_the_issuer():
    settings = Settings(issuer="https://example.org/login")
    assert settings.is_https
    assert settings.issuer_path == "/login"
    assert settings.url("/account") == "https://example.org/login/account"
    assert Settings().issuer_path == ""
    assert not Settings().is_https


# -- Secrets ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("secret_key", '"too-short-7391"'),
        ("secret_key", "7391739173917391"),
        ("secret_key", '["7391"]'),
        ("secret_key", "{ value = 7391 }"),
        ("database_url", '"mysql://me:7391@host/db"'),
        ("database_url", '"postgresql://me:7391@host:port/db"'),
        ("database_url", "7391"),
        ("throttle_url", '"valkey://me:7391@host"'),
    ],
)
def test_a_fault_of_a_secret_does_not_show_it(read, name, raw):
    (fault,) = read(f"{name} = {raw}")
    assert name in fault
    assert "7391" not in fault


def test_a_key_file_whose_content_is_faulty_is_not_shown(read, instance):
    (instance / "secret_key").write_text("short7391", "utf-8")
    (fault,) = read()
    assert "7391" not in fault
    assert str(instance / "secret_key") in fault


def test_what_holds_a_secret_is_marked():
    assert {each.name for each in declared() if each.metadata["secret"]} == {
        "secret_key",
        "database_url",
        "metrics_token",
        "smtp_password",
        "throttle_url",
    }


# -- The database -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:////srv/idp.db", "sqlite:////srv/idp.db"),
        ("postgresql://me@host/idp", "postgresql+psycopg://me@host/idp"),
        ("postgres://me@host/idp", "postgresql+psycopg://me@host/idp"),
        ("postgresql+psycopg://me@host/idp", "postgresql+psycopg://me@host/idp"),
    ],
)
def test_database_urls_name_the_driver(read, url, expected):
    assert read(IDP_DATABASE_URL=url).sqlalchemy_url == expected


@pytest.mark.parametrize("url", ["mysql://host/db", "idp.sqlite3", "postgresql+asyncpg://host/db"])
def test_databases_that_are_not_supported_are_a_fault(read, url):
    (fault,) = read(IDP_DATABASE_URL=url)
    assert "sqlite:/// or postgresql://" in fault


@pytest.mark.parametrize(
    "url", ["sqlite:///", "sqlite:///:memory:", "sqlite:////srv/idp.db?timeout=soon", "sqlite:///file:idp.db?uri=true"]
)
def test_a_sqlite_database_is_one_file_that_all_processes_share(read, url):
    (fault,) = read(IDP_DATABASE_URL=url)
    assert "must name a file" in fault


def test_a_relative_path_begins_where_the_command_runs(read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read(IDP_DATABASE_URL="sqlite:///data/%C3%BC.db").sqlalchemy_url == f"sqlite:///{tmp_path}/data/%C3%BC.db"


def test_an_instance_folder_with_odd_letters_still_has_a_database(tmp_path):
    from sqlalchemy import create_engine, text

    folder = tmp_path / "büro #1 ?x%20y"
    folder.mkdir()
    engine = create_engine(load({"IDP_INSTANCE": str(folder)}).sqlalchemy_url)
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE t (x)"))
    engine.dispose()
    assert (folder / "idp.sqlite3").exists()


def test_every_setting_has_a_sentence_that_explains_it():
    for each in declared():
        assert each.metadata["doc"].endswith("."), each.name
        assert each.metadata["unit"] or each.default.__class__ is not int, each.name
    assert len({each.name for each in module.declared()}) == len(module.declared())
