"""Archives that say less of themselves than they hold."""

from __future__ import annotations

import io
import struct
import zipfile
from functools import lru_cache

_END = struct.Struct("<4s4H2LH")


@lru_cache(maxsize=1)
def hostile_archives() -> dict[str, bytes]:
    """By what is wrong with them. Each has a directory of 5 MB, whose names take as much memory when it is read."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        for number in range(80):
            package.writestr(f"{number}-{'x' * 65_000}.txt", "")
    plain, end = content.getvalue()[: -_END.size], _END.unpack(content.getvalue()[-_END.size :])
    entries, size, offset = end[3], end[5], end[6]
    longer = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, offset) + struct.pack(
        "<4sLQL", b"PK\x06\x07", 0, len(plain), 1
    )
    return {
        "a longer end record": plain + longer + _END.pack(b"PK\x05\x06", 0, 0, 1, 1, 0xFFFF, 0xFFFFFFFF, 0),
        # Readers look at neither the numbers of disks nor, but for what stands before the archive, at the offset.
        "another end record in the fields of the one that counts": plain
        + _END.pack(b"PK\x05\x06", *struct.unpack("<2H", b"PK\x05\x06"), entries, entries, size, 0, 0),
    }
