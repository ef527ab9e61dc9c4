"""Counters: exact from many threads, added up over processes, and never less than before."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from idp import metrics
from idp.metrics import Counters, read_all

SERIES = 'idp_requests_total{route="/",status="200"}'
CHILD = """
import sys, time
from pathlib import Path
from idp import metrics
metrics.counters.open_shared(Path(sys.argv[1]), sys.argv[2])
metrics.add(sys.argv[3], 5)
metrics.add(metrics.PASSWORD_HASHES)
print("counted", flush=True)
time.sleep(600)
"""

# Starts again and again, and is killed a line of the program later each time; tells the sums after each.
KILLED = """
import itertools, os, sys
from pathlib import Path
from idp import metrics

def start(step):
    lines = itertools.count(1)
    def trace(frame, event, _):
        if frame.f_code.co_filename == metrics.__file__ and event == "line" and next(lines) == step:
            os._exit(9)
        return trace
    sys.settrace(trace)
    metrics.counters.open_shared(Path(sys.argv[1]), f"process{step}")

metrics.add(sys.argv[2], 0)
for step in itertools.count(1):
    child = os.fork()
    if not child:
        start(step)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sums, living = metrics.read_all(Path(sys.argv[1]))
    print(code, sums[sys.argv[2]], living)
    if code != 9:
        break
"""


@pytest.fixture
def start_process(tmp_path):
    """Start a process that counts five and one hash, and waits; gives it."""
    running = []

    def start(name):
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "metrics"), name, SERIES], stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout.readline() == "counted\n"
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_many_threads_lose_no_count(tmp_path):
    counters = Counters()
    counters.open_shared(tmp_path / "metrics", "one")

    def count():
        for _ in range(5_000):
            counters.add(SERIES)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_all(counters.folder) == ({SERIES: 40_000.0}, 1)


def test_what_was_counted_before_the_folder_was_known_is_kept(tmp_path):
    counters = Counters()
    counters.add(SERIES, 3)
    counters.open_shared(tmp_path / "metrics", "one")
    counters.add(SERIES)
    counters.open_shared(tmp_path / "metrics", "one more time")
    assert read_all(counters.folder) == ({SERIES: 4.0}, 1)


def test_processes_are_added_up_and_a_killed_one_is_inherited(start_process, tmp_path):
    first, _second = start_process("first"), start_process("second")
    folder = tmp_path / "metrics"
    assert read_all(folder) == ({SERIES: 10.0, metrics.PASSWORD_HASHES: 2.0}, 2)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert read_all(folder) == ({SERIES: 10.0, metrics.PASSWORD_HASHES: 1.0}, 1)
    start_process("third")
    assert read_all(folder) == ({SERIES: 15.0, metrics.PASSWORD_HASHES: 2.0}, 2)
    assert sorted(path.name for path in folder.iterdir()) == ["second.counts", "third.counts"]


def test_a_process_that_is_killed_while_it_starts_loses_no_count_and_doubles_none(start_process, tmp_path):
    for process in [start_process("first"), start_process("second")]:
        process.kill()
        process.wait()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "metrics"), SERIES]
    *killed, last = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(killed) > 20
    assert set(killed) == {"9 10.0 0"}
    assert last == "0 10.0 0"
    assert len(list((tmp_path / "metrics").iterdir())) == 2


def test_whoever_goes_on_in_a_file_gives_new_series_a_place_of_their_own(start_process, tmp_path):
    process = start_process("first")
    process.kill()
    process.wait()
    with (tmp_path / "metrics" / "first.counts").open("ab") as file:
        file.write(b"idp_a_name_that_broke_o")
    counters = Counters()
    counters.add("idp_before_total", 2)
    counters.open_shared(tmp_path / "metrics", "second")
    counters.add("idp_after_total", 3)
    counters.add(SERIES)
    expected = {SERIES: 6.0, metrics.PASSWORD_HASHES: 0.0, "idp_before_total": 2.0, "idp_after_total": 3.0}
    assert read_all(counters.folder) == (expected, 1)


def test_whoever_goes_on_in_a_torn_file_begins_at_nothing(tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "torn.counts").write_bytes(b"x" * 100)
    counters = Counters()
    counters.open_shared(tmp_path / "metrics", "one")
    counters.add(SERIES)
    assert read_all(counters.folder) == ({SERIES: 1.0}, 1)


def test_nobody_else_may_read_the_files(tmp_path):
    counters = Counters()
    counters.open_shared(tmp_path / "metrics", "one")
    assert (tmp_path / "metrics").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "metrics" / "one.counts").stat().st_mode & 0o777 == 0o600


def test_without_a_folder_counting_goes_on(tmp_path, caplog):
    (tmp_path / "metrics").write_text("a file stands in the way")
    counters = Counters()
    counters.open_shared(tmp_path / "metrics", "one")
    counters.add(SERIES)
    assert counters.folder is None
    assert "cannot hold counters" in caplog.text


def test_a_full_disk_ends_no_process(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)
    counters = Counters()
    counters.open_shared(tmp_path / "metrics", "one")
    counters.add(SERIES)
    assert counters.folder is None
    assert list((tmp_path / "metrics").iterdir()) == []


def test_more_series_than_there_is_room_for_are_dropped(tmp_path):
    counters = Counters()
    counters.open_shared(tmp_path / "metrics", "one")
    for number in range(metrics.SLOTS + 10):
        counters.add(f'x{{n="{number}"}}')
    sums, _ = read_all(counters.folder)
    assert len(sums) == metrics.SLOTS - 1
    assert set(sums.values()) == {1.0}


def test_a_half_written_file_is_read_as_far_as_it_goes(tmp_path):
    counters = Counters()
    counters.open_shared(tmp_path / "metrics", "one")
    counters.add(SERIES)
    Path(counters.folder / "torn.counts").write_bytes(b"x" * 100)
    with (counters.folder / "one.counts").open("ab") as file:
        file.write(b"no end of li")
    assert read_all(counters.folder)[0] == {SERIES: 1.0}
