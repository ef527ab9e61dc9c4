"""What kind of picture some bytes are, and how large it is: told by the bytes themselves, whatever they are called."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

SIDE_MOST = 2_048  # pixels; a small file can unfold to a picture that brings a browser to its knees
_WITHOUT_SIZE = (0xC4, 0xC8, 0xCC)  # JPEG markers between those that begin a frame


@dataclass(frozen=True)
class Picture:
    """A picture that a page may show."""

    content_type: str
    width: int
    height: int

    @property
    def is_too_large(self) -> bool:
        """Whether it has more pixels than a logo needs, or none."""
        return not (0 < self.width <= SIDE_MOST and 0 < self.height <= SIDE_MOST)


def recognise(content: bytes) -> Picture | None:
    """Return what picture some bytes are, or None: only kinds that hold neither scripts nor references."""
    for content_type, is_one, size_of in _KINDS:
        if is_one(content):
            try:
                width, height = size_of(content)
            except (struct.error, IndexError):
                return None
            return Picture(content_type, width, height)
    return None


def _png(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", content, 16)
    return width, height


def _gif(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", content, 6)
    return width, height


def _jpeg(content: bytes) -> tuple[int, int]:
    """Walk from segment to segment to the one that begins the frame (ITU T.81 annex B)."""
    at = 2
    while content[at] == 0xFF:
        marker, length = struct.unpack_from(">BH", content, at + 1)
        if 0xC0 <= marker <= 0xCF and marker not in _WITHOUT_SIZE:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return width, height
        at += 2 + max(length, 2)
    raise IndexError("no frame")


def _webp(content: bytes) -> tuple[int, int]:
    """Read the first chunk (RFC 9649 section 2): lossy, lossless or extended."""
    if content[12:16] == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return width & 0x3FFF, height & 0x3FFF
    if content[12:16] == b"VP8L":
        (packed,) = struct.unpack_from("<I", content, 21)
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if content[12:16] == b"VP8X" and len(content) >= 30:
        return int.from_bytes(content[24:27], "little") + 1, int.from_bytes(content[27:30], "little") + 1
    raise IndexError("no chunk that is known")


_KINDS: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], tuple[int, int]]], ...] = (
    ("image/png", lambda content: content.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    ("image/jpeg", lambda content: content.startswith(b"\xff\xd8\xff"), _jpeg),
    ("image/gif", lambda content: content.startswith((b"GIF87a", b"GIF89a")), _gif),
    ("image/webp", lambda content: content.startswith(b"RIFF") and content[8:12] == b"WEBP", _webp),
)
