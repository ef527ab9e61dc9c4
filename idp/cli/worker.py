"""`idp worker`: what happens later."""

import contextlib
import logging.config
import os
import signal
import sys
import threading
from types import FrameType

import click

from idp import crypto, logs, metrics, settings, signals, worker
from idp.cli import output
from idp.cli.instance import load_ready, wire
from idp.storage.database import engine_of


@click.command
@click.option("--once", is_flag=True, help="Do what is due, say what it was, and end.")
@click.option("--while-stdin-is-open", is_flag=True, help="End when whoever started it has gone, and stdin with it.")
@output.json_option
def command(once: bool, while_stdin_is_open: bool, as_json: bool) -> None:
    """Do what happens later, until stopped with Ctrl-C, SIGTERM or SIGHUP.

    It sends mail, tells apps of sign-outs, ends sessions whose time is over, renews signing keys, fetches apps' logos,
    and sweeps what expired.

    `idp serve` runs one by itself, unless told --no-worker. More of them do no harm, on one machine or on many: each
    mail is sent by one of them.

    \b
    Examples:
      idp worker
      idp worker --once
    """
    if as_json and not once:
        raise click.UsageError("--json goes with --once: a worker that goes on has no end to report at.")
    loaded = load_ready()
    wire()
    if not once:
        logging.config.dictConfig(logs.configuration(loaded.log_level, loaded.log_format))
        if loaded.metrics_token:
            metrics.counters.open_shared(loaded.instance / settings.METRICS_NAME, f"worker-{crypto.new_id()}")
        stop = _stopped_by_signals()
        if while_stdin_is_open:
            threading.Thread(target=_watch_stdin, args=(stop,), daemon=True).start()
            worker.run(loaded, stop)
            return
        output.note("The worker runs; Ctrl-C stops it.")
        worker.run(loaded, stop)
        output.note("Stopped.")
        return
    with engine_of(loaded) as engine:
        done = worker.run_once(engine, loaded)
    if as_json:
        output.data(dict(done))
    else:
        output.table(("what", "count"), done.items())


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    if signal.getsignal(signals.HANGUP) is not signal.SIG_IGN:  # as below `nohup`
        signal.signal(signals.HANGUP, ask_to_stop)
    return stop


def _watch_stdin(stop: threading.Event) -> None:
    """Stop when the other end of the pipe is closed, be it by a kill -9."""
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    stop.set()
