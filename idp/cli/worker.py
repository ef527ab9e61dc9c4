"""`idp worker`: what happens later."""

import logging.config
import signal
import threading
from types import FrameType

import click

from idp import worker
from idp.cli import logs, output
from idp.cli.instance import load_ready, wire
from idp.database import open_engine


@click.command(short_help="Do what happens later.")
@click.option("--once", is_flag=True, help="Do what is due, say what it was, and end.")
@output.json_option
def command(once: bool, as_json: bool) -> None:
    """Do what happens later: sweep what expired, every minute, until stopped with Ctrl-C or SIGTERM.

    One worker is enough; more do no harm. Without one everything works, but the database grows.

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
        logging.config.dictConfig(logs.configuration(loaded.log_level))
        worker.run(loaded, _stopped_by_signals())
        output.note("Stopped.")
        return
    engine = open_engine(loaded)
    try:
        swept = worker.sweep_all(engine)
    finally:
        engine.dispose()
    if as_json:
        output.data(dict(swept))
    else:
        output.table(("what", "swept"), swept.items())


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    output.note("The worker runs; Ctrl-C stops it.")
    return stop
