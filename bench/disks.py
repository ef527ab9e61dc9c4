"""Disks that can be made small, read-only or slow, and whose plug can be pulled. Mounting takes root."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

SLOW_SYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
static void wait_a_while(void) {
  const char *told = getenv("SLOW_SYNC_MILLISECONDS");
  long milliseconds = told ? atol(told) : 0;
  struct timespec span = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
  nanosleep(&span, 0);
}
int fsync(int file) {
  int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_a_while();
  return next(file);
}
int fdatasync(int file) {
  int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_a_while();
  return next(file);
}
"""


class UnavailableError(Exception):
    """This machine cannot do that; says why."""


def run(*command: str, may_fail: bool = False) -> str:
    """Run a program of the system and return what it prints.

    Raises:
        UnavailableError: it is missing, or fails.
    """
    if shutil.which(command[0]) is None:
        raise UnavailableError(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and not may_fail:
        raise UnavailableError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def need_root() -> None:
    """Check that file systems can be mounted.

    Raises:
        UnavailableError: only root may.
    """
    if os.getuid() != 0:
        raise UnavailableError("mounting a file system takes root")


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[None]:
    """Have a file system in memory, of a given size, in the place of a folder."""
    need_root()
    folder.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "idp-faults", str(folder))
    try:
        yield
    finally:
        run("umount", "-l", str(folder), may_fail=True)


class LoopDisk:
    """An ext4 file system in a file, mounted in the place of a folder.

    Args:
        image: the file that is the disk.
        folder: where it is mounted.
        megabytes: its size.
    """

    def __init__(self, image: Path, folder: Path, megabytes: int = 96) -> None:
        need_root()
        self.image, self.folder = image, folder
        self.device = ""
        with image.open("wb") as stream:
            stream.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
        folder.mkdir(parents=True, exist_ok=True)

    def mount(self, *options: str) -> None:
        """Mount it; a journal that was left is replayed, as after a crash.

        Args:
            options: of mount.
        """
        self.device = run("losetup", "--find", "--show", str(self.image)).strip()
        run("mount", "-t", "ext4", "-o", ",".join(("errors=remount-ro", *options)), self.device, str(self.folder))

    def unmount(self) -> None:
        """Unmount it."""
        if self.device:
            run("umount", "-l", str(self.folder), may_fail=True)
            run("losetup", "--detach", self.device, may_fail=True)
            self.device = ""

    def break_down(self) -> None:
        """Have the kernel find an error and make the file system read-only, whoever writes to it."""
        trigger = Path("/sys/fs/ext4") / Path(self.device).name / "trigger_fs_error"
        if not trigger.exists():
            raise UnavailableError(f"the kernel has no {trigger}")
        trigger.write_text("for a test")

    def repair(self) -> None:
        """Check and repair the file system; it must not be mounted."""
        run("e2fsck", "-f", "-y", str(self.image), may_fail=True)  # its exit code tells that it has repaired

    def copy_as_it_is(self) -> Path:
        """Return a copy of what has reached the disk: all that a machine has after its plug was pulled.

        What programs wrote and nobody synced is in the kernel's memory only, and not in it.
        """
        copy = self.image.with_name(f"{self.image.name}.cut")
        run("cp", "--sparse=always", str(self.image), str(copy))
        return copy

    def replace(self, copy: Path) -> None:
        """Go on with a copy; what the kernel has not written yet is lost."""
        self.unmount()
        copy.replace(self.image)


def slow_sync(folder: Path, milliseconds: int) -> dict[str, str]:
    """Return environment variables that make each fsync and fdatasync of a process take longer.

    Args:
        folder: for a small library, which is loaded before the others.
        milliseconds: how much longer.
    """
    source, library = folder / "slow_sync.c", folder / "slow_sync.so"
    source.write_text(SLOW_SYNC)
    run("cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl")
    return {"LD_PRELOAD": str(library), "SLOW_SYNC_MILLISECONDS": str(milliseconds)}


def clock_library() -> str:
    """Return the path of libfaketime, which gives processes another time of day.

    Raises:
        UnavailableError: it is not installed.
    """
    for path in sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")):
        return str(path)
    raise UnavailableError("libfaketime is not installed (Debian: faketime)")
