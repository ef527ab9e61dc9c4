"""What `idp doctor` says of one thing that it looked at."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from idp.cli.faults import MORE, explain
from idp.cli.instance import WITHOUT_DATABASE, database_file
from idp.errors import NotReadyError
from idp.settings import Settings
from idp.storage.database import open_session

Verdict = Literal["ok", "note", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        verdict: whether it is well.
        told: what was seen.
        advice: what to do; empty when all is well.
    """

    verdict: Verdict
    told: str
    advice: str = ""


@dataclass(frozen=True)
class Check:
    """One thing to look at.

    Attributes:
        name: for the report.
        look: looks at it.
    """

    name: str
    look: Callable[[Settings], Finding]


def look_safely(check: Check, loaded: Settings) -> Finding:
    """Run a check; an expected error is a finding too.

    Args:
        check: what to look at.
        loaded: the settings.
    """
    try:
        return check.look(loaded)
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        if message.endswith(MORE):
            return Finding("fault", message.removesuffix(MORE), _advice_on_database(loaded))
        return Finding("fault", message)


def _advice_on_database(loaded: Settings) -> str:
    if loaded.is_sqlite:
        return (
            "If it is locked, something else is writing, such as a shell of sqlite3 that was left open: `fuser -v` on "
            "the file names it. Otherwise see whose the file and its folder are, and whether the disk has room; if it "
            "is damaged, `idp restore`."
        )
    return "See whether IDP_DATABASE_URL is right, and what the server's own log says."


@contextmanager
def database_of(loaded: Settings) -> Iterator[Session]:
    """Open the database for reading, but never make one.

    Raises:
        NotReadyError: there is none.
    """
    file = database_file(loaded)
    if file is not None and not file.exists():
        raise NotReadyError(f"{file} does not exist: {WITHOUT_DATABASE}.")
    with open_session(loaded) as db:
        yield db
