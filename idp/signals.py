"""The signals that ask a process to end, by the names that this system has for them."""

import signal
import sys

if sys.platform == "win32":
    HANGUP = signal.SIGBREAK  # what Windows says when a terminal is closed, and for Ctrl-Break
else:
    HANGUP = signal.SIGHUP

TO_END = (signal.SIGTERM, HANGUP)
