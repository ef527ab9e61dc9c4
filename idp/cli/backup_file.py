"""What `idp backup` writes and `idp restore` reads: a tar of a manifest, the database, perhaps the secret key."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from idp.cli.private_files import created, written
from idp.errors import NotReadyError
from idp.files import PRIVATE_FILE
from idp.settings import SECRET_KEY_NAME

FORMAT, VERSION = "streamlit-idp backup", 1
MANIFEST_NAME, DATABASE_NAME = "manifest.json", "database"
SEAL_PURPOSE = "backup"
_MANIFEST_MOST = 100_000  # bytes
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """What a backup is.

    Attributes:
        engine: `sqlite` or `postgresql`; a backup of the latter goes back to where it came from.
        schema: the database's revision.
        program: the release that made it.
        issuer: for whom it was made.
        created_at: seconds since the epoch.
        database_digest: SHA-256 of the database's copy.
        seal: the digest, encrypted with the secret key: tells whether a key belongs to the backup.
    """

    engine: str
    schema: str
    program: str
    issuer: str
    created_at: int
    database_digest: str
    seal: str


def write(file: Path, manifest: Manifest, database: Path, secret_key: str) -> None:
    """Write a backup that only its owner can read and that appears when it is complete.

    Args:
        file: where to.
        manifest: what it is.
        database: the database's copy.
        secret_key: goes into it unless it is empty.
    """
    with written(file) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        told = {"format": FORMAT, "version": VERSION, **asdict(manifest)}
        _add_text(tar, MANIFEST_NAME, json.dumps(told, indent=2), manifest.created_at)
        if secret_key:
            _add_text(tar, SECRET_KEY_NAME, secret_key, manifest.created_at)
        tar.add(database, DATABASE_NAME, filter=_made_private)


def read(file: Path) -> tuple[Manifest, str]:
    """Read what a backup is, and the secret key if it holds one.

    Raises:
        NotReadyError: it is no backup, of a later form, or damaged.
    """
    try:
        with tarfile.open(file, mode="r:") as tar:
            told = json.loads(_member(tar, MANIFEST_NAME).read(_MANIFEST_MOST))
            key = _member(tar, SECRET_KEY_NAME).read(1000).decode() if SECRET_KEY_NAME in tar.getnames() else ""
            _member(tar, DATABASE_NAME)
    except (tarfile.TarError, KeyError, ValueError, EOFError, RecursionError):  # such as a link that leads to itself
        raise NotReadyError(f"{file} is no backup of this program, or it is damaged.") from None
    return _parse(file, told), key


def take_out(file: Path, manifest: Manifest, target: Path) -> None:
    """Take the database's copy out of a backup, and check that it is whole.

    Args:
        file: the backup.
        manifest: of it.
        target: a file that must not exist yet.

    Raises:
        NotReadyError: it is damaged.
    """
    digest = hashlib.sha256()
    try:
        with created(target) as stream, tarfile.open(file, mode="r:") as tar:
            source = _member(tar, DATABASE_NAME)
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                stream.write(chunk)
    except (tarfile.TarError, EOFError):
        digest = hashlib.sha256()
    if digest.hexdigest() != manifest.database_digest:
        raise NotReadyError(f"{file} is damaged: its database is not the one that was put into it. Use another backup.")


def digest_of(path: Path) -> str:
    """Return the SHA-256 digest of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _parse(file: Path, told: Any) -> Manifest:
    if not isinstance(told, Mapping) or told.get("format") != FORMAT:
        raise NotReadyError(f"{file} is no backup of this program.")
    if told.get("version") != VERSION:
        raise NotReadyError(f"{file} was made by a later release of this program: restore it with that one.")
    try:
        return Manifest(**{name: kind(told[name]) for name, kind in Manifest.__annotations__.items()})
    except (KeyError, TypeError, ValueError, OverflowError):
        raise NotReadyError(f"{file} is damaged: its manifest lacks something.") from None


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    if found is None:
        raise KeyError(name)
    return found


def _add_text(tar: tarfile.TarFile, name: str, text: str, at: int) -> None:
    content = text.encode()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), PRIVATE_FILE, at
    tar.addfile(entry, io.BytesIO(content))


def _made_private(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = PRIVATE_FILE, 0, 0, "", ""
    return entry
