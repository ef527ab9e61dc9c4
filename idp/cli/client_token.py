"""`idp client token`: initial access tokens, by which software registers itself."""

from typing import Any

import click

from idp import clock
from idp.accounts.visitor import OPERATOR
from idp.cli import output
from idp.cli.instance import open_ready
from idp.cli.moments import read_expiry
from idp.clock import DAY
from idp.oidc import initial_tokens

WEEK = 7 * DAY


@click.group("token", short_help="Tokens by which software registers itself.")
def command() -> None:
    """Initial access tokens (RFC 7591): add, list, remove."""


@command.command()
@click.argument("name")
@click.option("--uses", type=int, metavar="COUNT", help="It registers so many apps. [default: 1]")
@click.option("--unlimited", is_flag=True, help="It registers any number of apps.")
@click.option(
    "--expires", "expires_at", callback=read_expiry, metavar="TIME", help="Until then: 30d, or ISO 8601. [default: 1w]"
)
@output.json_option
def add(name: str, uses: int | None, unlimited: bool, expires_at: int | None, as_json: bool) -> None:
    """Make a token, and print it: it is shown this once. NAME tells you later what it was for.

    \b
    Examples:
      idp client token add "Partner's portal" --uses 10 --expires 30d
    """
    if unlimited and uses is not None:
        raise click.UsageError("--uses and --unlimited exclude each other.")
    uses = 1 if uses is None else uses
    expires_at = expires_at or clock.now() + WEEK
    with open_ready() as (settings, db):
        token_id, token = initial_tokens.create_token(
            db, OPERATOR, name, uses=None if unlimited else uses, expires_at=expires_at
        )
    output.note("Keep the token: it is shown this once.")
    if settings.dynamic_registration == "off":
        output.note("It is good for nothing while the setting dynamic_registration is off.")
    shown: dict[str, Any] = {"id": token_id, "token": token, "registration_endpoint": settings.url("/oauth/register")}
    if as_json:
        output.data({**shown, "expires_at": expires_at})
    else:
        output.record({**shown, "expires": output.instant(expires_at)})


@command.command("list")
@output.json_option
def list_all(as_json: bool) -> None:
    """List the tokens that are good for something."""
    with open_ready() as (_settings, db):
        found: list[dict[str, Any]] = [
            {
                "id": each.id,
                "name": each.name,
                "uses_left": each.uses_left,
                "created_at": each.created_at,
                "expires_at": each.expires_at,
            }
            for each in initial_tokens.list_tokens(db)
        ]
    if as_json:
        output.data(found)
    elif not found:
        output.note("There are no initial access tokens: make one with `idp client token add`.")
    else:
        output.table(
            ("id", "name", "uses left", "expires"),
            [(e["id"], e["name"], e["uses_left"] or "any", output.instant(e["expires_at"])) for e in found],
        )


@command.command()
@click.argument("token_id", metavar="ID")
def remove(token_id: str) -> None:
    """Make a token worthless. What was registered with it stays."""
    with open_ready() as (_settings, db):
        initial_tokens.remove_token(db, OPERATOR, token_id)
    output.note("The token is worthless now.")
