"""What tests of moving accounts share: a way to import a text, and hashes that are quick to check."""

import io
from collections.abc import Callable

import bcrypt
import pytest
from sqlalchemy.orm import Session

from idp.settings import Settings
from idp.storage import database
from idp.transfer import accounts_file, streamlit_authenticator
from idp.transfer.checking import Checker
from idp.transfer.preauthorizations import write_preauthorizations
from idp.transfer.report import Report
from idp.transfer.writing import Writer
from tests.factories import PASSWORD

HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
Import = Callable[..., Report]


def import_text(
    settings: Settings,
    text: str,
    *,
    is_dry_run: bool = False,
    is_update: bool = False,
    email_domain: str = "",
    is_vouched_for: bool = False,
    is_export: bool = False,
) -> Report:
    """Import what a file with this text would hold."""
    report = Report(is_dry_run=is_dry_run)
    if is_export:
        source = accounts_file.read("accounts.json", io.BytesIO(text.encode()), report)
    else:
        source = streamlit_authenticator.read("config.yaml", text, report)
    report.layout = source.layout
    checker = Checker(report, email_domain=email_domain, is_vouched_for=is_vouched_for)
    engine = database.open_engine(settings)
    Writer(engine, settings, report, "test", is_update).write(checker.check_all(source.candidates))
    write_preauthorizations(engine, report, source.invitees, checker.email_keys)
    engine.dispose()
    return report


@pytest.fixture
def import_(settings: Settings, db: Session) -> Import:
    """Import a text into the provider of the test."""
    return lambda text, **options: import_text(settings, text, **options)
