"""A Redis or Valkey server for a test: on a socket in its folder, without a port, gone with the test."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

BINARY = shutil.which("valkey-server") or shutil.which("redis-server") or ""
START_WITHIN = 20  # seconds


class RedisServer:
    """A server that can be stopped, frozen and started again."""

    def __init__(self) -> None:
        # A test's own folder may have too long a name: that of a socket has 107 characters at most.
        self._socket = Path(tempfile.mkdtemp(prefix="redis-")) / "redis.socket"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self, *options: str) -> None:
        """Start it, empty, and wait until it answers."""
        self._socket.parent.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            (BINARY, "--port", "0", "--unixsocket", str(self._socket), "--save", "", "--appendonly", "no", *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._socket.parent,
        )
        give_up_at = time.monotonic() + START_WITHIN
        while not self._listens():  # the file is there a moment before
            assert self._process.poll() is None, "it ended by itself"
            assert time.monotonic() < give_up_at, "it does not start"
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0

    def stop(self) -> None:
        """Kill it: what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self._socket.parent, ignore_errors=True)

    def freeze(self) -> None:
        """Have it answer nobody, and close no connection."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
