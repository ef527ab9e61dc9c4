"""What a setting's value has to be. Each rule answers what is wrong with a value, or None."""

import re
import unicodedata
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from idp.clock import DAY

_SHA1 = re.compile(rb"[0-9A-F]{40}")
_BEGINNING = 64 * 1024  # bytes of a file that may be very long
LONGEST = 3_650 * DAY  # times further ahead than that are none that a calendar, or a database, can write


def between(least: int, most: int) -> Callable[[Any], str | None]:
    """Make a check for a closed range."""
    return lambda value: None if least <= value <= most else f"must be from {least} to {most}"


def is_loopback(host: str | None) -> bool:
    """Tell whether a host name or address means this machine only."""
    if not host:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def fault_of_issuer(value: str) -> str | None:
    """OpenID Connect Discovery section 3: https, no query, no fragment."""
    try:
        url = urlsplit(value)
        host, _ = url.hostname, url.port
    except ValueError as fault:
        return f"is no URL ({fault})"
    if url.scheme not in ("http", "https") or not host:
        return "must be a URL such as https://login.example.org"
    if not value.isascii() or re.search(r"[\s\x00-\x1f\x7f\"<>\\^`{|}]", value):
        return "holds characters that a URL cannot have (write an international name as xn--...)"
    if url.scheme == "http" and not is_loopback(host):
        return "must be https (http only on this machine itself, such as http://localhost:8000)"
    if url.query or url.fragment or "?" in value or "#" in value:
        return "must have neither query nor fragment"
    if value.endswith("/"):
        return "must not end with a slash"
    if url.username is not None:
        return "must not hold a user name"
    return None


def fault_of_colour(value: str) -> str | None:
    """Six digits of a colour, and nothing else that a style sheet might take."""
    return None if re.fullmatch(r"#[0-9a-fA-F]{6}", value) else "must be a colour such as #2b5fd9"


def fault_of_database_url(value: str) -> str | None:
    """SQLite or PostgreSQL, by a URL that SQLAlchemy reads; empty for the default."""
    if value and not value.startswith(("sqlite:///", "postgresql+psycopg://", "postgresql://", "postgres://")):
        return "must begin with sqlite:/// or postgresql://"
    if not value:
        return None
    from sqlalchemy import make_url  # noqa: PLC0415 - whoever names no database need not wait for its library
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        return "is no database URL: look at port, user name and password (percent-encode what is not a letter or digit)"
    # In memory each process would have one of its own; and with options, SQLite may open another file than we look at.
    if value.startswith("sqlite") and (url.database in (None, "", ":memory:") or url.query):
        return "must name a file, such as sqlite:////var/lib/idp/idp.sqlite3, and no options"
    return None


def fault_of_throttle_url(value: str) -> str | None:
    """Redis or Valkey; empty for none. Whether it answers, `idp doctor` tells."""
    if value == "" or value.startswith("unix:///"):
        return None
    try:
        url = urlsplit(value)
        is_whole, _ = value.startswith(("redis://", "rediss://")) and bool(url.hostname), url.port
    except ValueError:
        is_whole = False
    return None if is_whole else "must be a URL such as redis://HOST:6379/0, rediss://HOST:6379/0 or unix:///PATH"


def fault_of_secret_key(value: str) -> str | None:
    """Long enough that nobody guesses it; empty for the file."""
    return None if value == "" or len(value) >= 32 else "must have at least 32 characters; `idp init` makes one"


def fault_of_rotation_interval(value: int) -> str | None:
    """Zero for never, or a week at least."""
    return None if value == 0 or 7 * DAY <= value <= LONGEST else f"must be 0, or from {7 * DAY} to {LONGEST}"


def fault_of_metrics_token(value: str) -> str | None:
    """What a bearer token may consist of (RFC 6750 section 2.1), and long enough; empty for none."""
    if value == "" or re.fullmatch(r"[A-Za-z0-9._~+/-]{16,200}=*", value):
        return None
    return "must have 16 to 200 letters, digits and -._~+/ (RFC 6750)"


def fault_of_text(value: str) -> str | None:
    """A name that fits at the top of a page and in front of the sender of a mail."""
    # A new line in it would end a mail's From, and a lone surrogate fits in no page. Spaces that do not break are fine,
    # and so are joiners, as in Persian and in emojis.
    is_plain = not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in value)
    if value.strip() and is_plain and len(value) <= 60:
        return None
    return "must have 1 to 60 characters, on one line, in UTF-8 and without control characters"


def fault_of_logo(value: str) -> str | None:
    """A name of a picture without a path, so that nothing outside of the folder is shown; empty for none."""
    if value == "" or re.fullmatch(r"[\w.-]+\.(svg|png|webp)", value):
        return None
    return "must be a file name that ends in .svg, .png or .webp"


def fault_of_mail_from(value: str) -> str | None:
    """One address, with or without a name (RFC 5322 section 3.4); empty for none."""
    if value == "":
        return None
    from email.errors import MessageError  # noqa: PLC0415 - most commands need no mail
    from email.headerregistry import Address  # noqa: PLC0415
    from email.utils import getaddresses  # noqa: PLC0415

    try:
        [(name, address)] = getaddresses([value])
        parsed = Address(name, addr_spec=address)
    except (MessageError, ValueError, IndexError):
        parsed = Address()
    if not (parsed.username and parsed.domain and value.isprintable()):
        return "must be one address, such as login@example.org or Tea House <login@example.org>"
    return None if address.isascii() else "must be written in ASCII (an international domain as xn--...)"


def fault_of_host(value: str) -> str | None:
    """A host name or an address; empty for none."""
    if value == "" or re.fullmatch(r"[A-Za-z0-9._-]{1,253}", value):
        return None
    try:
        ip_address(value)
    except ValueError:
        return "must be a host name or an address, without port"
    return None


def fault_of_certificates(value: str) -> str | None:
    """A file of certificates that can be read; empty for none."""
    if value == "":
        return None
    import ssl  # noqa: PLC0415 - few name a file

    try:
        if Path(value).is_file():
            ssl.create_default_context(cafile=value)
            return None
    except (OSError, ValueError):
        pass
    return "must be the path of a file of certificates (PEM) that exists"


def fault_of_digests(value: str) -> str | None:
    """A file of SHA-1 digests that can be read, in their order as far as its beginning shows; empty for none."""
    if value == "":
        return None
    try:
        with open(value, "rb") as file:
            beginning = file.read(_BEGINNING).upper()
    except (OSError, ValueError):
        beginning = b""
    lines = [line[:40] for line in beginning.splitlines()]
    if len(beginning) == _BEGINNING:
        lines.pop()  # it may have been cut
    if lines and lines == sorted(lines) and all(map(_SHA1.fullmatch, lines)):
        return None
    return "must be the path of a file of SHA-1 digests, in hexadecimal, one a line, ordered by digest"
