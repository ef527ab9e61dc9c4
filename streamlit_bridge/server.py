"""The optional layer: what ``st.App`` takes beside the script.

    import streamlit as st
    import streamlit_bridge

    app = st.App("main.py", **streamlit_bridge.asgi())

Streamlit finds such an app by reading the file, so the call of ``st.App`` has to stand there as it is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypedDict

from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from streamlit_bridge import texts
from streamlit_bridge.backchannel import receive_logout
from streamlit_bridge.errors import AuthenticateError
from streamlit_bridge.exact_return import ExactReturn
from streamlit_bridge.return_path import read_base_path

LOGOUT_ROUTE: Final = "/backchannel-logout"
PREFIX: Final = "STREAMLIT_IDP_"
REQUIRED: Final = ("ISSUER", "APP_URL", "CLIENT_ID", "CLIENT_SECRET", "COOKIE_SECRET")
SCOPE: Final = "openid profile email roles account"


class AsgiSettings(TypedDict, total=False):
    """Arguments for ``st.App``; ``secrets`` only where the environment holds the settings."""

    secrets: dict[str, Any]
    routes: list[BaseRoute]
    middleware: list[Middleware]


def asgi(environment: Mapping[str, str] | None = None) -> AsgiSettings:
    """Return what ``st.App`` needs for the optional layer.

    - Settings from the environment in place of the ``[auth]`` section of secrets.toml: STREAMLIT_IDP_ISSUER,
      STREAMLIT_IDP_APP_URL, STREAMLIT_IDP_CLIENT_ID, STREAMLIT_IDP_CLIENT_SECRET, STREAMLIT_IDP_COOKIE_SECRET, and
      STREAMLIT_IDP_SCOPE if need be. A name with ``_FILE`` behind it holds the path of a file with the value. Without
      any of them secrets.toml counts.
    - The route ``/backchannel-logout``, at which the provider says that a session has ended.
    - The way back from a sign-in to the exact page and query string, without a detour over the start page.

    Parameters:
        environment: the environment, by default the process's own.

    Raises:
        AuthenticateError: some of the settings are there and others are missing, or a file cannot be read.
    """
    base = read_base_path()
    path = f"/{base}{LOGOUT_ROUTE}" if base else LOGOUT_ROUTE
    settings = AsgiSettings(
        routes=[Route(path, receive_logout, methods=["POST"])], middleware=[Middleware(ExactReturn)]
    )
    section = _read_environment(os.environ if environment is None else environment)
    if section is not None:
        settings["secrets"] = {"auth": section}
    return settings


def _read_environment(environment: Mapping[str, str]) -> dict[str, object] | None:
    values = {name: _read_value(environment, f"{PREFIX}{name}") for name in (*REQUIRED, "SCOPE")}
    if not any(values[name] for name in REQUIRED):
        return None
    missing = [f"{PREFIX}{name}" for name in REQUIRED if not values[name]]
    if missing:
        raise AuthenticateError(texts.ENVIRONMENT_INCOMPLETE.format(names=", ".join(missing)))
    return {
        "redirect_uri": f"{values['APP_URL'].rstrip('/')}/oauth2callback",
        "cookie_secret": values["COOKIE_SECRET"],
        "client_id": values["CLIENT_ID"],
        "client_secret": values["CLIENT_SECRET"],
        "server_metadata_url": f"{values['ISSUER'].rstrip('/')}/.well-known/openid-configuration",
        "expose_tokens": ["access"],
        "client_kwargs": {"scope": values["SCOPE"] or SCOPE, "prompt": ""},
    }


def _read_value(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    file_name = environment.get(f"{name}_FILE", "").strip()
    if value or not file_name:
        return value.strip()
    try:
        return Path(file_name).read_text(encoding="utf-8-sig").strip()  # some editors put a mark before the text
    except (OSError, UnicodeDecodeError) as error:
        raise AuthenticateError(texts.SETTING_UNREADABLE.format(name=f"{name}_FILE", reason=error)) from error
