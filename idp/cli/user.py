"""`idp user`: accounts, as the operator sees them."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import click
from sqlalchemy.orm import Session

from idp.accounts import data_export, deletion, names, passwords, registration, roles, sessions, users
from idp.accounts.users import Person
from idp.accounts.visitor import OPERATOR
from idp.cli import output, secret_input
from idp.cli.instance import load_ready, open_ready
from idp.errors import refuse_faults
from idp.models import User
from idp.oidc.reached_apps import list_reached_apps

PAGE = 500
WHOM = "USERNAME is a user name, an e-mail address or an id."


@click.group
def command() -> None:
    """Accounts: add, list, show, data, disable, enable, sign-out, set-password, roles, delete."""


@command.command(epilog="\b\nExample:\n  idp user add ada --email ada@example.org --first-name Ada --role admin")
@click.argument("username")
@click.option("--email", required=True, help="The address, for which you vouch.")
@click.option("--first-name", default="", help="Given name.")
@click.option("--last-name", default="", help="Family name.")
@click.option("--role", "role_names", multiple=True, metavar="ROLE", help="A role to give; may be repeated.")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin instead of asking for it.")
@output.json_option
def add(
    username: str,
    email: str,
    first_name: str,
    last_name: str,
    role_names: Sequence[str],
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Create an account; its password is asked for, twice."""
    load_ready()  # before anybody types a password for nothing
    person = Person(username, email, first_name, last_name)
    if not password_stdin:  # likewise; what comes on stdin is checked with all the rest
        person.check()
        refuse_faults({"role": [fault for role in role_names if (fault := roles.fault_of_role(role))]})
    password = secret_input.read_new_password(password_stdin)
    with open_ready() as (settings, db):
        user = registration.add_user(db, settings, OPERATOR, person, password, role_names=role_names)
        shown = _describe(user, roles.roles_of(db, user.id))
    output.note(f"Added {user.username}.")
    if as_json:
        output.data(shown)
    else:
        output.record({name: shown[name] for name in ("id", "username", "email", "name", "roles")})


@command.command("list")
@output.json_option
def list_all(as_json: bool) -> None:
    """List all accounts."""
    with open_ready() as (_settings, db):
        found = _all(db)
        if as_json:
            output.data_stream(found)
        elif (first := next(found, None)) is None:
            output.note("There are no accounts yet: add one with `idp user add`.")
        else:
            output.table(("username", "email", "name", "roles", "created", "state"), map(_row, chain((first,), found)))


def _all(db: Session) -> Iterator[dict[str, Any]]:
    """Yield all accounts, which are read a page at a time: there may be a million."""
    page = users.list_users(db, limit=PAGE)
    while page:
        roles_by_id = roles.roles_of_many(db, [user.id for user in page])
        yield from (_describe(user, roles_by_id[user.id]) for user in page)
        page = users.list_users(db, after=page[-1].username, limit=PAGE) if len(page) == PAGE else ()


def _row(user: dict[str, Any]) -> tuple[Any, ...]:
    created = output.instant(user["created_at"])
    return user["username"], user["email"], user["name"], user["roles"], created, _state(user)


@command.command(epilog=WHOM)
@click.argument("username")
@output.json_option
def show(username: str, as_json: bool) -> None:
    """Show one account, where it is signed in, and in which apps."""
    with open_ready() as (settings, db):
        user = users.get_user(db, username)
        shown = _describe(user, roles.roles_of(db, user.id))
        found = sessions.list_sessions(db, settings, user.id)
        reached = list_reached_apps(db, [each.id for each in found])
        living: list[dict[str, Any]] = [
            {
                "id": each.id,
                "started_at": each.created_at,
                "last_seen_at": each.last_seen_at,
                "address": each.address,
                "user_agent": each.user_agent,
                "apps": [app.client_name for app in reached.get(each.id, ())],
            }
            for each in found
        ]
    if as_json:
        output.data({**shown, "sessions": living})
        return
    times = {name: output.instant(value) for name, value in shown.items() if name.endswith("_at")}
    output.record({**shown, "state": _state(shown), **times, "sessions": len(living)})
    if living:
        click.echo()
        output.table(
            ("signed in", "last seen", "address", "apps", "browser"),
            [
                (
                    output.instant(s["started_at"]),
                    output.instant(s["last_seen_at"]),
                    s["address"],
                    s["apps"],
                    s["user_agent"],
                )
                for s in living
            ],
        )


@command.command(epilog=f"{WHOM}\n\n\b\nExample:\n  idp user data ada > ada.json")
@click.argument("username")
def data(username: str) -> None:
    """Print all that is kept about a person, as JSON.

    It is the file that they can download at their account page. No password, no token, nor its digest is in it.
    """
    with open_ready() as (_settings, db):
        whole = data_export.export_account(db, users.get_user(db, username).id)
    output.data(whole)


@command.command(epilog=WHOM)
@click.argument("username")
def disable(username: str) -> None:
    """Disable an account; all its sessions and tokens end at once."""
    with open_ready() as (_settings, db):
        user = users.get_user(db, username)
        changed = users.disable_user(db, OPERATOR, user.id)
    output.note(f"Disabled {user.username}." if changed else f"{user.username} was disabled already.")


@command.command(epilog=WHOM)
@click.argument("username")
def enable(username: str) -> None:
    """Enable a disabled account; its owner signs in anew."""
    with open_ready() as (_settings, db):
        user = users.get_user(db, username)
        changed = users.enable_user(db, OPERATOR, user.id)
    output.note(f"Enabled {user.username}." if changed else f"{user.username} was not disabled.")


@command.command("sign-out", epilog=WHOM)
@click.argument("username")
def sign_out(username: str) -> None:
    """End all sessions of an account; its owner may sign in again.

    Every app that the sessions reached is told. Apps that may act while the person is away (offline_access) go on; to
    end these too, disable the account or set a new password.
    """
    with open_ready() as (_settings, db):
        user = users.get_user(db, username)
        ended = sessions.end_sessions(db, OPERATOR, user.id, reason="ended_by_operator")
    sessions_ended = "1 session" if ended == 1 else f"{ended} sessions"
    output.note(
        f"Signed {user.username} out: {sessions_ended} ended." if ended else f"{user.username} had no sessions."
    )


@command.command("set-password", epilog=WHOM)
@click.argument("username")
@click.option("--password-stdin", is_flag=True, help="Read the password from stdin instead of asking for it.")
@click.option("--temporary", is_flag=True, help="Good for three days; its owner must change it at the next sign-in.")
def set_password(username: str, password_stdin: bool, temporary: bool) -> None:
    """Set a new password; all sessions of the account end at once.

    A mail tells its owner.
    """
    with open_ready() as (_settings, db):
        user = users.get_user(db, username)
    password = secret_input.read_new_password(password_stdin)
    with open_ready() as (settings, db):
        language = user.locale or "en"
        passwords.set_password(db, settings, OPERATOR, user.id, password, is_temporary=temporary, language=language)
    output.note(f"Set a {'temporary' if temporary else 'new'} password for {user.username}; all their sessions ended.")


@command.command("roles", epilog=f"{WHOM}\n\n\b\nExample:\n  idp user roles ada --add editor --remove admin")
@click.argument("username")
@click.option("--add", "given", multiple=True, metavar="ROLE", help="A role to give; may be repeated.")
@click.option("--remove", "taken", multiple=True, metavar="ROLE", help="A role to take away; may be repeated.")
@output.json_option
def change_roles(username: str, given: Sequence[str], taken: Sequence[str], as_json: bool) -> None:
    """Print an account's roles, after giving and taking some."""
    if both := sorted(set(given) & set(taken)):
        raise click.UsageError(f"{', '.join(both)}: give it or take it, not both at once.")
    with open_ready() as (_settings, db):
        user = users.get_user(db, username)
        before = set(roles.roles_of(db, user.id))
        held = roles.change_roles(db, OPERATOR, user.id, add=given, remove=taken)
    now, name = set(held), user.username
    for begin, which, end in (
        (f"Gave {name} ", now - before, "."),
        ("Took ", before - now, f" from {name}."),
        (f"{name} had ", before & set(given), " already."),
        (f"{name} did not have ", set(taken) - before, "."),
    ):
        if which:
            output.note(begin + ", ".join(sorted(which)) + end)
    if as_json:
        output.data(held)
    elif held:
        click.echo("\n".join(held))
    else:
        output.note(f"{user.username} has no roles.")


@command.command(epilog=WHOM)
@click.argument("username")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
def delete(username: str, yes: bool) -> None:
    """Delete an account at once, with all that belongs to it.

    Every app that its sessions reached is told. Only a backup brings the account back: disable somebody who is to
    come back later. The audit keeps its rows.
    """
    with open_ready() as (_settings, db):
        user = users.get_user(db, username)
    if not yes:
        click.confirm(f"Delete the account {user.username} ({user.email}) for good?", abort=True, err=True)
    with open_ready() as (_settings, db):
        is_gone = deletion.delete_account(db, OPERATOR, user.id)
    output.note(f"Deleted {user.username} (id {user.id})." if is_gone else f"{user.username} was deleted already.")


def _describe(user: User, held: Sequence[str]) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.username,
        "email": user.email,
        "email_verified": user.email_verified_at is not None,
        "name": names.full_name(user.given_name, user.family_name),
        "given_name": user.given_name,
        "family_name": user.family_name,
        "roles": list(held),
        "has_password": user.password_hash is not None,
        "password_changed_at": user.password_changed_at,
        "must_change_password": user.is_password_temporary,
        "registration_pending": user.is_registration_pending,
        "deletion_due_at": user.deletion_due_at,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        "disabled_at": user.disabled_at,
    }


def _state(shown: dict[str, Any]) -> str:
    if shown["disabled_at"] is not None:
        return "disabled"
    if shown["registration_pending"]:
        return "waits for confirmation"
    return "enabled" if shown["deletion_due_at"] is None else "to be deleted"
