"""A mail server that takes everything and remembers to whom it went."""

import socketserver
import threading
from collections import Counter
from collections.abc import Sequence
from types import TracebackType


class MailSink:
    """Listens on this machine while the block lasts; speaks as much SMTP as a sender needs (RFC 5321)."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self._lock = threading.Lock()
        sink = self

        class Session(socketserver.StreamRequestHandler):
            timeout = 60

            def handle(self) -> None:
                self._say("220 sink")
                recipients: list[str] = []
                for line in iter(self.rfile.readline, b""):
                    word = line[:4].upper()
                    if word == b"RCPT":
                        recipients.append(line.decode("utf-8", "replace").partition("<")[2].partition(">")[0])
                    if word == b"DATA":
                        self._say("354 go on")
                        while (part := self.rfile.readline()) not in (b".\r\n", b""):
                            del part
                        sink.note(recipients)
                        recipients = []
                    self._say("221 bye" if word == b"QUIT" else "250 sink")
                    if word == b"QUIT":
                        return

            def _say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session, bind_and_activate=True)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def note(self, recipients: Sequence[str]) -> None:
        """Remember a mail."""
        with self._lock:
            self.taken.update(recipients)

    def missing(self, addresses: Sequence[str]) -> list[str]:
        """Return the addresses to which nothing went."""
        with self._lock:
            return [each for each in addresses if not self.taken[each]]

    def has_all(self, addresses: Sequence[str]) -> bool:
        """Tell whether something went to each address."""
        return not self.missing(addresses)

    def __enter__(self) -> "MailSink":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
