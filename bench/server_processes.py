"""The processes of a PostgreSQL server that serve one database, and the CPU time that they have taken."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import Engine, text


@dataclass(frozen=True)
class ServerProcesses:
    """The backends of one database on this machine. What the server does in the background is not among it.

    Attributes:
        engine: on that database.
    """

    engine: Engine

    @classmethod
    def of(cls, engine: Engine) -> Self | None:
        """Find the processes behind an engine; None for SQLite, and for a server that is somewhere else."""
        if engine.dialect.name != "postgresql":
            return None
        found = cls(engine)
        return found if all(b"postgres" in command for command in found._commands()) else None

    def cpu_seconds(self) -> float:
        """Return the CPU time of those that run now; connections that ended meanwhile take theirs along."""
        ticks = 0
        for pid in self._pids():
            with contextlib.suppress(OSError):
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(stat[11]) + int(stat[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def _commands(self) -> Iterator[bytes]:
        for pid in self._pids():
            try:
                yield Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                yield b""

    def _pids(self) -> list[int]:
        asked = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        with self.engine.connect() as connection:
            return [int(pid) for pid in connection.scalars(asked)]
