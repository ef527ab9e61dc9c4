"""`idp export`: all accounts, to take elsewhere or to keep."""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import click
from sqlalchemy.orm import Session

from idp.accounts.audit import Event
from idp.cli import output, progress
from idp.cli.instance import check_target, open_ready, record_done
from idp.cli.private_files import written
from idp.transfer import exporting

Write = Callable[[str], object]
Advance = Callable[[int], None]


@click.command(
    epilog="\b\nExamples:\n  idp export accounts.json\n  idp export --format lines | ssh there idp import accounts -",
)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), default="-")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "lines"]),
    default="json",
    show_default=True,
    help="One JSON document, or one JSON object a line.",
)
@click.option("--force", is_flag=True, help="Write over a FILE that exists.")
def command(file: Path, form: str, force: bool) -> None:
    """Write all accounts with roles, profiles and password hashes, and all preauthorizations, to FILE or stdout.

    `idp import accounts` reads it. Keep it as you keep the database: whoever has the hashes can guess passwords.
    """
    is_stdout = str(file) == "-"
    if not is_stdout and file.exists() and not force:
        raise click.UsageError(f"{click.format_filename(file)} exists: choose another name, or use --force.")
    with open_ready() as (settings, db):
        if not is_stdout:
            check_target(settings, file)
        exporting.begin_snapshot(db)
        with (
            contextlib.nullcontext(sys.stdout) if is_stdout else _written(file) as stream,
            progress.shown("accounts", exporting.count_accounts(db)) as advance,
        ):
            count = (_write_document if form == "json" else _write_lines)(db, stream.write, advance)
    record_done(settings, Event.ACCOUNTS_EXPORTED, "the export is complete", count=count)
    output.note(
        f"Exported {count:,} account{'' if count == 1 else 's'}"
        + ("." if is_stdout else f" to {click.format_filename(file)}.")
    )


@contextlib.contextmanager
def _written(file: Path) -> Iterator[IO[str]]:
    with written(file) as raw:
        stream = io.TextIOWrapper(raw, encoding="utf-8")
        yield stream
        stream.flush()
        stream.detach()  # else it would close what is not on the disk yet


def _write_document(db: Session, write: Write, advance: Advance) -> int:
    """Write one JSON document, with each account on a line of its own; return how many accounts there are."""
    write(exporting.HEAD)
    count = 0
    for count, account in enumerate(exporting.export_accounts(db), start=1):
        write(("\n" if count == 1 else ",\n") + _json(account))
        advance(1)
    write(f"\n{exporting.BETWEEN}")
    for position, each in enumerate(exporting.export_preauthorizations(db)):
        write((",\n" if position else "\n") + _json(each))
    write(f"\n{exporting.END}\n")
    return count


def _write_lines(db: Session, write: Write, advance: Advance) -> int:
    """Write a JSON object a line; return how many accounts there are.

    The first says what it is, the last how much there was: lines that are missing would not show otherwise.
    """
    write(_json({"format": exporting.FORMAT, "version": exporting.VERSION, "has_end": True}) + "\n")
    count = invited = 0
    for account in exporting.export_accounts(db):
        write(_json({"account": account}) + "\n")
        count += 1
        advance(1)
    for each in exporting.export_preauthorizations(db):
        write(_json({"preauthorization": each}) + "\n")
        invited += 1
    write(_json({"end": {"accounts": count, "preauthorizations": invited}}) + "\n")
    return count


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
