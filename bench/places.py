"""Where hosts stand: network namespaces of this machine with a wire each, or this machine's own loopback."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


class NotPossibleError(Exception):
    """This machine cannot do what was asked for; says why."""


@dataclass(frozen=True)
class Place:
    """Somewhere to run processes.

    Attributes:
        name: for the report.
        address: at which the others reach it.
        before: what a command line begins with, so that it runs there.
        wire: our end of its wire; empty on loopback.
    """

    name: str
    address: str
    before: Sequence[str] = ()
    wire: str = ""

    def cut(self) -> None:
        """Take its wire away: nobody reaches it, and nobody is told."""
        _run("ip", "link", "set", self.wire, "down")

    def join(self) -> None:
        """Give its wire back."""
        _run("ip", "link", "set", self.wire, "up")


def on_loopback(name: str) -> Place:
    """Return a place that is no other than this machine."""
    return Place(name, "127.0.0.1")


def check_namespaces_possible() -> None:
    """Check that network namespaces can be made here.

    Raises:
        NotPossibleError: says what is missing.
    """
    if platform.system() != "Linux":
        raise NotPossibleError("Hosts are network namespaces, which only Linux has. --loopback does without.")
    if os.geteuid() != 0:
        raise NotPossibleError("Network namespaces need root. --loopback does without.")
    if shutil.which("ip") is None:
        raise NotPossibleError(
            "Network namespaces need iproute2 (Debian: apt install iproute2). --loopback does without."
        )


@contextmanager
def namespaces(names: Sequence[str], visitors: int) -> Iterator[tuple[dict[str, Place], Sequence[str]]]:
    """Make a network of hosts for a while: a switch, and one namespace with a wire to it for each name.

    Args:
        names: of the hosts.
        visitors: how many addresses this machine has in that network for whoever visits.

    Yields:
        The places by name, and the visitors' addresses.
    """
    mark, net = f"idp{os.getpid()}", f"10.231.{os.getpid() % 250}"
    addresses = [f"{net}.{100 + number}" for number in range(visitors)]
    places = {
        name: Place(name, f"{net}.{10 + number}", ("ip", "netns", "exec", f"{mark}-{name}"), f"{mark}{number}")
        for number, name in enumerate(names)
    }
    try:
        _run("ip", "link", "add", mark, "type", "bridge")
        _run("ip", "link", "set", mark, "up")
        for address in addresses:
            _run("ip", "address", "add", f"{address}/24", "dev", mark)
        for place in places.values():
            namespace = place.before[-1]
            _run("ip", "netns", "add", namespace)
            _run("ip", "link", "add", place.wire, "type", "veth", "peer", "name", "eth0", "netns", namespace)
            _run("ip", "link", "set", place.wire, "master", mark, "up")
            _run("ip", "-n", namespace, "link", "set", "lo", "up")
            _run("ip", "-n", namespace, "address", "add", f"{place.address}/24", "dev", "eth0")
            _run("ip", "-n", namespace, "link", "set", "eth0", "up")
        yield places, addresses
    finally:
        for place in places.values():
            _run("ip", "netns", "delete", place.before[-1], may_fail=True)
        _run("ip", "link", "delete", mark, may_fail=True)


def _run(*command: str, may_fail: bool = False) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and not may_fail:
        raise NotPossibleError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
