"""What each expected error says to a person at a terminal."""

import sys

import click

from idp.errors import IdpError, InvalidInputError, Refusal


def explain(error: Exception) -> str | None:
    """Return the message for an expected error, or None for one that is a fault of this program.

    Args:
        error: what came out of a command.
    """
    if isinstance(error, InvalidInputError):
        lines = [f"  {field}: {sentence}" for field, sentences in error.faults.items() for sentence in sentences]
        return "\n".join([f"{error.title}:", *lines])
    if isinstance(error, Refusal | IdpError):
        return error.message
    if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("psycopg"):
        return "The driver for PostgreSQL is not installed: pip install 'streamlit-idp[postgres]'"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{click.format_filename(error.filename)}: {error.strerror}"
    return _explain_database(error)


def _explain_database(error: Exception) -> str | None:
    """Explain what the database's library raised; when it is not even loaded, it raised nothing."""
    if "sqlalchemy" not in sys.modules:
        return None
    from sqlalchemy.exc import DatabaseError, InterfaceError  # noqa: PLC0415 - see above

    if isinstance(error, DatabaseError | InterfaceError):
        # The driver's own words name host, user and file, never the password; the statement's values stay out.
        reason = " ".join(str(error.orig).split())
        return f"The database does not do its work: {reason}\n`idp doctor` says more."
    return None
