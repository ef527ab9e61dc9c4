"""Killed at random under load, a few times; `python bench/kill.py --rounds 300` does it by hundreds."""

import re
import subprocess
import sys

from tests import postgresql
from tests.house.pages import ROOT


def kill(*arguments):
    command = [sys.executable, str(ROOT / "bench" / "kill.py"), "--rounds", "2", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_nothing_acknowledged_is_lost_and_nothing_happens_twice():
    done = kill()
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "2 kills" in done.stdout
    assert re.search(r"\blogin [1-9]", done.stdout), done.stdout


@postgresql.needed
def test_nor_on_postgresql():
    done = kill("--database", postgresql.SERVER, "--seed", "8")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert re.search(r"\blogin [1-9]", done.stdout), done.stdout
