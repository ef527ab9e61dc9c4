"""A PostgreSQL server that other hosts reach: over TLS, with a password, as a managed one is."""

import os
import secrets
import shutil
from pathlib import Path

import psycopg
from certificate import write_certificate
from places import Place
from postgres import Cluster


class ReachableCluster(Cluster):
    """A server with a certificate and a password, at an address of a network.

    Args:
        folder: for its data, its certificate and its key; every account may pass through it.
        place: where it runs.
    """

    def __init__(self, folder: Path, place: Place) -> None:
        super().__init__(folder / "postgresql", place.address, place.before)
        self.place = place
        self._password = secrets.token_urlsafe(16)
        certificate, key = write_certificate(folder, "database", place.address)
        if os.geteuid() == 0:
            shutil.chown(key, "postgres", "postgres")
        tls = {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
        self.options |= {**tls, "max_connections": "120"}
        rules = self.folder / "pg_hba.conf"
        rules.write_text("local all all trust\nhostssl all all all scram-sha-256\n")
        self.url = (
            f"postgresql://postgres:{self._password}@{place.address}:{self.port}/postgres"
            f"?sslmode=verify-full&sslrootcert={certificate}"
        )

    def start(self) -> None:
        """Start the server; its account has its password then."""
        super().start()
        if self._password:
            self.run(f"ALTER USER postgres PASSWORD '{self._password}'")
            self._password = ""

    def run(self, statement: str) -> None:
        """Run a statement of the operator's, past the network."""
        address = f"postgresql://postgres@/postgres?host={self.folder}&port={self.port}"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement.encode())
