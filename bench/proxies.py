"""The reverse proxy before several hosts, as `docs/examples` has it: nginx or Caddy."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from places import NotPossibleError, Place

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
AROUND_NGINX = """\
user root;  # of no account that the folder is closed to; ignored for whoever is not root
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
{main}
http {{
access_log off;
client_body_temp_path {folder}/nginx-bodies;
proxy_temp_path {folder}/nginx-answers;
fastcgi_temp_path {folder}/nginx-other;
uwsgi_temp_path {folder}/nginx-other;
scgi_temp_path {folder}/nginx-other;
{example}
}}
"""
CADDYS_UPSTREAM = "{http.reverse_proxy.upstream.hostport}"


def _replaced(text: str, changes: Mapping[str, str]) -> str:
    """Change an example where it speaks of somebody's own names and addresses; each must be there."""
    for old, new in changes.items():
        if old not in text:
            raise SystemExit(f"the example has no {old!r} any more")
        text = text.replace(old, new)
    return text


def write_nginx(
    folder: Path,
    address: str,
    hosts: Sequence[str],
    certificate: Path,
    key: Path,
    ports: tuple[int, int] = (443, 80),
) -> Sequence[str]:
    """Write nginx's configuration; returns the command that runs it.

    Args:
        folder: where to.
        address: at which it listens.
        hosts: addresses and ports of the provider's, one or two.
        certificate: for that address.
        key: of the certificate.
        ports: for TLS, and without.
    """
    written = (EXAMPLES / "nginx.conf").read_text()
    second = {"# server 10.0.0.12:8000": f"server {hosts[1]}"} if len(hosts) > 1 else {}
    example = _replaced(
        written,
        {
            "server 127.0.0.1:8000": f"server {hosts[0]}",
            **second,
            "listen 443 ssl": f"listen {ports[0]} ssl",
            "listen 80;": f"listen {ports[1]};",
            "login.example.org;": f"{address};",
            "/etc/ssl/login.example.org/fullchain.pem": str(certificate),
            "/etc/ssl/login.example.org/privkey.pem": str(key),
            "/var/log/nginx/": f"{folder}/",
            "    listen [::]:443 ssl http2;\n": "",
            "    listen [::]:80;\n": "",
            # For the report: who answered.
            "proxy_pass http://idp;": "proxy_pass http://idp;\n        add_header X-Served-By $upstream_addr always;",
        },
    )
    file = folder / "nginx.conf"
    main = "\n".join(re.findall(r"^#     (.+)$", written, re.MULTILINE))  # what it asks of nginx.conf
    file.write_text(AROUND_NGINX.format(folder=folder, main=main, example=example))
    return (_find("nginx"), "-c", str(file), "-e", f"{folder}/nginx-error.log")


def write_caddy(
    folder: Path,
    address: str,
    hosts: Sequence[str],
    certificate: Path,
    key: Path,
    ports: tuple[int, int] = (443, 80),
) -> Sequence[str]:
    """Write Caddy's configuration; returns the command that runs it. Parameters as those of `write_nginx`."""
    example = _replaced(
        (EXAMPLES / "Caddyfile").read_text(),
        {
            "\tservers {": f"\tadmin off\n\thttps_port {ports[0]}\n\thttp_port {ports[1]}\n\tservers {{",
            "http://login.example.org {": f"http://{address} {{",
            "login.example.org {": f"https://{address} {{\n\ttls {certificate} {key}",
            "127.0.0.1:8000 {": "{",
            "# to 10.0.0.11:8000 10.0.0.12:8000": f"to {' '.join(hosts)}  ",
            "header_up X-Request-ID": f"header_down X-Served-By {CADDYS_UPSTREAM}\n\t\theader_up X-Request-ID",
        },
    )
    file = folder / "Caddyfile"
    file.write_text(example)
    return (_find("caddy"), "run", "--adapter", "caddyfile", "--config", str(file))


PROXIES = {"nginx": write_nginx, "caddy": write_caddy}


class Proxy:
    """A proxy that runs.

    Args:
        folder: for its configuration and logs.
        place: where it runs.
        command: what `write_nginx` or `write_caddy` returned.
    """

    def __init__(self, folder: Path, place: Place, command: Sequence[str]) -> None:
        self.log = folder / "proxy.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                (*place.before, *command),
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder), "XDG_DATA_HOME": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Stop it."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _find(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        raise NotPossibleError(f"{name} is not installed (Debian: apt install {name}).")
    return path
