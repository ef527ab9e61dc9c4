"""A command that is told to stop stops, in whatever moment the signal comes."""

import signal
import subprocess
import sys

PROGRAM = """
import os, signal, time
from idp.cli import ending

class Loud:
    def __del__(self):  # nothing can be raised from here
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(100):
            pass

with ending.tidied():
    try:
        Loud()
        time.sleep(300)
    finally:
        print("tidied", flush=True)
"""


def test_a_signal_in_a_moment_in_which_nothing_can_be_raised_is_not_lost() -> None:
    """As when the garbage collector calls a function of a library."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "tidied\n", "Stopped.\n")
