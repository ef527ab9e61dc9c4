"""The log of long-running commands: to stderr, times in UTC, and no requests, whose query strings hold codes."""

import logging
import time
from typing import Any


class UtcFormatter(logging.Formatter):
    """Writes times in UTC, whatever the machine's zone."""

    def __init__(self, *args: Any, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.converter = time.gmtime


class WithoutThreadAdvice(logging.Filter):
    """Drops the server's advice on threads: their number was chosen for waiting (bcrypt, disks), not for counting."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is worth a reader's time."""
        return "Python threads, which seems quite high" not in record.getMessage()


def configuration(level: str) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`.

    Args:
        level: the setting `log_level`.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": UtcFormatter,
                "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s",
                "datefmt": "%Y-%m-%dT%H:%M:%SZ",
            }
        },
        "filters": {"worth_reading": {"()": WithoutThreadAdvice}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"level": level.upper(), "handlers": ["stderr"]},
        "loggers": {"_granian": {"level": level.upper(), "filters": ["worth_reading"]}},
    }
