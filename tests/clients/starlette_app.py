"""The app of `docs/clients/authlib-starlette.md` as a process of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.how_to import HowTo
from tests.clients.processes import running
from tests.journeys.conftest import House


@contextmanager
def serve_weather(provider: House, app_url: str, folder: Path) -> Iterator[str]:
    """Run the app; gives its URL."""
    how_to = HowTo("authlib-starlette", provider.issuer, app_url)
    client_id = how_to.register(provider)
    try:
        how_to.write(folder, "app.py")
        command = [sys.executable, "-m", "uvicorn", "app:app", f"--port={app_url.rpartition(':')[2]}"]
        with running(command, folder, f"{app_url}/"):
            yield app_url
    finally:
        provider.idp("client", "remove", client_id)
