"""The processes of a PostgreSQL server on this machine, and the CPU time that they have taken."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import Engine, text


def _stat(pid: str) -> list[str]:
    return (Path("/proc") / pid / "stat").read_text().rpartition(")")[2].split()


@dataclass(frozen=True)
class ServerProcesses:
    """All processes of one server.

    Attributes:
        first: process id of the one that started the others.
    """

    first: str

    @classmethod
    def of(cls, engine: Engine) -> Self | None:
        """Find the processes behind an engine; None for SQLite, and for a server that is somewhere else."""
        if engine.dialect.name != "postgresql":
            return None
        with engine.connect() as connection:
            pid = str(connection.scalar(text("SELECT pg_backend_pid()")))
            with contextlib.suppress(OSError):
                if b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return cls(_stat(pid)[1])
        return None

    def cpu_seconds(self) -> float:
        """Return the CPU time of those that run now; connections that ended meanwhile take theirs along."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                found = _stat(path.name)
                if self.first in (found[1], path.name):
                    ticks += int(found[11]) + int(found[12])
        return ticks / os.sysconf("SC_CLK_TCK")
