"""A ZIP archive written as it is made: the same files give the same bytes, whenever and wherever it is built."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO, Final

#: ZIP knows no earlier time. A real one would make two builds of the same state differ.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_READABLE: Final = 0o100644 << 16
CHUNK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """Content that does not compress: ciphertext of about `size` bytes, in chunks."""

    size: int
    chunks: Iterable[bytes]


Content = bytes | Iterable[bytes] | Stored


class Archive:
    """Files added one after the other, a chunk in memory at a time. `entries` lists what was written."""

    def __init__(self, out: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=6)
        self.entries: list[dict[str, Any]] = []
        self._known: set[str] = set()

    def add(self, path: str, content: Content) -> None:
        """Write a file once; the same path again is left as it is."""
        if path in self._known:
            return
        self._known.add(path)
        about = zipfile.ZipInfo(path, _NO_TIME)
        about.create_system, about.external_attr = _UNIX, _READABLE
        about.compress_type = zipfile.ZIP_STORED if isinstance(content, Stored) else zipfile.ZIP_DEFLATED
        # A size announced beyond 2 GiB makes the entry a large one; what is not announced is far below.
        about.file_size = content.size if isinstance(content, Stored) else 0
        digest, size = sha256(), 0
        with self._zip.open(about, "w", force_zip64=False) as entry:
            for chunk in _chunks(content):
                entry.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        self.entries.append({"path": path, "size": size, "sha256": digest.hexdigest()})

    def close(self) -> None:
        self._zip.close()


def _chunks(content: Content) -> Iterable[bytes]:
    if isinstance(content, bytes):
        return [content]
    return content.chunks if isinstance(content, Stored) else content
