"""What operators are told to measure with runs, and says what the capacity of their machine is reckoned from."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_prints_what_each_operation_costs() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "bench" / "measure.py", "--seconds", "0.1", "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)
    assert {"SSO login (authorize + token)", "refresh", "userinfo", "introspection", "bcrypt"} <= figures.keys()
    assert all(figure > 0 for figure in figures.values())
