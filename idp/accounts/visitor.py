"""Who is asking, as far as a provider can tell before anybody signs in."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network


@dataclass(frozen=True)
class Visitor:
    """The other end of a request.

    Attributes:
        address: network address, as seen past the trusted proxies.
        user_agent: what the browser calls itself, cut to 300 characters.
        browser_digest: digest of the long-lived cookie that tells browsers apart; empty before the first page.
        actor: who acts, for the audit: `user`, `operator`, `client:ID`, `system`.
    """

    address: str = ""
    user_agent: str = ""
    browser_digest: str = ""
    actor: str = "user"

    @property
    def network(self) -> str:
        """What one household or server can pick addresses from."""
        return network_of(self.address)


@lru_cache(maxsize=4_096)
def network_of(told: str) -> str:
    """Return an address's network: an IPv4 address itself, or an IPv6 /64.

    Nothing where the address is none: it may be a new text each time, so all of these share one network.
    """
    try:
        address = ip_address(plain_address(told))
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ip_network((address, 64), strict=False))
    return str(address)


def plain_address(told: str) -> str:
    """Return an address without the port and the brackets that some proxies write.

    Args:
        told: such as `198.51.100.8:1000` or `[2001:db8::8]:1000`; whatever else it is comes back as it is.
    """
    if told.startswith("["):
        return told[1:].partition("]")[0]
    return told.partition(":")[0] if told.count(":") == 1 else told


OPERATOR = Visitor(actor="operator")
SYSTEM = Visitor(actor="system")
