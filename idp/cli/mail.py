"""`idp mail`: whether mail goes, which went, and trying again."""

from contextlib import closing
from typing import Any

import click
from sqlalchemy import select

from idp import clock, crypto
from idp.accounts import names
from idp.cli import output
from idp.cli.instance import load_ready, open_ready
from idp.cli.mail_language import language_option
from idp.errors import InvalidInputError, NotFoundError, NotReadyError
from idp.mail import messages, outbox_folder, queue
from idp.mail.delivery import file_name, transport_of
from idp.mail.envelope import compose
from idp.mail.transport import TransportError
from idp.models import MailMessage


@click.group
def command() -> None:
    """Mail: test whether it goes, list it, show it, try again."""


@command.command()
@click.argument("address")
@language_option
def test(address: str, language: str) -> None:
    """Send a test message, now, and say what became of it.

    It takes the way of all mail, but does not wait for a worker.

    \b
    Examples:
      idp mail test you@example.org
    """
    loaded = load_ready()
    normal, faults = names.check_email(address)
    if faults:
        raise InvalidInputError({"address": faults})
    if loaded.mail_route == "nowhere":
        raise NotReadyError("No mail server is set: set IDP_SMTP_HOST and IDP_MAIL_FROM (see docs/mail.md).")
    message, now, mail_id = messages.test_message(loaded, language), clock.now(), crypto.new_id()
    envelope = compose(
        loaded,
        mail_id=mail_id,
        recipient=normal,
        subject=message.subject,
        text=message.text,
        html=message.html,
        created_at=now,
    )
    with closing(transport_of(loaded)) as transport:
        try:
            transport.open()
            transport.hand_over(envelope, file_name(now, mail_id))
        except TransportError as fault:
            raise NotReadyError(f"The message did not go: {fault.message}") from None
    if loaded.mail_route == "outbox":
        path = outbox_folder.folder_of(loaded) / f"{file_name(now, mail_id)}.eml"
        output.note(f"Written to {path}: the issuer is on this machine, and no mail server is set.")
    else:
        output.note(f"{loaded.smtp_host} took the message for {normal}. Look into that mailbox, and its spam folder.")


@command.command("list")
@click.option("--state", type=click.Choice(queue.STATES), default=None, help="Only those.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most the latest so many.")
@output.json_option
def list_all(state: str | None, limit: int, as_json: bool) -> None:
    """List mail, the newest first. What was sent is listed for 30 days; what it said is forgotten at once."""
    with open_ready() as (_settings, db):
        found = [_described(each) for each in queue.list_mail(db, state=state or "", limit=limit)]
    if as_json:
        output.data(found)
    elif found:
        columns = ("id", "kind", "recipient", "state", "attempts", "created", "next attempt", "last error")
        output.table(columns, [_row(each) for each in found])
    else:
        output.note("There is no such mail.")


@command.command()
@click.argument("mail_id", metavar="ID")
@output.json_option
def show(mail_id: str, as_json: bool) -> None:
    """Show one mail.

    What it says is shown only where it was written to a file, for want of a mail server.
    """
    with open_ready() as (settings, db):
        found = db.get(MailMessage, mail_id)
        if found is None:
            raise NotFoundError(f"There is no mail {mail_id!r}: see `idp mail list`.")
        described = {**_described(found), "subject": found.subject}
    written = outbox_folder.find_written(settings, mail_id) if settings.mail_route == "outbox" else None
    if as_json:
        output.data({**described, "text": written.text if written else None})
        return
    times = {name: output.instant(described[name]) for name in ("created_at", "next_attempt_at", "finished_at")}
    output.record(described | times)
    if written:
        click.echo()
        click.echo(written.text)


@command.command()
@click.argument("mail_ids", metavar="[ID]...", nargs=-1)
@click.option("--failed", is_flag=True, help="All that were given up.")
def retry(mail_ids: tuple[str, ...], failed: bool) -> None:
    """Have mail tried again at once: what waits, or was given up.

    \b
    Examples:
      idp mail retry --failed
      idp mail retry 3f0c5a7be1d24c8f9a60d1e2b3c4f5a6
    """
    if bool(mail_ids) == failed:
        raise click.UsageError("Name mails by their ids, or say --failed.")
    with open_ready() as (_settings, db):
        if failed:
            count = queue.retry(db, MailMessage.state == "failed")
        else:
            known = dict(
                db.execute(select(MailMessage.id, MailMessage.state).where(MailMessage.id.in_(mail_ids))).all()
            )
            for mail_id in mail_ids:
                if mail_id not in known:
                    raise NotFoundError(f"There is no mail {mail_id!r}: see `idp mail list`.")
                if known[mail_id] == "sent":
                    raise NotReadyError(f"Mail {mail_id} was sent, and what it said is forgotten.")
            count = queue.retry(db, MailMessage.id.in_(mail_ids))
    output.note("1 mail is tried again." if count == 1 else f"{count} mails are tried again.")


def _described(mail: MailMessage) -> dict[str, Any]:
    return {
        "id": mail.id,
        "kind": mail.kind,
        "recipient": mail.recipient,
        "state": mail.state,
        "attempts": mail.attempts,
        "created_at": mail.created_at,
        # It was due before it was posted, where it has a head start.
        "next_attempt_at": max(mail.next_attempt_at, mail.created_at) if mail.state == "waiting" else None,
        "finished_at": mail.finished_at,
        "last_error": mail.last_error,
    }


def _row(mail: dict[str, Any]) -> tuple[Any, ...]:
    times = (output.instant(mail["created_at"]), output.instant(mail["next_attempt_at"]))
    return mail["id"], mail["kind"], mail["recipient"], mail["state"], mail["attempts"], *times, mail["last_error"]
