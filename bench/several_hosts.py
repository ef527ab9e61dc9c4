"""Several hosts on one database, as people see them: by a proxy in a network, or each by itself on loopback."""

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
from certificate import write_certificate
from cluster import ReachableCluster
from joserfc import jwk, jwt
from joserfc.errors import JoseError
from places import Place, check_namespaces_possible, namespaces, on_loopback
from proxies import PROXIES, Proxy

from instance import Instance, free_port

PEOPLE = 6


class Host(Instance):
    """One of several: what it shares with the others is in the database.

    Args:
        folder: for its instance folder and its log.
        place: where it runs.
        port: at which it listens.
        database: URL of what is shared.
        settings: of all hosts.
    """

    def __init__(self, folder: Path, place: Place, port: int, database: str, settings: dict[str, str]) -> None:
        folder.mkdir()
        super().__init__(folder, database, settings, PEOPLE)
        self.place, self.host, self.port, self.before = place, place.address, port, place.before
        self.issuer = settings["IDP_ISSUER"]


class AddressAdapter(requests.adapters.HTTPAdapter):
    """Comes from one of this machine's addresses: each person has a network of their own."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *arguments: object, **more: object) -> None:
        """Have connections made from that address."""
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **more)


@dataclass
class Site:
    """What people see of the provider.

    Attributes:
        hosts: what it is made of.
        issuer: its URL.
        doors: where requests go: the proxy, or each host itself.
        trust: certificate of the proxy; None without one.
        addresses: people come from them.
    """

    hosts: Sequence[Host]
    issuer: str
    doors: Sequence[str]
    trust: Path | None
    addresses: Sequence[str]
    people: int = PEOPLE
    _jwks: jwk.KeySet | None = None

    def __getattr__(self, name: str) -> object:
        """Whatever else there is to know of it, any host knows."""
        return getattr(self.hosts[0], name)

    def new_browser(self, number: int = 0) -> requests.Session:
        """Return a browser that nobody has used, at a person's own address."""
        browser = requests.Session()
        browser.trust_env = False
        if self.trust:
            browser.verify = str(self.trust)
            browser.mount("https://", AddressAdapter(self.addresses[number % len(self.addresses)]))
        return browser

    def verify(self, id_token: str, ask: Callable[[], requests.Response]) -> str:
        """Check an ID token's signature as apps do, and return its subject: an unknown key is asked for once."""
        for is_last in (False, True):
            try:
                if self._jwks is not None:
                    return str(jwt.decode(id_token, self._jwks, algorithms=["RS256"]).claims["sub"])
            except JoseError:
                if is_last:
                    raise
            self._jwks = jwk.KeySet.import_key_set(ask().json())
        raise AssertionError


def settings_for(issuer: str, secret_key: Path, hops: int) -> dict[str, str]:
    """Return the settings that every host has, as `docs/deployment.md` has them."""
    return {"IDP_ISSUER": issuer, "IDP_SECRET_KEY_FILE": str(secret_key), "IDP_PROXY_HOPS": str(hops)}


@contextlib.contextmanager
def in_namespaces(folder: Path, proxy: str) -> Iterator[tuple[Site, ReachableCluster]]:
    """Build everything in network namespaces, with a proxy."""
    check_namespaces_possible()
    with namespaces(("a", "b", "db", "proxy"), PEOPLE) as (places, addresses):
        cluster = ReachableCluster(folder, places["db"])
        front = None
        hosts: list[Host] = []
        try:
            cluster.start()
            front_address = places["proxy"].address
            certificate, key = write_certificate(folder, "proxy", front_address)
            issuer = f"https://{front_address}"
            shared = settings_for(issuer, new_secret_key(folder), 1)
            hosts = [Host(folder / name, places[name], 8000, cluster.url, shared) for name in ("a", "b")]
            command = PROXIES[proxy](folder, front_address, [f"{each.host}:8000" for each in hosts], certificate, key)
            front = Proxy(folder, places["proxy"], command)
            if proxy == "caddy":  # it sends no form to a second host when the first is gone
                for each in hosts:
                    each.options = ("--drain", "3")
            yield Site(hosts, issuer, [issuer], certificate, addresses), cluster
        finally:
            for each in places.values():
                each.join()
            for each in (*hosts, *([front] if front else []), cluster):
                each.stop()


@contextlib.contextmanager
def on_one_machine(folder: Path) -> Iterator[tuple[Site, ReachableCluster]]:
    """Build everything on loopback, without a proxy: whoever cannot reach one host goes to the other."""
    cluster = ReachableCluster(folder, on_loopback("database"))
    hosts: list[Host] = []
    try:
        cluster.start()
        ports = [free_port(), free_port()]
        issuer = f"http://127.0.0.1:{ports[0]}"
        shared = settings_for(issuer, new_secret_key(folder), 0)
        hosts = [
            Host(folder / name, on_loopback(name), port, cluster.url, shared)
            for name, port in zip(("a", "b"), ports, strict=True)
        ]
        yield Site(hosts, issuer, [each.door for each in hosts], None, ()), cluster
    finally:
        for each in (*hosts, cluster):
            each.stop()


def new_secret_key(folder: Path) -> Path:
    """Write a secret key for all hosts."""
    file = folder / "secret key"
    file.touch(mode=0o600)
    file.write_text(secrets.token_urlsafe(48))
    return file
