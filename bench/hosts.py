"""Two hosts and one PostgreSQL under load, while one thing after the other breaks: what do people notice?

    python bench/hosts.py                   # as root on Linux: network namespaces, a proxy, six minutes
    python bench/hosts.py --proxy caddy
    python bench/hosts.py --loopback        # two servers on this machine's loopback, no proxy: half a minute

Each host runs `idp serve` with two web processes and its worker, in a network namespace and an instance folder of its
own; PostgreSQL (durable, over TLS) and the proxy of `docs/examples` stand in a third and a fourth. People sign in, log
in to an app, refresh, register and leave through the proxy all the while; in calm moments somebody changes things at
one host and looks at the other. Hosts are killed, cut off and replaced, the database is restarted, killed and cut off,
keys follow each other.

What must hold: no wrong answer; every acknowledged write is there; requests fail only while nothing can answer, or when
they were at hand as a host fell; and those that fail say 503 with Retry-After.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from places import NotPossibleError
from proxies import PROXIES
from several_hosts import in_namespaces, on_one_machine
from trial import STEPS, Trial, everything, the_shortest


def main() -> None:
    """Read the command line, run, report."""
    parser = argparse.ArgumentParser(
        description="Two hosts and one PostgreSQL, while one thing after the other breaks."
    )
    parser.add_argument("--proxy", choices=sorted(PROXIES), default="nginx", help="before the hosts (default: nginx)")
    parser.add_argument("--loopback", action="store_true", help="no namespaces, no proxy, less that breaks")
    parser.add_argument("--only", choices=STEPS, action="append", default=[], help="break nothing else; repeat")
    parser.add_argument("--keep", type=Path, help="copy the logs here")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))  # whatever runs is stopped on the way out
    with tempfile.TemporaryDirectory(prefix="idp-hosts-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs under an account of its own
        try:
            build = on_one_machine(folder) if given.loopback else in_namespaces(folder, given.proxy)
            with build as (site, cluster):
                notice, pause = (0.5, 0.2) if given.loopback else (6.0, 0.05)
                trial = Trial(site, cluster, notice, pause, lambda line: print(line, flush=True))
                trial.fill()
                with trial.load():
                    if given.loopback:
                        the_shortest(trial)
                    else:
                        everything(trial, given.only)
                wrong = trial.settle()
        except NotPossibleError as fault:
            print(f"Not possible here: {fault}", file=sys.stderr)
            sys.exit(2)
        finally:
            if given.keep:
                given.keep.mkdir(parents=True, exist_ok=True)
                for log in (*folder.glob("*.log"), *folder.glob("*/log")):
                    shutil.copy(log, given.keep / "-".join(log.relative_to(folder).parts))
    print("\n".join(trial.timeline.report()))
    print(f"\nacknowledged: {dict(trial.ledger.counts)}\nwrong: {len(wrong)}")
    for each in wrong[:50]:
        print(f"  {each}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
