"""Two servers with folders of their own on one PostgreSQL: one is killed, the database is restarted.

`python bench/hosts.py` does more, with network namespaces, a proxy, and wires that are cut.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.pages import ROOT

HAS_POSTGRESQL = any(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or shutil.which("initdb")


@pytest.mark.postgres
@pytest.mark.skipif(not HAS_POSTGRESQL, reason="PostgreSQL's server is not installed")
@pytest.mark.timeout(600)
def test_what_was_acknowledged_stays_and_nobody_is_told_anything_wrong():
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "hosts.py"), "--loopback"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    for happened in ("a killed", "b killed", "database restarted (fast)", "database restarted (immediate)"):
        assert f"over: {happened}" in done.stdout
    for done_there in ("code redeemed at the other host", "refreshed at the other host", "looked at the other host"):
        assert f"'{done_there}'" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_it_says_what_it_needs(tmp_path):
    """Nobody may be root, or have namespaces: then it refuses, and says so."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "bench" / "hosts.py")],
        cwd=ROOT,
        env={"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--loopback does without" in done.stderr
