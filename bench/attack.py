"""Attacks a throw-away provider in many ways, and looks whether honest people still get in.

    python bench/attack.py                                  # all attacks, a quarter of an hour
    python bench/attack.py --attacks stuffing,slow-bodies --seconds 30
    python bench/attack.py --behind-proxy                   # addresses told by X-Forwarded-For, IDP_PROXY_HOPS=1

`idp serve` runs with two web processes, its worker, SQLite and bcrypt at its usual cost. Attackers' connections come
from addresses of their own (127.0.0.0/8). `*-nginx` go to nginx, set up as docs/examples has it, and are skipped where
that is not installed. Meanwhile five people and apps go on with their day, before the attack and during it. Exit code 1
when somebody honest did not get in, or when a limit did not hold. Linux only.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attacking.flood import Attack, Outcome, flood
from attacking.forms import FORMS
from attacking.instance import Instance, Reading
from attacking.people import Day, Street
from attacking.sockets import SOCKETS
from places import NotPossibleError

ATTACKS = {attack.name: attack for attack in (*FORMS, *SOCKETS)}
LEAST_SHARE = 0.97  # of what honest people do goes well
NEWCOMERS = "new browser"  # nothing tells them from an attacker at their first sign-in
SLOWER_MOST, SLOWER_BY = 3.0, 100.0  # what takes an app so many times as long as in calm, and so many ms, is disturbed


@dataclass(frozen=True)
class Result:
    """One attack, what it cost, and what honest people noticed."""

    attack: Attack
    outcome: Outcome
    before: Reading
    after: Reading
    quiet_cpu: float  # seconds of processor time a second that the honest ones took without attackers
    calm: dict[str, Day]
    during: dict[str, Day]

    @property
    def rows(self) -> dict[str, int]:
        """How many came to be in each table."""
        return {name: count - self.before.rows.get(name, 0) for name, count in self.after.rows.items()}

    @property
    def cpu_each(self) -> float:
        """Milliseconds of processor time for each attempt; what honest people do is taken off."""
        used = self.after.cpu - self.before.cpu - self.quiet_cpu * self.outcome.seconds
        return 1000 * max(0.0, used) / max(1, self.outcome.attempts)

    def faults(self) -> list[str]:
        """Say what did not hold."""
        found = [f"{self.attack.name}: {fault}" for fault in self.attack.limit(self.outcome, self.rows)]
        if broken := sum(count for status, count in self.outcome.answers.items() if status >= 500 and status != 503):
            found.append(f"{self.attack.name}: {broken} answers were faults of the provider")
        if self.attack.is_hard_on_all:
            return found
        for name, day in self.during.items():
            if name == NEWCOMERS and self.attack.is_hard_on_strangers:
                continue
            if day.share < LEAST_SHARE:
                found.append(f"{self.attack.name}: {name}: {day.share:.0%} went well, {dict(day.failures)}")
        for name in ("sso", "app"):
            slowest, usual = self.during[name].percentile(0.99), self.calm[name].percentile(0.99)
            if not slowest <= usual * SLOWER_MOST + SLOWER_BY:
                found.append(f"{self.attack.name}: {name}: p99 is {slowest:.0f} ms, and was {usual:.0f} ms before")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Everything, for a program."""
        return {
            "attack": self.attack.name,
            "what": self.attack.what,
            "seconds": round(self.outcome.seconds, 1),
            "attempts": self.outcome.attempts,
            "answers": {str(status): count for status, count in sorted(self.outcome.answers.items())},
            "cpu_ms_each": round(self.cpu_each, 2),
            "memory_mib": round((self.after.memory - self.before.memory) / 2**20, 1),
            "bytes": self.after.size - self.before.size,
            "rows": {name: count for name, count in self.rows.items() if count},
            "refused_after": None if self.outcome.refused_after is None else round(self.outcome.refused_after, 2),
            "honest": {
                name: {
                    "share": round(day.share, 4),
                    "p50_ms": round(day.percentile(0.5), 1),
                    "p99_ms": round(day.percentile(0.99), 1),
                    "calm_share": round(self.calm[name].share, 4),
                    "calm_p50_ms": round(self.calm[name].percentile(0.5), 1),
                    "calm_p99_ms": round(self.calm[name].percentile(0.99), 1),
                    "failures": dict(day.failures),
                }
                for name, day in self.during.items()
            },
            "faults": self.faults(),
        }


def run(attack: Attack, seconds: float, instance: Instance) -> Result:
    """Attack a fresh instance once.

    Raises:
        NotPossibleError: what the attack needs is not installed.
    """
    try:
        if attack.needs_proxy:
            instance.put_nginx_before()
        instance.start()
        street = Street(instance)
        street.live(2)
        quiet_from, began = instance.read(), time.monotonic()
        calm = street.live(max(8.0, seconds / 2))
        before = instance.read()
        quiet_cpu = (before.cpu - quiet_from.cpu) / (time.monotonic() - began)
        outcome = Outcome()

        def attack_meanwhile() -> None:
            nonlocal outcome
            outcome = flood(instance, attack, seconds)

        during = street.live(seconds, attack_meanwhile)
        return Result(attack, outcome, before, instance.read(), quiet_cpu, calm, during)
    finally:
        instance.stop()


def told(result: Result) -> str:
    """Return the lines of the table for one attack."""
    given = result.as_dict()
    answers = ", ".join(f"{count} x {status or 'closed'}" for status, count in given["answers"].items())
    after = "-" if given["refused_after"] is None else f"{given['refused_after']} s"
    rows = ", ".join(f"{count} {name}" for name, count in given["rows"].items()) or "none"
    lines = [
        f"{given['attack']}: {given['what']}",
        f"  {given['attempts']} attempts in {given['seconds']} s: {answers}; refused after {after}",
        f"  {given['cpu_ms_each']} ms CPU each, {given['memory_mib']:+} MiB, {given['bytes']} bytes; rows: {rows}",
    ]
    for name, each in given["honest"].items():
        lines.append(
            f"  {name:<32} {each['share']:>7.1%}  p50 {each['calm_p50_ms']:>7.1f} -> {each['p50_ms']:>7.1f} ms   "
            f"p99 {each['calm_p99_ms']:>7.1f} -> {each['p99_ms']:>7.1f} ms  {each['failures'] or ''}"
        )
    return "\n".join(lines)


def main() -> None:
    """Read the command line, attack, and say what did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attacks", default="all", help=f"which, with commas between: {', '.join(ATTACKS)}")
    parser.add_argument("--seconds", type=float, default=20, help="how long each lasts (%(default)s)")
    parser.add_argument("--behind-proxy", action="store_true", help="addresses are told by X-Forwarded-For")
    parser.add_argument("--json", metavar="FILE", help="write everything there")
    given = parser.parse_args()
    names = list(ATTACKS) if given.attacks == "all" else given.attacks.split(",")
    if unknown := [name for name in names if name not in ATTACKS]:
        parser.error(f"there is no attack {unknown[0]!r}; there are: {', '.join(ATTACKS)}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="idp-attack-") as first:
        template = Instance(Path(first), is_proxied=given.behind_proxy)
        template.fill()
        for name in names:
            with tempfile.TemporaryDirectory(prefix="idp-attack-") as folder:
                try:
                    results.append(run(ATTACKS[name], given.seconds, template.copy(Path(folder))))
                except NotPossibleError as missing:
                    print(f"{name}: skipped. {missing}", flush=True)
                    continue
            print(told(results[-1]), flush=True)
    faults = [fault for result in results for fault in result.faults()]
    if given.json:
        Path(given.json).write_text(json.dumps([result.as_dict() for result in results], indent=2) + "\n")
    print(f"\n{len(results)} attacks; {len(faults)} times something did not hold")
    for fault in faults:
        print(f"  {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
