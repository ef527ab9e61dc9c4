"""`idp doctor`: looks at everything that must be right, and says what to do."""

from collections.abc import Iterator

import click

from idp import settings
from idp.cli import output
from idp.cli.checks import CHECKS, DEEP_CHECKS
from idp.cli.findings import Finding, look_safely
from idp.errors import SettingsError
from idp.settings import SECRET_KEY_NAME

INDENT = 28
MARKS = {"ok": "ok     ", "note": "note   ", "warning": "warning", "fault": "FAULT  "}


@click.command(
    epilog="Exit code 0 when there is no fault (warnings may be), otherwise 1.",
)
@click.option("--deep", is_flag=True, help="Read all the data, and check that nothing contradicts anything.")
@output.json_option
def command(deep: bool, as_json: bool) -> None:
    """Check configuration, database, schema, keys, clock, mail and proxy headers; say what to do.

    Nothing is changed. It asks the issuer for its metadata, and signs in to the mail server without sending anything.

    With --deep it also looks for what must not be, whatever happened: codes used twice, sessions of disabled accounts,
    orphan tokens, accounts and sessions that the audit does not tell of, damage. The provider may be running meanwhile.
    """
    faults = 0
    found: list[dict[str, str]] = []
    for name, finding in _look(deep=deep):
        faults += finding.verdict == "fault"
        if as_json:
            told = {"verdict": finding.verdict, "told": finding.told, "advice": finding.advice}
            found.append({"check": name, **told})
        else:
            _print(name, finding)
    if as_json:
        output.data(found)
    if faults:
        output.note(f"{faults} fault{'s' if faults > 1 else ''} found.")
        click.get_current_context().exit(1)


def _print(name: str, finding: Finding) -> None:
    """Print a finding as soon as it is there: with much data, some take minutes."""
    told = finding.told.replace("\n", "\n" + " " * INDENT)
    click.echo(f"{MARKS[finding.verdict]}  {name:<17}  {told}")
    if finding.advice:
        click.echo(" " * INDENT + finding.advice)


def _look(*, deep: bool) -> Iterator[tuple[str, Finding]]:
    """Look at the configuration; when that is right, at everything that follows from it."""
    try:
        loaded = settings.load()
    except SettingsError as error:
        yield "configuration", Finding("fault", "\n".join(error.faults), "Correct this first; then run it again.")
        return
    made = str(loaded.instance / SECRET_KEY_NAME)  # by `idp init`
    count = sum(origin != made for origin in loaded.origins.values())
    told = f"{count} setting{'s' if count > 1 else ''} of your own" if count else "defaults only"
    yield "configuration", Finding("ok", f"{told}; see `idp config`")
    faults: set[Finding] = set()
    for check in (*CHECKS, *DEEP_CHECKS) if deep else CHECKS:
        finding = look_safely(check, loaded)
        if finding in faults:  # a database that cannot be read is one fault, and not that of all that look into it
            finding = Finding("note", "not looked at, for the same reason")
        elif finding.verdict == "fault":
            faults.add(finding)
        yield check.name, finding
