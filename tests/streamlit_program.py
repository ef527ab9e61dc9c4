"""Streamlit, as `python -m streamlit` runs it, for apps that are started one after the other."""

from bench.loaded import Program

STREAMLIT = Program(
    "streamlit",
    "streamlit.web.cli",
    "streamlit.web.bootstrap",
    "streamlit.web.server.starlette.starlette_server",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "authlib.integrations.starlette_client",
    "streamlit_bridge.server",
    "streamlit_bridge.account_widgets",
)
