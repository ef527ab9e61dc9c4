"""Breaks what the provider stands on, for real, and looks what becomes of it.

    python bench/faults.py                    # everything that this machine can break; some of it takes root
    python bench/faults.py full_disk pulled_plug

Each fault has a provider of its own with four people at work. Whoever cannot be served must be told so (503 with
`Retry-After`); nothing that was acknowledged may be lost, and `idp doctor --deep` must find no contradiction. Exit code
0 when all is well; what this machine cannot do is skipped, and says why.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from disks import UnavailableError
from fault_backup import backup_under_load, backup_under_load_on_postgresql
from fault_disk import damaged_log, damaged_page, full_disk, pulled_plug, read_only_disk, slow_disk
from fault_time import jumping_clock, told_to_stop
from stage import Stage

FAULTS: tuple[Callable[[Path], Stage], ...] = (
    full_disk,
    read_only_disk,
    pulled_plug,
    slow_disk,
    damaged_page,
    damaged_log,
    jumping_clock,
    told_to_stop,
    backup_under_load,
    backup_under_load_on_postgresql,
)
ESSENTIAL = ("sign-in", "login", "refresh", "registration", "sign-out", "looked back", "told to come back", "away")


def try_fault(fault: Callable[[Path], Stage]) -> bool:
    """Try one fault and print what became of it; tells whether all was well or it could not be tried."""
    print(f"{fault.__name__}: {(fault.__doc__ or '').splitlines()[0]}", flush=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="idp-faults-", ignore_cleanup_errors=True) as folder:
        try:
            stage = fault(Path(folder))
        except UnavailableError as reason:
            print(f"  skipped: {reason}", flush=True)
            return True
    counts = stage.ledger.counts
    print("  acknowledged: " + ", ".join(f"{name} {counts[name]}" for name in ESSENTIAL if counts[name]))
    for line in stage.told:
        print(f"  {line}")
    for line in stage.ledger.wrong[:20]:
        print(f"  WRONG: {line}")
    verdict = f"{len(stage.ledger.wrong)} wrong" if stage.ledger.wrong else "all is well"
    print(f"  {verdict}, after {time.monotonic() - begin:.0f} s", flush=True)
    return not stage.ledger.wrong


def main() -> None:
    """Read the command line and try what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [fault.__name__ for fault in FAULTS]
    parser.add_argument("faults", nargs="*", metavar="FAULT", help=f"of {', '.join(known)} (default: all)")
    given = parser.parse_args()
    if unknown := set(given.faults) - set(known):
        parser.error(f"there is no fault {', '.join(sorted(unknown))}")
    results = [try_fault(fault) for fault in FAULTS if not given.faults or fault.__name__ in given.faults]
    print(f"{sum(results)} of {len(results)} faults went well")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
