"""Databases for the tests of storage: SQLite in a folder, and PostgreSQL where there is a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from idp.settings import Settings
from idp.storage.database import open_engine
from tests import postgresql
from tests.conftest import SECRET_KEY


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings whose database is empty, once for each engine."""
    if request.param == "sqlite":
        yield Settings(instance=tmp_path, secret_key=SECRET_KEY)
        return
    if not postgresql.SERVER:
        pytest.skip("IDP_TEST_POSTGRES_URL names no PostgreSQL server")
    with postgresql.new_database() as url:
        yield Settings(instance=tmp_path, secret_key=SECRET_KEY, database_url=url)


@pytest.fixture
def engine(empty_database: Settings) -> Iterator[Engine]:
    """An engine on the empty database."""
    opened = open_engine(empty_database)
    yield opened
    opened.dispose()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    """An engine on an empty SQLite file."""
    opened = open_engine(Settings(instance=tmp_path, secret_key=SECRET_KEY))
    yield opened
    opened.dispose()
