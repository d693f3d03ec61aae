"""Archives made to break the verifier: bounded, refused with a sentence, and never a pass."""

from __future__ import annotations

import io
import json
import os
import random
import stat
import time
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from procurement import openlot_verify
from tests.factories.marketplace import NOON
from tests.verify.test_changed_exports import signed_again
from tests.verify.test_good_exports import checked, not_ok, packed, unpacked
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


def test_an_archive_that_is_two_or_packed_oddly_is_refused(world: World, tmp_path: Path) -> None:
    """What one program unpacks is not what another reads: the same file, with something before or behind it."""
    good = packed(world.supplier, tmp_path / "export.zip").read_bytes()
    (tmp_path / "before.zip").write_bytes(archive(tmp_path / "other.zip", ("tender.json", b"{}")).read_bytes() + good)
    assert "more than its directory lists" in refusal(tmp_path / "before.zip")[1]
    with zipfile.ZipFile(tmp_path / "commented.zip", "w") as out:
        out.writestr("index.json", b"{}")
        out.comment = b"PK\x05\x06"
    assert refusal(tmp_path / "commented.zip")[0] == 2
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):  # an LZMA header may ask for gigabytes
        with zipfile.ZipFile(tmp_path / "odd.zip", "w", method) as out:
            out.writestr("index.json", b"{}")
        assert "packed in a way" in refusal(tmp_path / "odd.zip")[1]


def test_many_small_bombs_and_a_huge_directory_are_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openlot_verify, "SMALL_TOTAL", 8 * 1024 * 1024)
    part = bytes(1024 * 1024)
    many = archive(tmp_path / "many.zip", *((f"signatures/{n}/payload.json", part) for n in range(9)))
    assert "unpacks to more than" in refusal(many)[1]
    directory = b"PK\x01\x02" + bytes(42)
    end = b"PK\x05\x06" + bytes(4) + b"\xff\xff" * 2 + (200 * 1024 * 1024).to_bytes(4, "little") + bytes(6)
    (tmp_path / "directory.zip").write_bytes(directory * 1000 + end)
    assert "too many files" in refusal(tmp_path / "directory.zip")[1]


def test_two_entries_over_the_same_bytes_never_pass(world: World, tmp_path: Path) -> None:
    raw = packed(world.supplier, tmp_path / "export.zip").read_bytes()
    entries = [at for at in range(len(raw)) if raw.startswith(b"PK\x01\x02", at)]
    one, other = entries[1:3]
    (tmp_path / "export.zip").write_bytes(raw[: other + 42] + raw[one + 42 : one + 46] + raw[other + 46 :])
    assert checked(tmp_path / "export.zip")[0] == 1


def test_a_heap_of_authorities_that_certify_one_another_is_soon_done() -> None:
    """All have one name and one key: there are more ways up than anybody can go."""
    key = ec.generate_private_key(ec.SECP256R1())
    leaf, heap, top = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in ("leaf", "heap", "top"))
    evidence = openlot_verify.Evidence(
        anchors=[certificate(top, top, key)],
        certificates=[certificate(heap, heap, key, serial) for serial in range(1, 60)],
    )
    began = time.process_time()
    with pytest.raises(openlot_verify.Wrong, match="too many certificates"):
        evidence.path(certificate(leaf, heap, key), [], evidence.anchors, NOON)
    assert time.process_time() - began < 5


def certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, serial: int = 7
) -> x509.Certificate:
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), serial)
    builder = builder.not_valid_before(NOON - timedelta(days=1)).not_valid_after(NOON + timedelta(days=400))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256())


def test_a_heap_of_small_values_and_of_evidence_is_not_read(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = b"[" + b"[]," * 4_000_000 + b"[]]"
    files = dict(world.supplier) | {"tender.json": values}
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as out:
        for name, content in signed_again(files).items():
            out.writestr(name, content)
    _status, checks = checked(tmp_path / "export.zip")
    assert "too many values" in next(check["why"] for check in checks if check["check"] == "tender.json")
    monkeypatch.setattr(openlot_verify, "LARGEST_EVIDENCE", 1000)
    assert "evidence/lists/" in not_ok(checked(packed(world.buyer, tmp_path / "export.zip"))[1])


@pytest.mark.parametrize("sum_", ["1e999999999", "1E-999999999", "NaN", "9" * 5000])
def test_a_number_beyond_all_prices_keeps_nobody_computing(sum_: str, world: World, tmp_path: Path) -> None:
    """Rules compute exactly: a fraction of ten to the billion would never be done."""
    source = str(Path(openlot_verify.__file__).parents[1])
    for name in ("auctions/1.jsonl", "protocols/auction-1.json", "opened/"):
        files = dict(world.auction)
        name = next(one for one in sorted(files) if one.startswith(name))
        files[name] = (
            files[name].replace(b'"250.0000"', f'"{sum_}"'.encode()).replace(b'"300.00"', f'"{sum_}"'.encode())
        )
        assert files[name] != world.auction[name]
        status, _checks = checked(packed(signed_again(files), tmp_path / "export.zip"), "--rules", source)
        assert status == 1
    with pytest.raises(openlot_verify.Wrong):
        openlot_verify.require_tame({"detail": [{"step": sum_ if "e" in sum_.lower() else "1e99"}]})


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
LATER_FOLDERS = ["custody/ceremony", "custody/releases"]
RENEWED_FOLDERS = ["roll/archive-1.json", "audit/anchors/", "signatures/"]


@pytest.mark.parametrize("hostile", HOSTILE_JSON)
@pytest.mark.parametrize("folder", FOLDERS)
def test_hostile_documents_fail_and_raise_nothing(folder: str, hostile: str, world: World, tmp_path: Path) -> None:
    files = dict(world.auction)
    for name in files:
        if name.startswith(folder) and not name.endswith(".p7s"):
            files[name] = HOSTILE_JSON[hostile]
    assert checked(packed(signed_again(files), tmp_path / "export.zip"))[0] == 1


@pytest.mark.parametrize("hostile", HOSTILE_JSON)
def test_hostile_proofs_of_keys_and_stamps_fail_and_raise_nothing(hostile: str, world: World, tmp_path: Path) -> None:
    for good, folders in ((world.committee_supplier, LATER_FOLDERS), (world.renewed, RENEWED_FOLDERS)):
        for folder in folders:
            files = {
                name: HOSTILE_JSON[hostile]
                if name.startswith(folder) and name.endswith((".json", "archive-1.json")[folder == "signatures/"])
                else body
                for name, body in good.items()
                if not name.startswith("documents/")
            }
            assert checked(packed(signed_again(files), tmp_path / "export.zip"))[0] == 1, folder


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
