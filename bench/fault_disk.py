"""Faults of the disk: full, read-only, slow, damaged, and a plug that is pulled."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from disks import LoopDisk, slow_sync, small_disk
from stage import Stage


def full_disk(folder: Path) -> Stage:
    """The disk is full under load; then there is room again."""
    stage = Stage(folder)
    instance, ledger = stage.instance, stage.ledger
    with small_disk(instance.folder, 32):
        try:
            stage.begin()
            with stage.load():
                stage.wait_for("refresh", 5, 30)
                filler = instance.folder / "filler"
                _fill(filler)
                stage.expect(stage.wait_for("told to come back", 20, 90), "nobody was told to come back on a full disk")
                _look_while_nothing_can_be_written(stage)
                (web, *_) = instance.processes()["web"]
                os.kill(web, signal.SIGKILL)  # the next one starts on a full disk
                stage.wait_for("told to come back", 20, 60)
                time.sleep(3)
                stage.expect(
                    len(instance.processes()["web"]) == 2, "a killed web process is not replaced on a full disk"
                )
                stage.expect(stage.status("/healthz") == 200, "no web process is alive on a full disk")
                filler.unlink()
                took = stage.seconds_until_signing_in_works(60)
                stage.expect(took is not None, "no sign-in within a minute of there being room again")
                stage.tell(f"{ledger.counts['told to come back']} requests were told to come back")
                stage.tell(f"signing in worked {took or 0:.1f} s after there was room")
                stage.wait_for("refresh", 5, 30)
            stage.check_all("a full disk")
        finally:
            instance.stop()
    return stage


def _fill(filler: Path) -> None:
    """Write a file until there is no room for a single page."""
    with filler.open("wb", buffering=0) as stream:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while stream.write(bytes(size)) == size:
                    pass


def _look_while_nothing_can_be_written(stage: Stage) -> None:
    for path in ("/healthz", "/oauth/jwks", "/.well-known/openid-configuration", "/sign-in"):
        stage.expect((status := stage.status(path)) == 200, f"{path} is {status}, and needs no write")
    stage.tell(f"/readyz said {stage.status('/readyz')}")
    answer = stage.try_sign_in(1)
    has_hint = answer.status_code == 503 and answer.headers.get("Retry-After")
    stage.expect(bool(has_hint), f"a sign-in that cannot be written is answered with {answer.status_code}")
    stage.expect('id="error-code">busy<' in answer.text, "the page does not say that it is busy")


def read_only_disk(folder: Path) -> Stage:
    """The kernel finds an error and makes the file system read-only, under load; it is repaired, and goes on."""
    stage = Stage(folder)
    instance = stage.instance
    disk = LoopDisk(folder / "disk", instance.folder)
    disk.mount()
    try:
        stage.begin()
        with stage.load():
            stage.wait_for("refresh", 5, 30)
            disk.break_down()
            stage.expect(stage.wait_for("told to come back", 20, 60), "nobody was told to come back")
            _look_while_nothing_can_be_written(stage)
        instance.stop()
        instance.start(wait=False)
        assert instance.server is not None
        is_up = instance.is_ready_within(20)
        if is_up:
            stage.tell("a start on the read-only disk works, for who only reads")
        else:
            last = instance.last_words().strip().splitlines()[-1]
            stage.tell(f"a start on the read-only disk ends with: {last}")
            stage.expect("Traceback" not in last and instance.server.poll() is not None, f"an unclear end: {last}")
        instance.stop()
        disk.unmount()
        disk.repair()
        disk.mount()
        instance.start()
        stage.check_all("a repaired disk")
    finally:
        instance.stop()
        disk.unmount()
    return stage


def pulled_plug(folder: Path, cuts: int = 8) -> Stage:
    """Again and again everything stops at once, and only what was synced is on the disk."""
    stage = Stage(folder)
    instance, chance = stage.instance, random.Random(5)
    disk = LoopDisk(folder / "disk", instance.folder)
    disk.mount()
    try:
        stage.begin()
        for number in range(1, cuts + 1):
            with stage.load(pause=0):
                time.sleep(chance.uniform(1.0, 4.0))
                instance.signal_all(signal.SIGSTOP)
                copy = disk.copy_as_it_is()
                instance.kill_all()
            disk.replace(copy)
            disk.mount()
            instance.start()
            stage.check_all(f"cut {number}")
        stage.tell(f"{cuts} cuts; {stage.ledger.counts['looked back']} acknowledged things looked for")
    finally:
        instance.stop()
        disk.unmount()
    return stage


def slow_disk(folder: Path, milliseconds: int = 300) -> Stage:
    """Each sync takes a third of a second longer."""
    stage = Stage(folder)
    instance = stage.instance
    instance.server_environ = slow_sync(folder, milliseconds)
    try:
        stage.begin()
        begin = time.monotonic()
        slowest = 0.0
        with stage.load():
            while time.monotonic() < begin + 30:
                asked = time.monotonic()
                stage.expect((status := stage.status("/readyz")) == 200, f"/readyz says {status} on a slow disk")
                slowest = max(slowest, time.monotonic() - asked)
                time.sleep(1)
        counts = stage.ledger.counts
        stage.expect(not counts["told to come back"], f"{counts['told to come back']} were told to come back")
        stage.expect(not counts["away"], f"{counts['away']} got no answer")
        done = sum(counts[name] for name in ("login", "refresh", "registration", "sign-in", "sign-out"))
        stage.expect(done > 5, f"hardly anything is done: {dict(counts)}")
        stage.tell(f"fsync and fdatasync delayed by {milliseconds} ms, by a library that is loaded before libc")
        stage.tell(f"{done} things that write in 30 s, none refused; /readyz took {slowest:.1f} s at most")
        stage.check_all("a slow disk")
    finally:
        instance.stop()
    return stage


def damaged_page(folder: Path) -> Stage:
    """Pages of the database are overwritten while the provider is stopped; a backup of before is restored."""
    stage = Stage(folder)
    instance = stage.instance
    backup = folder / "backup.tar"
    try:
        stage.begin()
        with stage.load():
            stage.wait_for("refresh", 10, 60)
        instance.command("backup", str(backup))
        instance.stop()
        content = bytearray(instance.database_file.read_bytes())
        chance = random.Random(3)
        pages = len(content) // 4096
        for page in chance.sample(range(2, pages), max(4, pages // 8)):
            content[page * 4096 : page * 4096 + 512] = chance.randbytes(512)
        instance.database_file.write_bytes(content)
        found = instance.contradictions()
        stage.expect(any(each.startswith("damage:") for each in found), f"idp doctor --deep does not tell: {found}")
        refused = instance.try_command("backup", str(folder / "of-damage.tar"))
        stage.expect(refused.returncode != 0, "a damaged database is backed up")
        stage.expect(not (folder / "of-damage.tar").exists(), "half a backup is left")
        _look_at_a_start(stage)
        content[:100] = b"no header any more".ljust(100)
        instance.database_file.write_bytes(content)
        _look_at_a_start(stage, is_to_refuse=True)
        done = instance.try_command("restore", "--force", str(backup))
        stage.expect(done.returncode == 0, f"the backup is not restored: {done.stderr}")
        instance.start()
        stage.check_all("a restored backup")
    finally:
        instance.stop()
    return stage


def _look_at_a_start(stage: Stage, is_to_refuse: bool = False) -> None:
    """On a damaged database the server refuses to start, or says 503 for what it cannot read; nothing else."""
    instance = stage.instance
    instance.start(wait=False)
    assert instance.server is not None
    if instance.is_ready_within(15):
        stage.expect(not is_to_refuse, "the server starts without a database")
        with stage.load():
            time.sleep(4)
        stage.tell("on damaged pages the server starts; what it cannot read it answers with 503")
        lost = [each for each in stage.ledger.wrong if " 500" in each or ": 50" in each]
        stage.ledger.wrong = lost  # who is not found on a damaged page cannot sign in: that is no wrong answer
        stage.new_people()
    else:
        stage.expect(instance.server.poll() is not None or stage.status("/readyz") == 503, "neither ready nor not")
        last = instance.last_words().strip().splitlines()[-1]
        stage.expect("Traceback" not in last, f"an unclear end: {last}")
        stage.tell(f"the server says: {last[:160]}")
    instance.stop()


def damaged_log(folder: Path) -> Stage:
    """Bytes of SQLite's log are overwritten after a kill -9: what stands before them counts."""
    stage = Stage(folder)
    instance = stage.instance
    try:
        stage.begin()
        with stage.load(pause=0):
            stage.wait_for("refresh", 20, 60)
            instance.kill_all()
        log = instance.database_file.with_name(f"{instance.database_file.name}-wal")
        content = bytearray(log.read_bytes())
        at = len(content) * 3 // 4
        content[at : at + 64] = bytes(64)
        log.write_bytes(content)
        stage.new_people()  # what was acknowledged and stood behind the damage is lost
        registered, stage.ledger.registered = stage.ledger.registered, set()
        stage.ledger.signed_out.clear()
        instance.start()
        with stage.load():
            stage.wait_for("refresh", 5, 60)
        stage.check_all("a damaged log")
        stage.tell(
            f"{len(content) >> 10} KiB of log, damaged at three quarters; {len(registered)} had registered before"
        )
    finally:
        instance.stop()
    return stage
