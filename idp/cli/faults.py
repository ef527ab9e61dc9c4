"""What each expected error says to a person at a terminal."""

import sys

import click

from idp.errors import IdpError, InvalidInputError

MORE = "\n`idp doctor` says more."


def explain(error: Exception) -> str | None:
    """Return the message for an expected error, or None for one that is a fault of this program.

    Args:
        error: what came out of a command.
    """
    if isinstance(error, InvalidInputError):
        lines = [f"  {field}: {sentence}" for field, sentences in error.faults.items() for sentence in sentences]
        return "\n".join(["Please check what you entered:", *lines])
    if isinstance(error, IdpError):
        return error.message
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("psycopg"):
        return "The driver for PostgreSQL is not installed: pip install 'streamlit-idp[postgres]'"
    if isinstance(error, OSError):  # such as a full disk; what is written to an open file has no name
        reason = error.strerror or str(error)
        return reason if error.filename is None else f"{click.format_filename(error.filename)}: {reason}"
    return _explain_database(error)


def _explain_database(error: Exception) -> str | None:
    """Explain what a database's library raised; when it is not even loaded, it raised nothing."""
    if isinstance(error, _raised_by("sqlalchemy.exc", "DatabaseError", "InterfaceError")):
        error = error.orig  # type: ignore[attr-defined]
    elif not isinstance(error, (*_raised_by("sqlite3", "Error"), *_raised_by("psycopg", "Error"))):
        return None
    # The driver's own words name host, user and file, never the password; the statement's values stay out.
    reason = " ".join(str(error).split())
    return f"The database does not do its work: {reason}{MORE}"


def _raised_by(module: str, *names: str) -> tuple[type[Exception], ...]:
    """Return a library's errors, if it is loaded."""
    return tuple(getattr(sys.modules[module], name) for name in names) if module in sys.modules else ()
