"""A ZIP archive written as it is made: the same files give the same bytes, whenever and wherever it is built."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, BinaryIO, Final

#: ZIP knows no earlier time. A real one would make two builds of the same state differ.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_READABLE: Final = 0o100644 << 16
CHUNK: Final = 256 * 1024


class Archive:
    """Files added one after the other, a chunk in memory at a time. `entries` lists what was written."""

    def __init__(self, out: BinaryIO) -> None:
        self._zip = zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=6)
        self.entries: list[dict[str, Any]] = []
        self._known: set[str] = set()

    def add(self, path: str, content: bytes | Iterable[bytes]) -> None:
        """Write a file once; the same path again is left as it is."""
        if path in self._known:
            return
        self._known.add(path)
        about = zipfile.ZipInfo(path, _NO_TIME)
        about.create_system, about.external_attr = _UNIX, _READABLE
        about.compress_type = zipfile.ZIP_DEFLATED
        digest, size = sha256(), 0
        with self._zip.open(about, "w", force_zip64=False) as entry:
            for chunk in [content] if isinstance(content, bytes) else content:
                entry.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        self.entries.append({"path": path, "size": size, "sha256": digest.hexdigest()})

    def close(self) -> None:
        self._zip.close()
