"""The provider's own pages for what an app may not do itself."""

from __future__ import annotations

from enum import Enum
from typing import Final

from streamlit_bridge.errors import ProviderUnavailable
from streamlit_bridge.memory import open_shared_memory
from streamlit_bridge.session import read_metadata_url


class HostedPage(Enum):
    """A page of the provider: the member of the discovery document that names it, and where it may be otherwise."""

    ACCOUNT = ("account_management_uri", "")
    REGISTER = ("registration_page", "/register")
    FORGOT_PASSWORD = ("forgot_password_page", "/forgot-password")
    FORGOT_USERNAME = ("forgot_username_page", "/forgot-username")


VISITORS_PAGES: Final = (HostedPage.REGISTER, HostedPage.FORGOT_PASSWORD, HostedPage.FORGOT_USERNAME)


def find_hosted_page(page: HostedPage) -> str | None:
    """Return the address of a hosted page, None where there is none or while the provider does not tell.

    Parameters:
        page: which page.
    """
    metadata_url = read_metadata_url()
    if metadata_url is None:
        return None
    try:
        metadata = open_shared_memory().read_metadata(metadata_url)
    except ProviderUnavailable:
        return None
    member, path = page.value
    if member in metadata:
        return _check_address(metadata[member])
    if not path or any(other.value[0] in metadata for other in VISITORS_PAGES):
        # A provider that names its pages leaves out those that are closed.
        return None
    issuer = _check_address(metadata.get("issuer"))
    return None if issuer is None else f"{issuer.rstrip('/')}{path}"


def _check_address(value: object) -> str | None:
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else None
