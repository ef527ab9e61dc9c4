"""The `idp` command: one file a noun. Data goes to stdout, messages for people go to stderr."""

import importlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

from idp import __version__
from idp.cli import ending
from idp.cli.faults import explain


class Noun(NamedTuple):
    """What the command line knows of a noun before it is asked for.

    Attributes:
        module: holds its `command`.
        short_help: what it is for.
    """

    module: str
    short_help: str


# What each noun needs is loaded when it is asked for: help need not wait for the database's library.
NOUNS: Mapping[str, Noun] = {
    "init": Noun("idp.cli.init", "Make the instance ready: folder, secret, database, keys."),
    "serve": Noun("idp.cli.serve", "Run the web server."),
    "worker": Noun("idp.cli.worker", "Do what happens later: mail, notices of sign-outs, sweeping."),
    "demo": Noun("idp.cli.demo", "Run the provider and a demo app, to try them."),
    "config": Noun("idp.cli.config", "Print the settings in force."),
    "doctor": Noun("idp.cli.doctor", "Check that all is well, and say what to do."),
    "user": Noun("idp.cli.user", "Accounts: add, list, show, change, delete."),
    "preauthorize": Noun("idp.cli.preauthorize", "Addresses that may register."),
    "import": Noun("idp.cli.transfer", "Bring in accounts from elsewhere."),
    "export": Noun("idp.cli.export", "Write all accounts to a file, to take elsewhere."),
    "backup": Noun("idp.cli.backup", "Copy the whole database to a file, while the provider runs."),
    "restore": Noun("idp.cli.restore", "Put the database of a backup in place."),
    "client": Noun("idp.cli.client", "Apps that people sign in to: add, list, show, change, remove."),
    "mail": Noun("idp.cli.mail", "Mail: test, list, show, try again."),
    "keys": Noun("idp.cli.keys", "Signing keys: list, rotate."),
    "audit": Noun("idp.cli.audit", "Print what happened, and who did it."),
}

FAILED, INTERRUPTED = 1, 130


class CommandLine(click.Group):
    """The group of all nouns. Expected errors become a message and an exit code, never a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the nouns in the order in which a newcomer needs them."""
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a noun."""
        if cmd_name not in NOUNS:
            return None
        command: click.Command = importlib.import_module(NOUNS[cmd_name].module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of nouns; none is loaded for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, noun.short_help) for name, noun in NOUNS.items()])

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        """Run the command line and leave the process with one of the documented exit codes."""
        if not extra.pop("standalone_mode", True):
            return super().main(args, prog_name, standalone_mode=False, **extra)
        _mend_streams()
        try:
            with ending.tidied():
                code = super().main(args, prog_name, standalone_mode=False, **extra)
        except click.ClickException as fault:
            fault.show()
            sys.exit(fault.exit_code)
        except click.Abort as stop:
            if isinstance(stop.__context__, EOFError):
                click.echo("There was no answer: nothing was done.", err=True)
                sys.exit(FAILED)
            click.echo("Stopped.", err=True)
            sys.exit(INTERRUPTED)
        except Exception as error:
            message = explain(error)
            if message is None:
                raise
            click.echo(f"Error: {message}", err=True)
            sys.exit(FAILED)
        sys.exit(code if isinstance(code, int) else 0)


def _mend_streams() -> None:
    """Let a stream that is closed be an empty one, and write a letter that a terminal has not as its number."""
    fails = "surrogateescape" if sys.platform == "win32" else "strict"  # as Python has streams fail at such a letter
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:  # as some supervisors, and `<&-`, leave it
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for as long as we live
        elif mode == "w" and isinstance(stream, io.TextIOWrapper) and stream.errors == fails:
            stream.reconfigure(errors="backslashreplace")


@click.group(
    cls=CommandLine,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""
\b
Examples:
  idp init
  idp user add ada --email ada@example.org --role admin
  idp client add-streamlit "Tea House" --url http://localhost:8501 --secrets .streamlit/secrets.toml
  idp serve

\b
Environment:
  IDP_INSTANCE   the instance folder (default: instance)
  IDP_ISSUER     the provider's own URL (default: http://localhost:8000)
  All settings: idp config --verbose

\b
Exit codes:
  0    done
  1    it did not work: the message on stderr says why and what to do
  2    the command line is wrong
  3    `idp import` worked, but left something of the file out: its report says what
  130  stopped with Ctrl-C (serve, worker and demo end with 0 when they stopped cleanly)
""",
)
@click.version_option(__version__, prog_name="idp")
def main() -> None:
    """A small OpenID Connect provider: accounts, single sign-on, and apps that trust it."""
