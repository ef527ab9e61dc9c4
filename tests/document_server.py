"""A host on loopback that serves documents, well or badly: what the provider fetches for its clients."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

Behaviour = Callable[[BaseHTTPRequestHandler], None]
Headers = Sequence[tuple[str, str]]


class DocumentServer:
    """Serves what is put there, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._behaviours: dict[str, Behaviour] = {}
        own = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Behave as the path is to."""
                own.asked.append(self.path)
                behaviour = own._behaviours.get(self.path)
                if behaviour is None:
                    self.send_error(404)
                else:
                    behaviour(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path: str) -> str:
        """Return the address of a document."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def put(
        self,
        path: str,
        body: str | bytes,
        content_type: str = "application/jwt",
        status: int = 200,
        headers: Headers = (),
    ) -> str:
        """Serve a document; returns its address."""
        content = body.encode() if isinstance(body, str) else body

        def serve(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Type", content_type)
            handler.send_header("Content-Length", str(len(content)))
            for name, value in headers:
                handler.send_header(name, value)
            handler.end_headers()
            with contextlib.suppress(OSError):  # whoever asked has read enough
                handler.wfile.write(content)

        self._behaviours[path] = serve
        return self.url(path)

    def redirect(self, path: str, location: str) -> str:
        """Send whoever asks somewhere else."""

        def serve(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", location)
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        self._behaviours[path] = serve
        return self.url(path)

    def drip(self, path: str, *, every: float) -> str:
        """Send one byte at a time, for as long as somebody listens."""

        def serve(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            try:
                for _ in range(600):
                    handler.wfile.write(b"a")
                    handler.wfile.flush()
                    time.sleep(every)
            except OSError:
                return

        self._behaviours[path] = serve
        return self.url(path)
