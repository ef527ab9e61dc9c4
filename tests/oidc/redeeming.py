"""What a process of its own does in the races: redeem one code, at the same moment as all the others."""

from typing import Any

from flask import Flask

from idp.app import create_app
from idp.settings import Settings

_app: Flask
_barrier: Any


def begin(settings: Settings, barrier: Any) -> None:
    """Build the provider in this process."""
    global _app, _barrier
    _app, _barrier = create_app(settings), barrier


def redeem(form: dict[str, str]) -> tuple[int, str | None]:
    """Wait for the others, then send the token request; returns status and error."""
    _barrier.wait(timeout=240)
    response = _app.test_client().post("/oauth/token", data=form)
    return response.status_code, response.json.get("error")
