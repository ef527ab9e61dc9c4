"""`idp serve`: the web server."""

import errno
import socket
import sys
from urllib.parse import urlsplit

import click

from idp.accounts import shared_buckets
from idp.accounts.visitor import SYSTEM
from idp.cli.instance import load_ready
from idp.errors import NotReadyError
from idp.oidc import keys
from idp.serving.start import Serving, become_server
from idp.settings import Settings
from idp.storage.database import open_session


@click.command
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port to listen at.  [default: the issuer's on this machine, otherwise 8000]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many web processes: up to as many as processors, and each keeps to one of them.",
)
@click.option("--no-worker", is_flag=True, help="Start no worker beside: `idp worker` runs elsewhere.")
@click.option(
    "--drain",
    type=click.IntRange(0, 300),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="How long to go on after SIGTERM, with 503 at /readyz, so that a proxy sends nothing more by then.",
)
def command(host: str, port: int | None, workers: int, no_worker: bool, drain: int) -> None:
    """Run the provider's web server until it is stopped with Ctrl-C or SIGTERM.

    A worker runs beside it, and does what happens later: see `idp worker --help`. In production a reverse proxy with
    TLS stands before it: set IDP_PROXY_HOPS to the number of proxies.

    SIGTERM, Ctrl-C and a terminal that is closed (SIGHUP) end it when the requests at hand are finished. Behind a proxy
    that asks /readyz, give it a moment to look (--drain); a second signal ends that.

    \b
    Examples:
      idp serve
      idp serve --host 0.0.0.0 --port 8080 --workers 2
    """
    loaded = load_ready()
    shared_buckets.of(loaded)  # a package that is missing, or an option that is none, is told now
    with open_session(loaded) as db:
        keys.load_keys(db, loaded)
        keys.ensure_keys(db, loaded, SYSTEM)  # a newer version may sign with one algorithm more
    port = port or default_port(loaded)
    check_free(host, port)
    become_server(Serving(host, port, workers, not no_worker, drain, loaded.log_level, loaded.log_format))


def default_port(loaded: Settings) -> int:
    """Return the port to listen at when none was named.

    Args:
        loaded: the settings; an issuer on this machine says where browsers will knock.
    """
    return (urlsplit(loaded.issuer).port or 8000) if loaded.is_loopback else 8000


def check_free(host: str, port: int) -> None:
    """Check that nobody listens at an address yet; the server itself would quietly share it.

    Raises:
        NotReadyError: the port is taken or may not be used, or the host is not of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror:
        raise NotReadyError(f"There is no host {host!r}: use an address of this machine, such as 127.0.0.1.") from None
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":  # there it would let two listen at once
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except PermissionError:
            raise NotReadyError(f"Port {port} needs more rights than this account has: use one above 1023.") from None
        except OSError as fault:
            if fault.errno == errno.EADDRINUSE:
                raise NotReadyError(
                    f"Port {port} is taken: something listens at {host}:{port} already. Stop it, or choose another "
                    "port."
                ) from None
            raise NotReadyError(f"This machine cannot listen at {host}:{port}: {fault.strerror}.") from None
