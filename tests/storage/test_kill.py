"""Killed at random under load, a few times; `python bench/kill.py --rounds 300` does it by hundreds."""

import os
import re
import subprocess
import sys

import pytest

from tests.house.pages import ROOT

ADMIN_URL = os.environ.get("IDP_TEST_POSTGRES_URL", "")


def kill(*arguments):
    command = [sys.executable, str(ROOT / "bench" / "kill.py"), "--rounds", "3", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_nothing_acknowledged_is_lost_and_nothing_happens_twice():
    done = kill()
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "3 kills" in done.stdout
    assert re.search(r"\blogin [1-9]", done.stdout), done.stdout


@pytest.mark.postgres
@pytest.mark.skipif(not ADMIN_URL, reason="IDP_TEST_POSTGRES_URL names no PostgreSQL server")
def test_nor_on_postgresql():
    done = kill("--database", ADMIN_URL, "--seed", "2")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert re.search(r"\blogin [1-9]", done.stdout), done.stdout
