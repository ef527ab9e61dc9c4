"""Databases for the tests of storage: SQLite in a folder, and PostgreSQL where there is a server.

`TEST_POSTGRES_URL` names an empty database of a server, such as `postgresql://postgres@127.0.0.1:5432/idp_test`; what
is in its `public` schema is dropped.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from idp.database import open_engine
from idp.settings import Settings

SECRET_KEY = "a secret key for tests, and for nothing else"  # gitleaks:allow


def _emptied_postgres(folder: Path) -> Settings:
    url = os.environ.get("TEST_POSTGRES_URL")
    if not url:
        pytest.skip("TEST_POSTGRES_URL names no PostgreSQL server")
    settings = Settings(instance=folder, secret_key=SECRET_KEY, database_url=url)
    engine = open_engine(settings)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return settings


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings whose database is empty, once for each engine."""
    if request.param == "postgresql":
        return _emptied_postgres(tmp_path)
    return Settings(instance=tmp_path, secret_key=SECRET_KEY)


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
