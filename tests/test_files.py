"""Files for their owner only, and locks that end with whoever has them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from idp import files
from tests.at_once import at_once

HOLDER = (
    "import os, sys; from idp import files; files.hold(os.open(sys.argv[1], os.O_RDWR)); print(1, flush=True); input()"
)


@pytest.mark.skipif(sys.platform == "win32", reason="modes say nothing of other accounts here")
def test_a_private_file_is_its_owners_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with open(tmp_path / "secret", "xb", opener=files.private) as file:
            file.write(b"one\ntwo\r\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert (tmp_path / "secret").read_bytes() == b"one\ntwo\r\n"


def test_one_at_a_time_works_on_a_folder(tmp_path: Path) -> None:
    inside: list[int] = []

    def work(number: int) -> None:
        with files.locked(tmp_path):
            inside.append(number)
            for _ in range(100):
                list(tmp_path.iterdir())  # which lets other threads go on
            assert inside == [number]
            inside.remove(number)

    at_once(work, 8)


def test_a_held_file_is_free_when_its_process_is_killed(tmp_path: Path) -> None:
    file = tmp_path / "held"
    file.touch()
    assert not files.is_held(file)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"1\n"
        assert files.is_held(file)
        assert files.is_held(file)  # to look is not to hold
        holder.kill()
        holder.wait()
    assert not files.is_held(file)
