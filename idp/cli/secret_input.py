"""Secrets that come in: from stdin for scripts, or asked for at a terminal. Never from the command line."""

import sys

import click

from idp.errors import InvalidInputError

MOST_BYTES = 64 * 1024


def read_stdin(field: str) -> str:
    """Read a secret from stdin, without the newline that `echo` puts behind it, on Windows too.

    Args:
        field: what the secret is, for the message.

    Raises:
        InvalidInputError: it is empty, far too long, or not UTF-8.
    """
    raw = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise InvalidInputError({field: ["What came on stdin is far too long for a secret."]})
    try:
        secret = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInputError({field: ["What came on stdin is not UTF-8 text."]}) from None
    secret = secret.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise InvalidInputError({field: ["Nothing came on stdin."]})
    return secret


def read_new_password(from_stdin: bool) -> str:
    """Read a new password from stdin, or ask for it twice.

    Args:
        from_stdin: whether `--password-stdin` was given.

    Raises:
        UsageError: there is no terminal to ask at.
        InvalidInputError: what came on stdin is no password.
    """
    if from_stdin:
        return read_stdin("password")
    if not _is_terminal():
        raise click.UsageError("There is no terminal to ask for the password at: use --password-stdin.")
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True)
    return answer


def _is_terminal() -> bool:
    return sys.stdin.isatty()
