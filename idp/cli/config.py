"""`idp config`: the settings in force, and where each came from."""

from dataclasses import Field
from typing import Any

import click

from idp import settings
from idp.cli import output
from idp.settings import Settings

HIDDEN = "(set, not shown)"


@click.command
@click.option("--verbose", is_flag=True, help="Say also what each setting is for, its unit and its default.")
@output.json_option
def command(verbose: bool, as_json: bool) -> None:
    """Print the settings in force and where each came from. Secrets are not shown.

    A value comes from IDP_NAME, from the file that IDP_NAME_FILE names, from idp.toml in the instance folder, or it is
    the default.

    \b
    Examples:
      idp config --verbose
      idp config --json
    """
    loaded = settings.load()
    described = [_describe(loaded, each) for each in settings.declared()]
    if as_json:
        output.data(described)
    elif verbose:
        for entry in described:
            click.echo(f"{entry['name']} = {_shown(entry)}")
            click.echo(f"    {entry['doc']}")
            unit = f" {entry['unit']}" if entry["unit"] else ""
            click.echo(f"    From: {entry['origin']}. Default: {entry['default'] or 'none'}{unit}.")
    else:
        output.table(("setting", "value", "from"), [(e["name"], _shown(e), e["origin"]) for e in described])


def redacted_url(url: str) -> str:
    """Return a database's URL without its password.

    Args:
        url: as it is configured; a password may also hide among the parameters.
    """
    from sqlalchemy import make_url  # noqa: PLC0415 - most settings need no database library
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return HIDDEN
    secret = [name for name in parsed.query if any(word in name.lower() for word in ("pass", "secret", "token", "key"))]
    return parsed.update_query_dict(dict.fromkeys(secret, "***")).render_as_string(hide_password=True)


def _describe(loaded: Settings, each: Field[Any]) -> dict[str, Any]:
    return {
        "name": each.name,
        "value": _value(loaded, each),
        "origin": loaded.origins.get(each.name, "default"),
        "unit": each.metadata["unit"],
        "default": None if each.metadata["secret"] else _plain(each.default),
        "doc": each.metadata["doc"],
    }


def _value(loaded: Settings, each: Field[Any]) -> Any:
    if each.name == "database_url":
        return redacted_url(loaded.sqlalchemy_url)
    value = getattr(loaded, each.name)
    if each.metadata["secret"]:
        return HIDDEN if value else None
    return _plain(value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int) else str(value)


def _shown(entry: dict[str, Any]) -> str:
    return "(not set)" if entry["value"] in (None, "") else str(entry["value"])
