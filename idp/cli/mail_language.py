"""The language of a mail, where an operator names it."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from idp.mail import wording

Command = TypeVar("Command", bound=Callable[..., Any])


def language_option(command: Command) -> Command:
    """Give a command `--language`, which is one of those that there are."""
    known = click.Choice(wording.languages())
    return click.option(
        "--language", type=known, default=wording.FALLBACK, show_default=True, help="The mail's language."
    )(command)
