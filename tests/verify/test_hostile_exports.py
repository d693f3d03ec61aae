"""Archives made to break the verifier: bounded, refused with a sentence, and never a pass."""

from __future__ import annotations

import io
import json
import os
import random
import stat
import zipfile
from pathlib import Path

import pytest

from procurement import openlot_verify
from tests.verify.test_changed_exports import signed_again
from tests.verify.test_good_exports import checked, packed, unpacked
from tests.verify.world import World


def refusal(path: Path) -> tuple[int, str]:
    lines: list[str] = []
    return openlot_verify.run([str(path)], lines.append), "\n".join(lines)


def archive(path: Path, *entries: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in entries:
            out.writestr(name, content, zipfile.ZIP_DEFLATED)
    return path


def linked(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "a\\b", "C:/x", "a//b", "./a", "x" * 300])
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    assert refusal(archive(tmp_path / "export.zip", (name, b"x")))[0] == 2


def test_links_twins_bombs_and_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refusal(archive(tmp_path / "link.zip", (linked("index.json"), b"/etc/passwd")))[0] == 2
    with pytest.warns(UserWarning, match="Duplicate name"):
        twins = archive(tmp_path / "twins.zip", ("index.json", b"{}"), ("index.json", b"{}"))
    assert refusal(twins)[0] == 2
    bomb = archive(tmp_path / "bomb.zip", ("index.json", bytes(40 * 1024 * 1024)))
    assert "unpacks to more than" in refusal(bomb)[1]
    monkeypatch.setattr(openlot_verify, "MOST_FILES", 3)
    many = archive(tmp_path / "many.zip", *((f"{n}.txt", b"") for n in range(5)))
    assert refusal(many)[0] == 2


def test_a_link_in_a_folder_is_refused(world: World, tmp_path: Path) -> None:
    folder = unpacked(world.supplier, tmp_path / "export")
    os.symlink("/etc/passwd", folder / "more.txt")
    assert refusal(folder) == (2, "Cannot check: more.txt is a link.")


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive", b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive_is_said_to_be_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(content)
    assert refusal(tmp_path / "export.zip")[0] == 2
    assert refusal(tmp_path / "nowhere.zip")[0] == 2


def test_a_size_that_lies_is_found(world: World, tmp_path: Path) -> None:
    """The directory says two bytes; the entry holds forty megabytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in world.supplier.items():
            made.writestr(name, content if name != "README.txt" else bytes(40 * 1024 * 1024))
    raw = out.getvalue()
    at = raw.index(b"PK\x01\x02")
    lied = raw[: at + 24] + (2).to_bytes(4, "little") + raw[at + 28 :]
    (tmp_path / "export.zip").write_bytes(lied)
    assert checked(tmp_path / "export.zip")[0] == 1


HOSTILE_JSON = {
    "deep": b"[" * 200_000,
    "wide": b'{"a":' * 50_000,
    "a number without end": b'{"content": ' + b"9" * 100_000 + b"}",
    "a string": b'"text"',
    "nothing": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "not UTF-8": b"\xff\xfe\x00",
    "infinity": b'{"content": Infinity, "leaves": [NaN], "statement": 1e400}',
}
FOLDERS = ["tender.json", "signatures/", "receipts/", "roll/roll", "roll/proofs/", "opened/", "audit/", "auctions/"]


@pytest.mark.parametrize("hostile", HOSTILE_JSON)
@pytest.mark.parametrize("folder", FOLDERS)
def test_hostile_documents_fail_and_raise_nothing(folder: str, hostile: str, world: World, tmp_path: Path) -> None:
    files = dict(world.auction)
    for name in files:
        if name.startswith(folder) and not name.endswith(".p7s"):
            files[name] = HOSTILE_JSON[hostile]
    assert checked(packed(signed_again(files), tmp_path / "export.zip"))[0] == 1


@pytest.mark.parametrize("hostile", HOSTILE_JSON)
def test_a_hostile_index_or_keys_fail_and_raise_nothing(hostile: str, world: World, tmp_path: Path) -> None:
    for name in ("index.json", "platform/receipt-keys.json", "trust/policy.json"):
        files = dict(world.supplier) | {name: HOSTILE_JSON[hostile]}
        assert checked(packed(files, tmp_path / "export.zip"))[0] == 1


def test_flipped_bytes_anywhere_never_pass(world: World, tmp_path: Path) -> None:
    """Every binary file, several places each, under an index signed anew."""
    chance = random.Random(7)
    names = [name for name in world.buyer if name.endswith((".p7s", ".tsr", ".sealed", ".der", ".crl"))]
    for name in names:
        for _ in range(2):
            body = bytearray(world.buyer[name])
            body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
            files = signed_again(dict(world.buyer) | {name: bytes(body)})
            assert checked(packed(files, tmp_path / "export.zip"))[0] == 1, name


def test_a_hostile_single_document_is_refused_or_fails(world: World, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(world.buyer["platform/receipt-keys.json"])
    for content in HOSTILE_JSON.values():
        (tmp_path / "proof.json").write_bytes(content)
        words = [str(tmp_path / "proof.json"), "--platform-keys", str(keys)]
        assert openlot_verify.run(words, [].append) in (1, 2)


def test_wrong_usage_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        openlot_verify.run([])
    assert ended.value.code == 2
    (tmp_path / "proof.json").write_text(json.dumps({}))
    assert "--platform-keys" in refusal(tmp_path / "proof.json")[1]
