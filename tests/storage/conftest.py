"""Databases for the tests of storage: SQLite in a folder, and PostgreSQL where there is a server.

`IDP_TEST_POSTGRES_URL` names a server on which databases may be made, such as
`postgresql://postgres@127.0.0.1:5432/postgres`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine

from idp import crypto
from idp.database import open_engine
from idp.settings import Settings

SECRET_KEY = "a secret key for tests, and for nothing else"  # gitleaks:allow


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings whose database is empty, once for each engine."""
    if request.param == "sqlite":
        yield Settings(instance=tmp_path, secret_key=SECRET_KEY)
        return
    server = os.environ.get("IDP_TEST_POSTGRES_URL")
    if not server:
        pytest.skip("IDP_TEST_POSTGRES_URL names no PostgreSQL server")
    name = f"idp_test_{crypto.new_id()}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        yield Settings(instance=tmp_path, secret_key=SECRET_KEY, database_url=url)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


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
