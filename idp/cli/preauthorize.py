"""`idp preauthorize`: addresses that may register."""

import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import click
from sqlalchemy.orm import Session

from idp.accounts import names, preauthorization, users
from idp.accounts.preauthorization import Preauthorized
from idp.accounts.visitor import OPERATOR
from idp.cli import output
from idp.cli.instance import open_ready
from idp.cli.mail_language import language_option
from idp.cli.moments import read_expiry
from idp.errors import InvalidInputError, refuse_faults
from idp.settings import Settings

STDIN = "-"
MOST_BYTES = 16 << 20  # of what comes on stdin: half a million addresses


@click.command(
    epilog="""
\b
Examples:
  idp preauthorize ada@example.org --role editor --expires 30d --invite
  idp preauthorize - --client CLIENT_ID < addresses.txt
  idp preauthorize --list --json
  idp preauthorize --withdraw ada@example.org
""",
)
@click.argument("addresses", nargs=-1, metavar="[ADDRESS]...")
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="A role that the account gets; may be repeated.")
@click.option("--client", "client_id", default="", metavar="CLIENT_ID", help="Only for who registers at this app.")
@click.option("--expires", "expires_at", callback=read_expiry, metavar="TIME", help="Until then: 30d, or ISO 8601.")
@click.option("--invite", is_flag=True, help="Mail each a link to register with, which proves the address.")
@language_option
@click.option("--withdraw", is_flag=True, help="Take the addresses off the list.")
@click.option("--list", "is_list", is_flag=True, help="Print the list.")
@output.json_option
def command(
    addresses: Sequence[str],
    roles: Sequence[str],
    client_id: str,
    expires_at: int | None,
    invite: bool,
    language: str,
    withdraw: bool,
    is_list: bool,
    as_json: bool,
) -> None:
    """List addresses that may register, each once.

    With a hyphen for an address, more are read from stdin, one a line. Either all addresses are listed, or none;
    and so are they withdrawn.
    """
    if is_list == bool(addresses) or (is_list and (withdraw or invite or roles or client_id or expires_at)):
        raise click.UsageError("Name addresses, or use --list by itself.")
    if withdraw and (invite or roles or expires_at):
        raise click.UsageError("--withdraw goes with --client only.")
    if is_list:
        _print_list(as_json)
        return
    wanted = _all_of(addresses)
    with open_ready() as (settings, db):
        app_name = _name_of_client(db, client_id) if client_id else ""
        if withdraw:
            told = _withdraw(db, wanted, client_id)
        else:
            told = []
            how: dict[str, Any] = {"roles": roles, "client_id": client_id, "expires_at": expires_at}
            for email in _without_account(db, _checked(wanted)):
                listed = (
                    preauthorization.invite(db, settings, OPERATOR, email, **how, app_name=app_name, language=language)
                    if invite
                    else preauthorization.preauthorize(db, OPERATOR, email, **how)
                )
                told.append(listed.as_dict())
            if told:
                _warn(settings, invite)
    if as_json:
        output.data(told)
    else:
        done = "Withdrew" if withdraw else "Invited" if invite else "Listed"
        output.note(f"{done} {len(told)} {'address' if len(told) == 1 else 'addresses'}.")


def _without_account(db: Session, emails: Sequence[str]) -> list[str]:
    """Return the addresses that have no account, all of them before the first is written: SQLite has one writer.

    A registration that waits for its confirmation is no account yet.
    """
    left = []
    for email in emails:
        user = users.find_signing_in(db, email)
        if user is None or user["is_registration_pending"]:
            left.append(email)
        else:
            output.note(f"{email} has an account already: there is nothing to register.")
    return left


def _print_list(as_json: bool) -> None:
    with open_ready() as (_settings, db):
        found = preauthorization.each_preauthorization(db)
        if as_json:
            output.data_stream(each.as_dict() for each in found)
        elif (first := next(found, None)) is None:
            output.note("No address is listed: add one with `idp preauthorize ADDRESS`.")
        else:
            output.table(("address", "app", "roles", "listed", "until"), map(_row, chain((first,), found)))


def _row(listed: Preauthorized) -> tuple[object, ...]:
    until = output.instant(listed.expires_at)
    return (listed.email, listed.client_id, list(listed.roles), output.instant(listed.created_at), until)


def _all_of(addresses: Sequence[str]) -> list[str]:
    """Return the addresses, those on stdin in place of the hyphen, each once."""
    wanted = [each for given in addresses for each in (_read_lines() if given == STDIN else (given,))]
    unique = {names.email_key(each): each for each in wanted}
    if not unique:
        raise InvalidInputError({"address": ["Nothing came on stdin."]})
    return list(unique.values())


def _read_lines() -> Iterator[str]:
    """Read addresses from stdin; empty lines and those that begin with # say nothing."""
    raw = sys.stdin.buffer.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise InvalidInputError({"address": [f"More than {MOST_BYTES >> 20} MB came on stdin: list them in parts."]})
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InvalidInputError({"address": ["What came on stdin is not UTF-8 text."]}) from None
    return (line.strip() for line in lines if line.strip() and not line.startswith("#"))


def _checked(wanted: Sequence[str]) -> list[str]:
    """Return the addresses in their normal form; all that are none are named at once."""
    checked = [(given, *names.check_email(given)) for given in wanted]
    refuse_faults({"address": [f"{given!r} is no e-mail address." for given, _, faults in checked if faults]})
    return [email for _, email, _ in checked]


def _withdraw(db: Session, emails: Sequence[str], client_id: str) -> list[dict[str, str]]:
    """Take addresses off the list, or none of them; all that are not listed are named at once."""
    missing = [email for email in emails if not preauthorization.withdraw(db, OPERATOR, email, client_id=client_id)]
    where = " for this app" if client_id else ""
    refuse_faults({"address": [f"{email!r} is not listed{where}." for email in missing]})
    return [{"email": email, "client_id": client_id} for email in emails]


def _name_of_client(db: Session, client_id: str) -> str:
    from idp.oidc import client_store  # noqa: PLC0415 - loads the protocol, which the command does without otherwise

    return client_store.get_client(db, client_id).client_name


def _warn(settings: Settings, is_invited: bool) -> None:
    if settings.registration == "closed":
        what = "the links lead nowhere" if is_invited else "they cannot register"
        output.note(f"Registration is closed, so {what} yet: set IDP_REGISTRATION=preauthorized (or open).")
