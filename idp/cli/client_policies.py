"""What an operator may rule for one app: who registers there, which roles it gives, how many people it takes."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from idp.accounts.registration import POLICIES

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--registration-policy",
        type=click.Choice(POLICIES),
        help="Who may register there; narrows the setting `registration`.",
    ),
    click.option(
        "--registration-domain",
        "registration_domains",
        multiple=True,
        metavar="DOMAIN",
        help="Only addresses of it may register there; may be repeated.",
    ),
    click.option(
        "--registration-role",
        "registration_roles",
        multiple=True,
        metavar="ROLE",
        help="It may give this role to who registers there; may be repeated.",
    ),
    click.option("--max-concurrent-users", type=int, metavar="COUNT", help="It takes in so many people at once."),
    click.option(
        "--single-session", "is_single_session", is_flag=True, help="Who signs in to it elsewhere is signed out here."
    ),
    click.option("--backchannel-logout-uri", metavar="URL", help="Where it is told that a session has ended."),
    click.option(
        "--frontchannel-logout-uri", metavar="URL", help="What the browser loads in a frame when a session has ended."
    ),
)
_NAMES = (
    "registration_policy",
    "registration_domains",
    "registration_roles",
    "max_concurrent_users",
    "is_single_session",
    "backchannel_logout_uri",
    "frontchannel_logout_uri",
)


def policy_options(command: Command) -> Command:
    """Give a command the options for an app's policies."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_policies(given: dict[str, Any]) -> dict[str, Any]:
    """Take the policies out of a command's options, as fields of `ClientMetadata`.

    Args:
        given: all options by name; those of the policies are taken out.
    """
    taken = {name: given.pop(name) for name in _NAMES}
    return {name: tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value for name, value in taken.items()}
