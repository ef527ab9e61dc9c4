"""A client's URIs, where people return to and what the provider calls or links to: rules for them, and their parts."""

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlencode, urlsplit

from idp.oidc.clients import ClientMetadata
from idp.setting_rules import is_loopback

REDIRECT_URI_MOST = 2_000  # characters: a browser must carry it, with our answer behind it
URI_MOST = 500  # characters, as the columns have it
# What a host may be made of; anything else would be read otherwise by somebody, such as a `;` in a page's policy.
_HOST = re.compile(r"[A-Za-z0-9._*-]+|[0-9A-Fa-f:.]+")
_STRANGE = re.compile(r"[\s\x00-\x1f\x7f\"<>\\^`{|}]")
_USUAL_PORTS = {"https": 443, "http": 80}


def faults_of_redirect_uri(client: ClientMetadata, uri: str) -> Iterator[str]:
    """Say what is wrong with a URI that people return to (RFC 6749 section 3.1.2, RFC 8252, RFC 9700 section 4.1).

    Web apps have https, native ones a private scheme besides (OIDC Registration section 2); both may have http on the
    person's own machine, but not to be handed tokens there (`implicit`).
    """
    url, fault = _read(uri)
    if url is None:
        yield fault
    elif len(uri) > REDIRECT_URI_MOST:
        yield f"A redirect URI has at most {REDIRECT_URI_MOST} characters."
    elif url.fragment or uri.endswith("#"):
        yield f"{uri!r} has a fragment."
    elif url.scheme in ("http", "https"):
        if "*" in uri:
            yield f"{uri!r} holds a wildcard; every redirect URI is compared to the letter."
        elif url.scheme == "http" and client.application_type == "web" and "implicit" in client.grant_types:
            yield f"{uri!r} must be https: a web app of the grant implicit gets its tokens there."
        elif url.scheme == "http" and not is_loopback(url.hostname):
            yield f"{uri!r} must be https (http only on this machine itself)."
    elif "." not in url.scheme:  # javascript:, data:, file: and the like have none
        yield f"{uri!r} must be https, or a private scheme with a dot such as org.example.app:/callback."
    elif client.application_type == "web":
        yield f"{uri!r} has a private scheme, which only an app with the application_type native has."


def faults_of_called_uri(uri: str) -> Iterator[str]:
    """Say what is wrong with a URI that the provider or a browser calls for the app: https, or http on loopback."""
    url, fault = _read(uri)
    if url is None:
        yield fault
    elif url.scheme not in ("http", "https"):
        yield f"{uri!r} is no web address."
    elif "*" in (url.hostname or ""):
        yield f"{uri!r} holds a wildcard, and can be called nowhere."
    elif url.scheme == "http" and not is_loopback(url.hostname):
        yield f"{uri!r} must be https (http only on this machine itself)."
    elif len(uri) > URI_MOST:
        yield f"A URI has at most {URI_MOST} characters."


def faults_of_linked_uri(uri: str) -> Iterator[str]:
    """Say what is wrong with a URI that people may follow, or that is shown to them."""
    url, fault = _read(uri)
    if url is None:
        yield fault
    elif url.scheme not in ("http", "https"):
        yield f"{uri!r} is no web address."
    elif len(uri) > URI_MOST:
        yield f"A URI has at most {URI_MOST} characters."


def faults_of_resource(uri: str) -> Iterator[str]:
    """Say what is wrong with a resource indicator: an absolute URI without a fragment (RFC 8707 section 2)."""
    url, fault = _read(uri)
    if url is None:
        yield fault
    elif not url.scheme or "#" in uri:
        yield f"{uri!r} is no absolute URI without a fragment."
    elif len(uri) > URI_MOST:
        yield f"A URI has at most {URI_MOST} characters."


def hosts_of(uris: Iterable[str]) -> set[str | None]:
    """Return the hosts on the web that URIs lead to; None stands for a URI that leads to none.

    What stands for a host behind a private scheme is whatever an app likes, and a person's own machine is nobody's.
    """
    read = (_read(uri)[0] for uri in uris)
    return {url.hostname if url.scheme == "https" else None for url in read if url is not None}


def origin_of(uri: str) -> str | None:
    """Return the origin of a URI that can be read, as browsers write it (RFC 6454 section 6.2), or None for none."""
    url = urlsplit(uri)
    if url.scheme not in _USUAL_PORTS or not url.hostname:
        return None
    host = f"[{IPv6Address(url.hostname).compressed}]" if ":" in url.hostname else url.hostname
    port = "" if url.port in (None, _USUAL_PORTS[url.scheme]) else f":{url.port}"
    return f"{url.scheme}://{host}{port}"


def with_parameters(uri: str, parameters: Mapping[str, str]) -> str:
    """Return a URI without a fragment with more in its query."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"


def can_be_read(uri: str) -> bool:
    """Tell whether a URI is one at all."""
    return _read(uri)[0] is not None


def _read(uri: str) -> tuple[SplitResult | None, str]:
    """Return a URI's parts, or what is wrong with it."""
    try:
        url = urlsplit(uri)
        host, _ = url.hostname, url.port
        if host and ":" in host:
            IPv6Address(host)  # which `urlsplit` takes on trust before Python 3.11.4
    except ValueError:
        return None, f"{uri!r} is no URI."
    if not uri.isascii() or _STRANGE.search(uri):
        return None, f"{uri!r} holds characters that a URI cannot have."
    if url.scheme in ("http", "https"):
        if not host:
            return None, f"{uri!r} names no host."
        if not _HOST.fullmatch(host):
            return None, f"{uri!r} holds characters that a host cannot have."
        if url.username is not None:  # and no password comes without one
            return None, f"{uri!r} holds a user name."
    return url, ""
