"""`idp import`: accounts that come from elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import click
from sqlalchemy.exc import SQLAlchemyError

from idp.accounts import names
from idp.cli import output, progress, transfer_report
from idp.cli.instance import load_ready
from idp.storage.database import engine_of
from idp.transfer import accounts_file, streamlit_authenticator, text_file
from idp.transfer.candidates import Candidate, Source
from idp.transfer.checking import Checker
from idp.transfer.preauthorizations import write_preauthorizations
from idp.transfer.report import Report
from idp.transfer.writing import Writer

LEFT_OUT = 3  # exit code: it worked, and something of the file did not come in
Reader = Callable[[str, BinaryIO, Report], Source]
_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
_dry_run = click.option("--dry-run", is_flag=True, help="Write nothing, and print the same report.")
_update = click.option(
    "--update", "is_update", is_flag=True, help="Bring names and roles of accounts that exist to what the file says."
)
_EPILOG = "Exit code 3 says that something of the file was left out; the report says what."


@click.group("import")
def command() -> None:
    """Bring accounts in: from streamlit-authenticator, or from another instance.

    Safe to repeat: accounts that exist are left alone, and an import that was interrupted goes on.
    """


@command.command(
    "streamlit-authenticator",
    epilog=f"\b\nExample:\n  idp import streamlit-authenticator config.yaml --dry-run\n\n{_EPILOG}",
)
@_file
@_dry_run
@_update
@click.option("--email-domain", default="", help="Give people without an address NAME@ this domain.")
@click.option("--verified", is_flag=True, help="You vouch for all addresses: nobody need confirm theirs.")
@output.json_option
def from_streamlit_authenticator(
    file: Path, dry_run: bool, is_update: bool, email_domain: str, verified: bool, as_json: bool
) -> int:
    """Import the users of a configuration FILE.

    It is one of streamlit-authenticator, 0.1 to 0.4; - reads stdin.
    """
    _check_domain(email_domain)
    report = Report(is_dry_run=dry_run)
    checker = Checker(report, email_domain=email_domain, is_vouched_for=verified)
    return _run(file, _read_configuration, "streamlit-authenticator", checker, report, is_update, as_json)


@command.command("accounts", epilog=f"\b\nExample:\n  idp import accounts accounts.json\n\n{_EPILOG}")
@_file
@_dry_run
@_update
@output.json_option
def from_accounts(file: Path, dry_run: bool, is_update: bool, as_json: bool) -> int:
    """Import a FILE that `idp export` wrote.

    A hyphen reads stdin. Ids stay, so apps know everybody again.
    """
    report = Report(is_dry_run=dry_run)
    return _run(file, accounts_file.read, "accounts", Checker(report), report, is_update, as_json)


def _run(
    file: Path, read: Reader, source: str, checker: Checker, report: Report, is_update: bool, as_json: bool
) -> int:
    """Read a file, write what it holds, and tell about it.

    Returns:
        The exit code.
    """
    loaded = load_ready()
    with _opened(file) as (name, stream), engine_of(loaded) as engine:
        found = read(name, stream, report)
        report.layout = found.layout
        _write(Writer(engine, loaded, report, source, is_update), found, checker)
    if as_json:
        output.data(report.as_dict())
    else:
        transfer_report.show(report)
    output.note(transfer_report.summary(report))
    return 0 if report.is_complete else LEFT_OUT


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[tuple[str, BinaryIO]]:
    name = "stdin" if str(file) == "-" else str(file)
    with (
        contextlib.nullcontext(sys.stdin.buffer) if name == "stdin" else file.open("rb") as raw,
        text_file.rereadable(name, raw) as stream,
    ):
        yield name, stream


def _read_configuration(name: str, stream: BinaryIO, report: Report) -> Source:
    return streamlit_authenticator.read(name, text_file.read_text(name, stream), report)


def _write(writer: Writer, found: Source, checker: Checker) -> None:
    report = writer.report
    try:
        with progress.shown("accounts", found.count) as advance:
            writer.write(checker.check_all(_counted(found.candidates, advance)))
        write_preauthorizations(writer.engine, report, found.invitees, checker.email_keys)
    except (KeyboardInterrupt, SQLAlchemyError):
        if not report.is_dry_run:
            output.note(
                f"Interrupted: {report.created:,} accounts were created, and they stay. "
                "Run the same command again: it goes on where this one stopped."
            )
        raise


def _counted(candidates: Iterable[Candidate], advance: Callable[[int], None]) -> Iterator[Candidate]:
    for each in candidates:
        yield each
        advance(1)


def _check_domain(domain: str) -> None:
    """Check a domain before it is put behind thousands of names.

    Raises:
        UsageError: it is none.
    """
    if domain and names.check_email(f"somebody@{domain}")[1]:
        raise click.UsageError(f"{domain!r} is no domain such as example.org.")
