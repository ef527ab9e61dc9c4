"""Every setting of the provider: its name, its default, its unit and what it is for.

A value comes from, in this order: the variable `IDP_NAME`, the file that `IDP_NAME_FILE` names (secrets),
the key `name` in `idp.toml` of the instance folder, the default below. Unknown names and faulty values are
reported all at once.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import quote, unquote, urlsplit

from idp import setting_rules as rules
from idp.clock import DAY
from idp.errors import SettingsError
from idp.setting_rules import LONGEST, between, is_loopback

PREFIX = "IDP_"
TOML_NAME = "idp.toml"
SECRET_KEY_NAME = "secret_key"  # noqa: S105 - a file's name
METRICS_NAME = "metrics"  # folder in the instance folder; holds the counters of running processes
NOT_OURS = ("IDP_VENV", "IDP_TEST_")  # beginnings of variables for scripts around the commands, and for the tests

AuthorizationCodes = Literal["carried", "stored"]
RegistrationPolicy = Literal["open", "preauthorized", "closed"]
SigningAlgorithm = Literal["RS256", "PS256", "ES256", "EdDSA"]
DynamicRegistration = Literal["off", "token", "open"]
SmtpSecurity = Literal["starttls", "tls", "none"]
MailRoute = Literal["smtp", "outbox", "nowhere"]
SMTP_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def setting(
    default: Any, doc: str, *, unit: str = "", secret: bool = False, check: Callable[[Any], str | None] | None = None
) -> Any:
    """Declare one setting; `check` answers what is wrong with a value, or None."""
    return field(default=default, metadata={"doc": doc, "unit": unit, "secret": secret, "check": check})


def sqlite_url(file: Path) -> str:
    """Return the URL of a SQLite database."""
    return f"sqlite:///{quote(str(file), safe='/:')}"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator may choose. Frozen: a running provider never changes its mind."""

    instance: Path = setting(Path("instance"), "The instance folder: database, secret key, idp.toml.")
    issuer: str = setting(
        "http://localhost:8000",
        "The provider's own URL, as browsers and apps reach it; https except on loopback.",
        check=rules.fault_of_issuer,
    )
    secret_key: str = setting(
        "",
        "Encrypts signing keys at rest and signs access tokens. Default: the file `secret_key` that `idp init` makes.",
        secret=True,
        check=rules.fault_of_secret_key,
    )
    database_url: str = setting(
        "",
        "Where the data lives: sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME. Default: `idp.sqlite3` in the "
        "instance folder.",
        secret=True,
        check=rules.fault_of_database_url,
    )
    proxy_hops: int = setting(
        0,
        "How many reverse proxies stand before the provider and add to X-Forwarded-For.",
        unit="proxies",
        check=between(0, 10),
    )
    private_addresses: Literal["refused", "allowed"] = setting(
        "refused",
        "Whether apps in a private network are called (sign-outs, keys, request objects); loopback is called where "
        "the issuer is on loopback.",
    )
    outgoing_ca_file: str = setting(
        "",
        "File of certificates (PEM) to trust apps by that the provider calls, instead of the system's; for a CA of "
        "your own.",
        check=rules.fault_of_certificates,
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "How much the log tells.")
    log_format: Literal["text", "json"] = setting(
        "text", "How the log is written: lines for people (text), or a JSON object a line (json)."
    )
    log_requests: Literal["off", "on"] = setting(
        "off", "Whether each request leaves a line in the log: method, route, status, time; never a query."
    )
    metrics_token: str = setting(
        "",
        "Whoever asks for /metrics shows it as a bearer token. Empty: nothing is counted for others, and there is no "
        "/metrics.",
        secret=True,
        check=rules.fault_of_metrics_token,
    )

    registration: RegistrationPolicy = setting(
        "closed", "Who may register: anyone (open), listed addresses (preauthorized), or nobody (closed)."
    )

    brand_name: str = setting("Streamlit IdP", "Your name, at the top of every page.", check=rules.fault_of_text)
    brand_logo: str = setting(
        "",
        "File name of a logo in the instance folder (svg, png, webp); empty for none.",
        check=rules.fault_of_logo,
    )
    brand_accent: str = setting("#2b5fd9", "Accent colour of buttons and links.", check=rules.fault_of_colour)

    smtp_host: str = setting(
        "",
        "The mail server. Without one, mail goes to files in `outbox` in the instance folder where the issuer is on "
        "this machine, and nowhere otherwise.",
        check=rules.fault_of_host,
    )
    smtp_port: int = setting(
        0,
        "The mail server's port; 0 for the usual one: 587 (starttls), 465 (tls), 25 (none).",
        unit="port",
        check=between(0, 65_535),
    )
    smtp_security: SmtpSecurity = setting(
        "starttls",
        "How the connection to the mail server is encrypted: starttls (demanded, never just tried), tls from the first "
        "byte, or none.",
    )
    smtp_username: str = setting("", "Name to sign in to the mail server with; empty for none.")
    smtp_password: str = setting("", "Password to sign in to the mail server with.", secret=True)
    smtp_ca_file: str = setting(
        "",
        "File of certificates (PEM) to trust the mail server by, instead of the system's; for a CA of your own.",
        check=rules.fault_of_certificates,
    )
    smtp_timeout: int = setting(
        20, "The mail server may take so long over each of its answers.", unit="seconds", check=between(1, 120)
    )
    mail_from: str = setting(
        "",
        "Sender of all mail: login@example.org, or Tea House <login@example.org>. Needed with smtp_host.",
        check=rules.fault_of_mail_from,
    )

    password_min_length: int = setting(10, "Shortest password.", unit="characters", check=between(8, 128))
    password_min_score: int = setting(
        3, "Least zxcvbn score: 0 is guessed at once, 4 is very strong.", unit="score", check=between(0, 4)
    )
    breached_passwords_file: str = setting(
        "",
        "File of SHA-1 digests of passwords that were stolen elsewhere, ordered, as Have I Been Pwned has them: a new "
        "password may be none of them.",
        check=rules.fault_of_digests,
    )
    bcrypt_cost: int = setting(
        12, "Cost of a password hash: each step doubles it.", unit="log2 rounds", check=between(4, 18)
    )

    session_idle_lifetime: int = setting(
        7 * DAY,
        "A browser session ends when nothing happened in it for so long, give or take five minutes.",
        unit="seconds",
        check=between(600, LONGEST),
    )
    session_lifetime: int = setting(
        30 * DAY,
        "A browser session ends so long after sign-in, whatever happens.",
        unit="seconds",
        check=between(60, LONGEST),
    )
    interaction_lifetime: int = setting(
        3_600, "A person may take so long over sign-in and consent.", unit="seconds", check=between(60, LONGEST)
    )
    authorization_code_lifetime: int = setting(
        60, "An authorization code may be redeemed for so long.", unit="seconds", check=between(10, 600)
    )
    authorization_codes: AuthorizationCodes = setting(
        "carried",
        "Codes carry what was granted, and are written down when they are redeemed; or they are stored when they are "
        "issued, as long as servers of an older version, which know no others, work beside this one.",
    )
    access_token_lifetime: int = setting(
        600, "An access token is good for so long.", unit="seconds", check=between(10, 365 * DAY)
    )
    id_token_lifetime: int = setting(3_600, "An ID token is good for so long.", unit="seconds", check=between(10, DAY))
    refresh_token_lifetime: int = setting(
        30 * DAY, "A refresh token not used for so long is worthless.", unit="seconds", check=between(60, LONGEST)
    )
    pushed_request_lifetime: int = setting(
        90, "A pushed authorization request waits for its browser for so long.", unit="seconds", check=between(5, 600)
    )
    device_code_lifetime: int = setting(
        900, "Somebody may take so long to type a device's code.", unit="seconds", check=between(60, 3_600)
    )
    signing_algorithm: SigningAlgorithm = setting(
        "RS256", "Signs ID tokens of clients that name no algorithm of their own."
    )

    key_rotation_interval: int = setting(
        90 * DAY,
        "The worker exchanges a signing key of this age; 0 leaves that to `idp keys rotate`.",
        unit="seconds",
        check=rules.fault_of_rotation_interval,
    )
    key_publish_lead: int = setting(
        DAY,
        "A new signing key is published for so long before it signs, so that apps have fetched it by then.",
        unit="seconds",
        check=between(600, 30 * DAY),
    )

    dynamic_registration: DynamicRegistration = setting(
        "off",
        "Whether software registers itself as a client (RFC 7591): not at all (off), with an initial access token "
        "from `idp client token` (token), or anyone (open).",
    )
    session_management: Literal["off", "on"] = setting(
        "off",
        "Whether apps may watch in the browser if somebody is still signed in (OpenID Connect Session Management): "
        "one more cookie, which scripts and frames may read.",
    )
    response_types: Literal["code", "all"] = setting(
        "code",
        "Which response types there are: code alone, or those of the implicit and hybrid flows too (all), which "
        "OAuth 2.1 and RFC 9700 advise against.",
    )
    dpop_nonce: Literal["required", "optional"] = setting(
        "required", "Whether a DPoP proof must carry a nonce of the provider's (RFC 9449 section 8)."
    )

    throttle_account_burst: int = setting(
        10,
        "Failed sign-ins to one account, from browsers it does not know, before it slows down.",
        unit="attempts",
        check=between(1, 1_000_000),
    )
    throttle_account_interval: int = setting(
        30, "After the burst, one more attempt for an account in so long.", unit="seconds", check=between(1, DAY)
    )
    throttle_address_burst: int = setting(
        50,
        "Failed sign-ins and registrations from one network address before it slows down.",
        unit="attempts",
        check=between(1, 1_000_000),
    )
    throttle_address_interval: int = setting(
        5, "After the burst, one more attempt for an address in so long.", unit="seconds", check=between(1, DAY)
    )

    throttle_url: str = setting(
        "",
        "A Redis or Valkey server for the attempts that throttles count: redis://HOST:6379/0, rediss:// with TLS, or "
        "unix:///PATH. Default: the database.",
        secret=True,
        check=rules.fault_of_throttle_url,
    )

    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    # -- Derived ----------------------------------------------------------------

    @property
    def sqlalchemy_url(self) -> str:
        """The database's URL as SQLAlchemy wants it."""
        if not self.database_url:
            return sqlite_url(self.instance.resolve() / "idp.sqlite3")
        scheme, rest = self.database_url.split("://", 1)
        if scheme.startswith("postgres"):
            return f"postgresql+psycopg://{rest}"
        # Absolute, because Flask-SQLAlchemy would begin in a folder of Flask's.
        return sqlite_url(Path(unquote(rest[1:])).absolute())

    @property
    def is_sqlite(self) -> bool:
        """Whether the data live in a file on this machine."""
        return self.sqlalchemy_url.startswith("sqlite")

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the provider over TLS."""
        return self.issuer.startswith("https://")

    @property
    def issuer_path(self) -> str:
        """The path of the issuer, without the last slash: empty for most."""
        return urlsplit(self.issuer).path.rstrip("/")

    @property
    def is_loopback(self) -> bool:
        """Whether the issuer is on this machine: a provider to try out, which nobody else reaches."""
        return is_loopback(urlsplit(self.issuer).hostname)

    @property
    def mail_route(self) -> MailRoute:
        """Where mail goes: to a server, to files, or nowhere (it waits then, and gives up after two days)."""
        if self.smtp_host:
            return "smtp"
        return "outbox" if self.is_loopback else "nowhere"

    def url(self, path: str) -> str:
        """Return the public URL of a path of the provider; never made from what a request claims its host to be."""
        return self.issuer + path


def declared() -> tuple[Field[Any], ...]:
    """List the settings in the order in which they are documented."""
    return tuple(each for each in fields(Settings) if each.name != "origins")


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Args:
        environ: the environment.

    Raises:
        SettingsError: with every fault, not only the first.
    """
    faults: list[str] = []
    unread: list[str] = []
    instance = Path(environ.get(f"{PREFIX}INSTANCE", "").strip() or "instance")
    raw, origins = _collect(environ, instance, faults, unread)
    values: dict[str, Any] = {}
    for each in declared():
        if each.name not in raw:
            continue
        try:
            value = _parse(each, raw[each.name])
        except ValueError as fault:
            faults.append(f"{each.name} (from {origins[each.name]}) {fault}")
            values[each.name] = str(raw[each.name])  # or another fault would say that it is missing
            continue
        check = each.metadata["check"]
        if check and (fault_text := check(value)):
            faults.append(f"{each.name} (from {origins[each.name]}) {fault_text}{_shown(each, value)}")
        values[each.name] = value
    if not unread:  # or what seems to be missing may stand there
        faults.extend(_faults_together(Settings(**values, origins=origins)))
    if unread or faults:
        raise SettingsError([*unread, *faults])
    values["instance"] = instance
    return Settings(**values, origins=origins)


def _faults_together(given: Settings) -> Iterator[str]:
    """Name the settings that are right by themselves and wrong together."""
    origin = given.origins.get("secret_key", "")
    if origin.startswith(PREFIX) and not given.secret_key:  # the instance's own key would seem to be missing
        yield f"{origin} is set, but empty: give it the secret key, or unset it"
    if given.smtp_host and not given.mail_from:
        yield "mail_from must be set when smtp_host is: mail needs a sender"
    if given.smtp_username and not given.smtp_password:
        yield "smtp_password must be set when smtp_username is"
    if given.smtp_password and not given.smtp_username:
        yield "smtp_username must be set when smtp_password is"
    if given.smtp_username and given.smtp_security == "none" and not is_loopback(given.smtp_host):
        yield "smtp_security must not be none when smtp_username is set: the password would travel in clear"


def _collect(
    environ: Mapping[str, str], instance: Path, faults: list[str], unread: list[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Gather raw values and where each came from, the strongest source last; files with faults are told apart."""
    names = {each.name for each in declared()}
    raw: dict[str, Any] = {}
    origins: dict[str, str] = {}

    def take(name: str, value: Any, origin: str) -> None:
        raw[name], origins[name] = value, origin

    secret_key_file = instance / SECRET_KEY_NAME
    if secret_key_file.is_file():
        take("secret_key", _read(secret_key_file, "the instance's secret key", unread), str(secret_key_file))
    toml = instance / TOML_NAME
    if toml.is_file():
        try:
            content = tomllib.loads(_read(toml, "the settings", unread))
        except tomllib.TOMLDecodeError as fault:
            unread.append(f"{toml} is no TOML: {fault}")
            content = {}
        for name, value in content.items():
            if name not in names or name == "instance":
                faults.append(f"{toml} has an unknown setting {name!r}{_suggestion(name, names)}")
            else:
                take(name, value, str(toml))
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable.startswith(NOT_OURS):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in names:
            take(name, value, variable)
        elif not name.endswith("_file") or name.removesuffix("_file") not in names - {"instance"}:
            faults.append(f"{variable} is an unknown setting{_suggestion(name, names)}")
    for variable, value in environ.items():
        name = variable.removeprefix(PREFIX).lower().removesuffix("_file")
        if not variable.startswith(PREFIX) or not variable.endswith("_FILE") or name not in names - {"instance"}:
            continue
        if origins.get(name) == f"{PREFIX}{name.upper()}":
            faults.append(f"{variable} and {PREFIX}{name.upper()} are both set: keep one")
        else:
            take(name, _read(Path(value.strip()), variable, unread), f"{variable} ({value.strip()})")
    return raw, origins


def _read(path: Path, what: str, unread: list[str]) -> str:
    try:
        return path.read_text("utf-8-sig").strip()  # some editors put a mark before the text
    except (OSError, UnicodeDecodeError) as fault:
        unread.append(f"{what}: {path} cannot be read ({fault.__class__.__name__}: {fault})")
        return ""


def _suggestion(name: str, names: set[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only on the way to an error

    close = get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _parse(each: Field[Any], raw: Any) -> Any:
    """Turn text or a TOML value into the setting's type."""
    kind = each.type
    if isinstance(raw, str):
        raw = raw.strip()  # files of settings that Windows wrote leave a return at the end
    if get_origin(kind) is Literal:
        if raw not in get_args(kind):
            raise ValueError(f"must be one of {', '.join(get_args(kind))}{_shown(each, raw)}")
        return raw
    if kind is int:
        if isinstance(raw, bool) or not re.fullmatch(r"[+-]?\d{1,12}", str(raw)):
            raise ValueError(f"must be a whole number{_unit(each)}{_shown(each, raw)}")
        return int(raw)
    if kind is Path:
        return Path(str(raw))
    if not isinstance(raw, str):
        raise ValueError(f"must be text{_shown(each, raw)}")  # noqa: TRY004 - one kind of fault for the caller
    return raw


def _shown(each: Field[Any], value: Any) -> str:
    """End a fault with the value at fault, unless it is a secret."""
    return "" if each.metadata["secret"] else f", not {value!r}"


def _unit(each: Field[Any]) -> str:
    unit = each.metadata["unit"]
    return f" of {unit}" if unit else ""
