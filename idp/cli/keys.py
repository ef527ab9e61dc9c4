"""`idp keys`: the keys that sign tokens."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from idp import clock
from idp.accounts.visitor import OPERATOR
from idp.cli import output
from idp.cli.instance import open_ready
from idp.clock import DAY
from idp.mail import queue
from idp.oidc import client_store, key_rotation
from idp.oidc.clients import ClientMetadata
from idp.oidc.keys import ALGORITHMS, RELOAD_EVERY

HOUR = 3_600
WARNING = (
    "Every key is exchanged at once, and whatever the old ones signed is refused: ID tokens and JWT access tokens. "
    "People stay signed in here, and who signs out of an app is asked first. Until an app has fetched the new keys, "
    "its sign-ins may fail; most apps fetch them when they see a key that they do not know. Do this when a key may be "
    "in the wrong hands; otherwise `idp keys rotate` disturbs nobody."
)
MORE_WARNING = (
    "The secret key is another one as well: opaque access tokens and mail that waits are lost too. Stop the provider "
    "first."
)


@click.group
def command() -> None:
    """Signing keys: list, rotate."""


@command.command("list")
@output.json_option
def list_all(as_json: bool) -> None:
    """List the signing keys, and what happens to each next."""
    with open_ready() as (settings, db):
        found: list[dict[str, Any]] = [
            {
                "kid": key.kid,
                "algorithm": key.algorithm,
                "state": key.state,
                "created_at": key.created_at,
                "activated_at": key.activated_at,
                "retired_at": key.retired_at,
                "prospect": prospect.what,
                "prospect_at": prospect.at,
            }
            for key, prospect in key_rotation.prospects(db, settings)
        ]
    if as_json:
        output.data(found)
        return
    output.table(
        ("key id", "algorithm", "state", "age", "created", "what comes next"),
        [
            (k["kid"], k["algorithm"], k["state"], _age(k["created_at"]), output.instant(k["created_at"]), _told(k))
            for k in found
        ],
    )


@command.command()
@click.option("--now", "is_now", is_flag=True, help="A key may be in the wrong hands: exchange all at once.")
@click.option("--new-secret-key", is_flag=True, help="With --now: you have put another secret key in place.")
@click.option("--yes", is_flag=True, help="Do not ask whether --now is meant.")
@output.json_option
def rotate(is_now: bool, new_secret_key: bool, yes: bool, as_json: bool) -> None:
    """Exchange the signing keys.

    Nobody is signed out, and no sign-in fails. The next keys are published at once. They sign when they have been
    published for IDP_KEY_PUBLISH_LEAD seconds: the worker sees to that, or this command, run again. The worker also
    begins by itself, every IDP_KEY_ROTATION_INTERVAL seconds.

    With --now there is no such courtesy: old keys are taken back and what they signed is refused. Where the secret key
    is lost or in the wrong hands, put another one in its place and say --new-secret-key too.

    \b
    Examples:
      idp keys rotate
      idp keys rotate --now
    """
    if new_secret_key and not is_now:
        raise click.UsageError("--new-secret-key goes with --now.")
    if is_now:
        output.note(f"{WARNING} {MORE_WARNING}" if new_secret_key else WARNING)
        if not yes:
            click.confirm("Exchange all keys now?", abort=True, err=True)
    with open_ready() as (settings, db):
        if is_now:
            made = key_rotation.revoke_all(db, settings, OPERATOR, is_secret_key_new=new_secret_key)
            clients = client_store.list_clients(db) if new_secret_key else ()
            lost = queue.give_up_waiting(db, "the secret key is another one since") if new_secret_key else 0
            told = {algorithm: f"{kid} signs now; the keys before it are taken back" for algorithm, kid in made.items()}
        else:
            for algorithm in ALGORITHMS:
                key_rotation.advance(db, settings, OPERATOR, algorithm, is_wanted=True)
            told = {}
            for key, prospect in reversed(key_rotation.prospects(db, settings)):
                if key.state == "next":
                    told[key.algorithm] = f"{key.kid} is published, and signs from {output.instant(prospect.at)} on"
                elif key.state == "active":
                    told.setdefault(key.algorithm, f"{key.kid} signs now")
    if as_json:
        output.data(told)
    else:
        output.record(told)
    if is_now:
        for consequence in _consequences(clients):
            output.note(consequence)
        if lost:
            output.note(
                f"{lost} {'mail that waited is' if lost == 1 else 'mails that waited are'} given up: whoever waits for "
                "one asks for it anew. `idp mail list --state failed` names them."
            )
        if new_secret_key:
            output.note("Start the provider again: one that runs with the old secret key refuses everything.")
        else:
            output.note(f"Running servers learn of it within {RELOAD_EVERY} seconds; restart them to have it at once.")


def _consequences(clients: Sequence[ClientMetadata]) -> Iterator[str]:
    """Say what a new secret key means for apps."""
    for client in clients:
        if client.signs_with_secret:
            yield (
                f"{client.client_name} signs with its secret, which the old secret key sealed: give it a new one by "
                f"`idp client rotate-secret {client.client_id}`."
            )
        if client.subject_type == "pairwise":
            yield f"{client.client_name} knows people by pairwise subjects, which are others now: all seem new to it."


def _told(key: dict[str, Any]) -> str:
    at = key["prospect_at"]
    if at is None:
        return f"{key['prospect']} by `idp keys rotate`"
    when = output.instant(at) if at > clock.now() else "soon: the worker sees to it"
    return f"{key['prospect']} {when}"


def _age(since: int) -> str:
    seconds = max(0, clock.now() - since)
    if seconds >= DAY:
        return f"{seconds // DAY} d"
    return f"{seconds // HOUR} h" if seconds >= HOUR else f"{seconds // 60} min"
