"""`idp keys`: the keys that sign tokens."""

import click

from idp.accounts.visitor import OPERATOR
from idp.cli import output
from idp.cli.instance import open_ready
from idp.oidc import keys


@click.group(short_help="Signing keys.")
def command() -> None:
    """Signing keys: list, rotate."""


@command.command("list")
@output.json_option
def list_all(as_json: bool) -> None:
    """List the signing keys: next, active and retired."""
    with open_ready() as (_settings, db):
        found = [
            {
                "kid": key.kid,
                "algorithm": key.algorithm,
                "state": key.state,
                "created_at": key.created_at,
                "activated_at": key.activated_at,
                "retired_at": key.retired_at,
            }
            for key in keys.list_keys(db)
        ]
    if as_json:
        output.data(found)
        return
    times = ("created_at", "activated_at", "retired_at")
    output.table(
        ("key id", "algorithm", "state", "created", "activated", "retired"),
        [(k["kid"], k["algorithm"], k["state"], *(output.instant(k[name]) for name in times)) for k in found],  # type: ignore[arg-type]
    )


@command.command()
@output.json_option
def rotate(as_json: bool) -> None:
    """Move the signing keys one step on; nobody is signed out.

    The first time, the next keys are published. Run it again when apps have had time to fetch them (an hour is
    plenty): then those sign, the old ones retire, and new next ones are published.
    """
    with open_ready() as (settings, db):
        told = keys.rotate_keys(db, settings, OPERATOR)
    if as_json:
        output.data(told)
    else:
        output.record(told)
