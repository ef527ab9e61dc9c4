"""The log: to stderr, times in UTC, as text or JSON, each line of a request with its id, and nothing secret in any.

Who writes a line leaves secrets out. Should one slip through all the same, in the words of a library's error for
instance, what looks like a secret is struck out before the line is written.
"""

import json
import logging
import logging.config
import re
import time
from contextvars import ContextVar
from typing import Any

request_id: ContextVar[str] = ContextVar("request_id", default="")

_NAMES = (
    "password|passwd|new_password|current_password|client_secret|secret|code|code_verifier|token|access_token|"
    "refresh_token|id_token|id_token_hint|client_assertion|csrf_token|digits|session|cookie|device_code|user_code|"
    "registration_access_token|subject_token|logout_token"
)
_SECRETS = re.compile(
    r"(?P<kept>idp_[a-z]{2}_)[\w.~+/-]+=*"  # tokens of ours bear their kind in front
    r"|(?P<scheme>\b(?:Bearer|Basic) +)[\w.~+/-]{6,}=*"  # RFC 6750 section 2.1, RFC 7617
    # RFC 7519: begins with {". With dots or without: else each of many beginnings would be read to the end for one.
    r"|(?P<jwt>\b(?-i:eyJ))[\w-]{10,}(?:\.[\w-]*){0,4}"
    rf"|(?P<name>[\"']?\b(?:{_NAMES})[\"']?\s*[=:]\s*[\"']?)[^\s\"'&;,)}}]+"  # in a query, a form, JSON, a dict
    r"|(?P<cookie>\b(?:__Host-)?idp_(?:session|browser)=)[^\s;]+"
    r"|(?P<url>://[^\s:/@]+:)[^\s@/]+(?=@)"  # a password inside a URL
    # 256 random bits in base64url, as `crypto.new_token` makes them: cookies, links, client secrets.
    r"|(?<![\w-])(?=[\w-]*(?-i:[A-Z]))(?=[\w-]*(?-i:[a-z]))[\w-]{43}(?![\w-])",
    re.IGNORECASE,
)
STRUCK = "[secret]"
# New lines would begin lines that nobody wrote, and other control characters move a terminal's cursor.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def without_secrets(text: str) -> str:
    """Strike out what looks like a secret."""
    return _SECRETS.sub(lambda found: (found[found.lastgroup] if found.lastgroup else "") + STRUCK, text)


def _on_one_line(text: str) -> str:
    """Write control characters as JSON would, so that they do nothing."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class UtcFormatter(logging.Formatter):
    """Writes a line for people, with times in UTC whatever the machine's zone."""

    def __init__(self, *args: Any, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a request's id stands in front of the message."""
        known = request_id.get()
        record.reference = f" [{known}]" if known else ""
        return without_secrets(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        """Return the message as one line, whatever a visitor wrote into a path (CWE-117)."""
        return _CONTROLS.sub(
            lambda found: found[0].encode("unicode_escape").decode("ascii"), super().formatMessage(record)
        )


class JsonFormatter(UtcFormatter):
    """Writes a JSON object a line, for programs. What a record carries in `extra` as `fields` becomes members."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told: dict[str, Any] = {
            "time": f"{self.formatTime(record, '%Y-%m-%dT%H:%M:%S')}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if known := request_id.get():
            told["request_id"] = known
        told["process"] = record.process
        told |= getattr(record, "fields", {})
        if record.exc_info:
            told["exception"] = without_secrets(self.formatException(record.exc_info))
        return _on_one_line(json.dumps(told, ensure_ascii=False, default=str))


class WithoutThreadAdvice(logging.Filter):
    """Drops the server's advice on threads: their number was chosen for waiting (bcrypt, disks), not for counting."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is worth a reader's time."""
        return "Python threads, which seems quite high" not in record.getMessage()


def configuration(level: str, form: str = "text") -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`.

    Args:
        level: the setting `log_level`.
        form: the setting `log_format`.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "text": {
                "()": UtcFormatter,
                "fmt": "%(asctime)s %(levelname)s %(name)s:%(reference)s %(message)s",
                "datefmt": "%Y-%m-%dT%H:%M:%SZ",
            },
            "json": {"()": JsonFormatter},
        },
        "filters": {"worth_reading": {"()": WithoutThreadAdvice}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": form}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {
            "_granian": {"level": level.upper(), "filters": ["worth_reading"]},
            "alembic": {"level": "WARNING"},  # it tells of each look at the schema
        },
    }


def configure(level: str, form: str = "text") -> None:
    """Write the log this way, unless whoever started this process has decided on another.

    Args:
        level: the setting `log_level`.
        form: the setting `log_format`.
    """
    if not logging.getLogger().handlers:
        logging.config.dictConfig(configuration(level, form))
